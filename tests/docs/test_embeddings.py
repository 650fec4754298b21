"""The pages on embeddings, training and cold starts: their commands, queries and programs work."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cli_commands import parse
from databases import REPOSITORY
from evaluated import block, run, write
from factories import model
from learned import drawn, kept
from sqlalchemy import Connection, Engine

import registry
from registry.embeddings import versions
from registry.evaluations.outcomes import Column
from registry.evaluations.records import Item



def blocks(language: str, *pages: str) -> list[str]:
    return [
        block
        for page in pages
        for block in re.findall(
            rf"^```{language}\n(.*?)^```$",
            (REPOSITORY / "docs" / f"{page}.md").read_text(),
            re.DOTALL | re.MULTILINE,
        )
    ]


def lines(language: str, *pages: str) -> list[str]:
    return [line for block in blocks(language, *pages) for line in block.splitlines() if line]


COMMANDS = [
    line
    for line in lines("sh", "embeddings", "training", "coldstart")
    if line.startswith("registry ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    _, *words = shlex.split(line, comments=True)
    parse(words)


def answered(connection: Connection, **fields: Any) -> None:
    """Store a version with vectors of the items that the page asks for."""
    asked = [Column("gsm8k", "", "0"), Column("arc", "2018", "Mercury_1")]
    for column in asked:
        outcomes = run("org/m0", [1.0])
        write(
            connection,
            block(
                column.benchmark, outcomes, version=column.version, asked=[Item(column.item, "?")]
            ),
        )
    vectors = drawn(len(asked), 5, seed=1)
    kept(connection, drawn(5), items=asked, item_vectors=vectors, **fields)


@pytest.mark.parametrize("query", lines("sql", "embeddings", "coldstart"))
def test_queries_run(connection: Connection, query: str) -> None:
    answered(connection, serving=drawn(5))
    model(connection, "some/new-model")
    connection.exec_driver_sql(query)


def test_the_python_runs(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        answered(connection)
    monkeypatch.setenv("REGISTRY_DATABASE_URL", database_url)
    found: dict[str, Any] = {}
    for program in blocks("python", "embeddings"):
        exec(program, found)
    assert isinstance(found["found"], type(registry.load_embeddings()))
    assert found["trained"].shape == (5, 4)
    assert found["predicted"].probability.shape == (2, 2)


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
