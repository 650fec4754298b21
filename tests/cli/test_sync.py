"""`registry sync` as processes of their own, against the sample Hub."""

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_commands import Commands, run, start
from hub_faults import following
from learned import drawn, trained
from sqlalchemy import Engine, text

from registry.db import embedded
from registry.db.jobs import Lock, exclusive
from registry.demo.hub.http import Request
from registry.demo.hub.server import HubServer
from registry.embeddings import placement, save, versions


def record(number: int, **fields: object) -> dict[str, object]:
    day = f"2024-01-{number:02}T00:00:00.000Z"
    return {
        "_id": f"{number:024x}",
        "id": f"maker/model-{number:02}",
        "author": "maker",
        "createdAt": day,
        "lastModified": day,
        "downloads": number,
        "likes": 0,
        "tags": ["text-generation"],
        "pipeline_tag": "text-generation",
        **fields,
    }


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer((record(number) for number in range(1, 21)), page_limit=5) as server:
        yield server


def sync(url: str, hub: HubServer, *arguments: str) -> tuple[int, dict[str, object], str]:
    code, out, err = run(
        "--database-url", url, "sync", *arguments, "--format", "json", HF_ENDPOINT=hub.url
    )
    return code, json.loads(out) if out else {}, err


def test_sync(database_url: str, hub: HubServer) -> None:
    code, report, err = sync(database_url, hub)
    assert (code, err) == (0, "")
    assert {name: report[name] for name in ("kind", "complete", "resumed", "records", "new")} == {
        "kind": "delta",
        "complete": True,
        "resumed": False,
        "records": 20,
        "new": 20,
    }
    hub.put(record(3, lastModified="2024-02-01T00:00:00.000Z", tags=["changed"]))
    _, report, _ = sync(database_url, hub)
    assert (report["changed"], report["new"]) == (1, 0)
    hub.remove("maker/model-07")
    code, report, _ = sync(database_url, hub, "--full")
    assert (code, report["kind"], report["gone"]) == (0, "full", 1)


def test_what_a_sync_brings_is_placed(database_url: str, hub: HubServer, engine: Engine) -> None:
    sync(database_url, hub)
    names = [f"maker/model-{number:02}" for number in range(1, 21)]
    with engine.begin() as connection:
        version = save.save(connection, trained(names, drawn(20)))
        versions.promote(connection, version)
    placement.place(engine)
    hub.put(record(21))
    assert sync(database_url, hub, "--dry-run")[2] == "A dry run: nothing was changed.\n"
    code, report, err = sync(database_url, hub)
    assert (code, report["new"]) == (0, 1)
    assert err.startswith(f"Version {version} has vectors of ")
    assert sync(database_url, hub)[2] == "", "nothing came"


def test_sync_draws_a_table(database_url: str, hub: HubServer) -> None:
    code, out, _ = run(
        "--database-url", database_url, "sync", "--format", "table", HF_ENDPOINT=hub.url
    )
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["delta", "sync"]
    assert ["new", "20"] in [line.split() for line in out.splitlines()]


def test_limit_and_resume(database_url: str, hub: HubServer) -> None:
    code, report, err = sync(database_url, hub, "--limit", "5")
    assert (code, report["complete"], report["records"]) == (0, False, 5)
    assert "the next sync resumes there" in err
    _, report, _ = sync(database_url, hub)
    assert (report["complete"], report["resumed"], report["new"]) == (True, True, 20)


def test_what_the_numbers_do_not_say_is_said(
    database_url: str, hub: HubServer, engine: Engine
) -> None:
    _, _, first = sync(database_url, hub, "--limit", "5", "--dry-run")
    assert first == "A dry run: nothing was changed.\n"
    sync(database_url, hub, "--limit", "5")
    _, report, said = sync(database_url, hub, "--since", "2024-01-19")
    # It resumes below the requested moment: the earlier sync began without one.
    assert (report["resumed"], report["records"]) == (True, 20)
    assert "goes back beyond --since; the numbers include it" in said
    with engine.connect() as connection:
        summaries = connection.scalars(
            text("SELECT summary -> 'resumed' FROM registry.job_runs ORDER BY started_at")
        ).all()
    assert summaries == [False, True]


