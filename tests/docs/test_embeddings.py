"""What docs/embeddings.md says can be done as it says, the program beside it included."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cli_commands import parse
from databases import REPOSITORY
from learned import drawn, kept
from sqlalchemy import Connection, Engine

import registry
from registry.embeddings import versions

PAGE = (REPOSITORY / "docs" / "embeddings.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


COMMANDS = [
    line for block in blocks("sh") for line in block.splitlines() if line.startswith("registry ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    _, *words = shlex.split(line)
    parse(words)


@pytest.mark.parametrize("query", [line for block in blocks("sql") for line in block.splitlines()])
def test_queries_run(connection: Connection, query: str) -> None:
    kept(connection, drawn(5), serving=drawn(5))
    connection.exec_driver_sql(query)


def test_the_python_runs(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        kept(connection, drawn(5))
    monkeypatch.setenv("REGISTRY_DATABASE_URL", database_url)
    (program,) = blocks("python")
    found: dict[str, object] = {}
    exec(program, found)
    assert isinstance(found["found"], type(registry.load_embeddings()))


@pytest.fixture
def follower(engine: Engine) -> Iterator["subprocess.Popen[str]"]:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, REPOSITORY / "docs" / "follow_embeddings.py", url, "600"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_the_program_notices_each_new_version(
    engine: Engine, follower: "subprocess.Popen[str]"
) -> None:
    assert follower.stdout is not None
    assert follower.stdout.readline() == "following, from version None\n"
    for count in (3, 5):
        with engine.begin() as connection:
            version = kept(connection, drawn(count))
        assert follower.stdout.readline() == f"version {version}: {count} vectors\n"
    with engine.begin() as connection:
        before = versions.rollback(connection).version
    assert follower.stdout.readline() == f"version {before}: 3 vectors\n"
