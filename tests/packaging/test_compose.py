"""What docker-compose.yml runs, run without Docker: its own scripts, against a server of ours."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from databases import REPOSITORY
from generated_hub.models import generate
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from registry.db import connection as database
from registry.db import revisions
from registry.demo.hub.server import HubServer

SUNDAY = datetime(2026, 11, 22, 4, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The file, with `$$` as a container sees it."""
    source = (REPOSITORY / "docker-compose.yml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(source.replace("$$", "$"))
    return loaded


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A folder with the commands that the image would have on its path."""
    commands = tmp_path / "bin"
    commands.mkdir()
    run_here = f'cd {REPOSITORY} && exec {sys.executable} -m registry "$@"'
    program(commands / "registry", run_here)
    return tmp_path


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(
    box: Path, composed: dict[str, Any], service: str, url: URL, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command of a service through its entrypoint, with its paths inside `box`."""
    settings = composed["services"][service]
    assert url.password is not None
    (box / "postgres_password").write_text(url.password)
    words = [
        re.sub("/run/secrets/|/tmp/", f"{box}/", word)
        for word in [*settings["entrypoint"], *settings["command"]]
    ]
    declared = settings["environment"]
    target = make_url(declared["REGISTRY_DATABASE_URL"])
    assert (target.username, target.password) == ("registry", None)
    here = target.set(
        username=url.username, host=url.host, port=url.port, database=url.database
    ).render_as_string()
    return subprocess.run(
        words,
        env={
            "PATH": f"{box / 'bin'}:{os.environ['PATH']}",
            "HOME": str(box),
            "REGISTRY_DATABASE_URL": here,
            "PGPASSFILE": declared["PGPASSFILE"].replace("/tmp", str(box)),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def scalar(url: URL, query: str) -> Any:
    engine = database.create_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(text(query))
    engine.dispose()
    return found


def test_migrate_brings_an_empty_database_to_head(
    box: Path, composed: dict[str, Any], empty_database_url: str
) -> None:
    url = make_url(empty_database_url)
    done = run(box, composed, "migrate", url)
    assert done.returncode == 0, done.stderr
    assert scalar(url, "SELECT version_num FROM store.alembic_version") == revisions.head_revision()
    assert (box / "pgpass").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("now", "kinds"), [(MONDAY, ["delta", "delta"]), (SUNDAY, ["full", "delta"])]
)
def test_sync_runs_hourly_and_sweeps_once_on_sundays(
    box: Path, composed: dict[str, Any], database_url: str, now: datetime, kinds: list[str]
) -> None:
    url = make_url(database_url)
    program(
        box / "bin" / "date",
        'case "$*" in *%F) echo '
        f"{now:%F};; *%u) echo {now.isoweekday()};; *%H) echo {now:%H};; *%s) echo 1000;; esac",
    )
    # The second pause of an hour ends the container.
    program(
        box / "bin" / "sleep",
        f'echo "$1" >> {box}/slept; [ -e {box}/once ] && kill $PPID; touch {box}/once',
    )
    with HubServer(generate(30), rate_limit=None) as hub:
        ended = run(box, composed, "sync", url, HF_ENDPOINT=hub.url)
    assert (box / "slept").read_text().split() == ["2600", "2600"], ended.stderr
    runs = scalar(url, "SELECT array_agg(summary->>'kind' ORDER BY started_at) FROM store.job_runs")
    assert runs == kinds, ended.stderr
    assert scalar(url, "SELECT count(*) FROM store.models WHERE state <> 'stub'") == 30


def test_a_sync_that_fails_is_tried_again_an_hour_later(
    box: Path, composed: dict[str, Any], empty_database_url: str
) -> None:
    program(box / "bin" / "sleep", f"echo paused >> {box}/slept; kill $PPID")
    ended = run(box, composed, "sync", make_url(empty_database_url))
    assert (box / "slept").read_text() == "paused\n"
    assert "registry db upgrade" in ended.stderr