def test_a_full_sweep_goes_without_a_moment(database_url: str, hub: HubServer) -> None:
    code, _, said = sync(database_url, hub, "--full", "--since", "2024-01-19")
    assert code == 2
    assert "it goes without --since" in said


def test_dry_run_changes_nothing(database_url: str, hub: HubServer, engine: Engine) -> None:
    code, report, err = sync(database_url, hub, "--dry-run")
    assert (code, report["new"], report["dry_run"]) == (0, 20, True)
    assert "nothing was changed" in err
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM store.models")) == 0


def test_author_since_and_as_of(database_url: str, hub: HubServer, engine: Engine) -> None:
    hub.put(record(21, id="other/one", author="other"))
    _, report, _ = sync(
        database_url, hub, "--author", "other", "--as-of", "2024-06-01", "--lookups", "0"
    )
    assert report["new"] == 1
    with engine.connect() as connection:
        seen = connection.scalar(text("SELECT first_seen::text FROM store.models"))
    assert seen == "2024-06-01 00:00:00+00"
    _, report, _ = sync(database_url, hub, "--filter", "no-such-tag")
    assert report["records"] == 0
    _, report, _ = sync(database_url, hub, "--since", "2024-01-18T00:00")
    assert (
        report["new"] == 4
    )  # a page of five, with the other author's model, reaches back before it


def test_quarantine_has_an_exit_code(database_url: str, hub: HubServer) -> None:
    hub.put({**record(22), "id": "maker/../model"})
    code, report, err = sync(database_url, hub)
    assert (code, report["quarantined"], report["new"]) == (3, 1, 20)
    assert "SELECT * FROM quarantine" in err


def test_no_hub(database_url: str) -> None:
    code, out, err = run("--database-url", database_url, "sync", HF_ENDPOINT="ftp://hub.example")
    assert (code, out) == (2, "")
    assert "HF_ENDPOINT" in err


def test_not_upgraded(empty_database_url: str, hub: HubServer) -> None:
    code, _, err = sync(empty_database_url, hub)
    assert code == 4
    assert "registry db upgrade" in err


def test_another_sync_is_running(database_url: str, hub: HubServer, engine: Engine) -> None:
    with exclusive(engine, Lock.CATALOG):
        code, _, err = sync(database_url, hub)
    assert code == 5
    assert f"Another sync is running: sync, process {os.getpid()} on " in err


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(database_url: str, engine: Engine, by: signal.Signals) -> None:
    asked, released = threading.Event(), threading.Event()

    def second_page_waits(request: Request) -> None:
        if following(request):
            asked.set()
            released.wait(60)

    with HubServer(
        (record(number) for number in range(1, 21)), page_limit=5, faults=second_page_waits
    ) as hub:
        with start("--database-url", database_url, "sync", HF_ENDPOINT=hub.url) as process:
            assert asked.wait(30)
            process.send_signal(by)
            _, err = process.communicate(timeout=30)
        released.set()
    assert process.returncode == 130, err
    assert err == "Error: Stopped; the next sync resumes there.\n"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT status FROM store.job_runs")) == "interrupted"


def test_an_empty_embedded_database_is_set_up(hub: HubServer) -> None:
    place = Path(tempfile.mkdtemp(prefix="registry-test-"))
    place.chmod(0o755)
    try:
        code, _, err = run("sync", HF_ENDPOINT=hub.url, REGISTRY_DATA_DIR=str(place))
        assert code == 0
        assert "Set up the embedded database" in err
        names = Commands(None).done(
            "models", "search", "--format", "quiet", REGISTRY_DATA_DIR=str(place)
        )
        assert len(names.split()) == 20
    finally:
        embedded.stop(place)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", ["sync", "sweep"])
def test_jobs_run(database_url: str, hub: HubServer, name: str) -> None:
    code, out, err = run("--database-url", database_url, "jobs", "run", name, HF_ENDPOINT=hub.url)
    assert (code, err) == (0, "")
    assert f"kind,{'full' if name == 'sweep' else 'delta'}\n" in out, "as its schedule does"
    assert "\nnew,20\n" in out
    rows = Commands(database_url).json("jobs", "list")
    assert {row["job"]: row["status"] for row in rows}[name] == "done"
