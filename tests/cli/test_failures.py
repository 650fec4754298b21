"""What goes wrong on the command line: one sentence, the right exit code, no password."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import factories
import psycopg
import pytest
from cli_commands import REPOSITORY, Commands, run, start
from databases import Databases
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from registry.cli.application import Application
from registry.cli.failures import explained
from registry.cli.parameters import LARGEST

SECRET = "sesame-open-7"
SLEEPING = """
    SELECT pid FROM pg_stat_activity
     WHERE query = 'SELECT pg_sleep(60)' AND datname = current_database()"""


def test_malformed_url() -> None:
    err = Commands("no url at all").refused(2, "status")
    assert err == (
        "Error: --database-url is not a database URL; expected "
        "postgresql://user@host:5432/database.\n"
    )


@pytest.mark.parametrize("url", ["sqlite:///registry.db", "mysql://u@h/d"])
def test_another_database_than_postgres(url: str) -> None:
    err = Commands(url).refused(2, "status")
    assert "only Postgres will do" in err


def test_url_from_the_environment_is_named_as_its_source() -> None:
    err = Commands(None).refused(2, "status", REGISTRY_DATABASE_URL="sqlite://")
    assert "REGISTRY_DATABASE_URL names a sqlite database" in err


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        err = Commands(f"postgresql://me:{SECRET}@127.0.0.1:{port}/d").refused(4, "status")
    assert err == (
        f"Error: Cannot connect to the database postgresql://me:***@127.0.0.1:{port}/d "
        "(from --database-url): Connection refused.\n"
    )


@pytest.mark.parametrize(
    "words", [["\x1b[2J"], ["models", "\x1b[2J"], ["models", "show", "a", "\x1b[2J"],
              ["models", "search", "--limit", "\x1b[2J"], ["models", "search", "--\x1b[2J"]]
)  # fmt: skip
def test_a_wrong_argument_is_shown_visibly(words: list[str]) -> None:
    err = Commands(None).refused(2, *words)
    assert "\x1b" not in err
    assert r"\x1b[2J" in err


def test_unknown_host() -> None:
    err = Commands("postgresql://me@no-such-host.invalid/d").refused(4, "status")
    assert err.startswith("Error: Cannot connect to the database postgresql://me@no-such-host")
    assert err.count("\n") == 1


def test_missing_database(databases: Databases) -> None:
    url = databases.url("nothing_here").render_as_string(hide_password=False)
    err = Commands(url).refused(4, "status")
    assert 'database "nothing_here" does not exist' in err
    assert err.count("\n") == 1


def test_wrong_password(databases: Databases) -> None:
    right = databases.url("postgres")
    if right.password is None:
        pytest.skip("the server given for tests asks for no password")
    wrong = right.set(password=SECRET)
    for url in (wrong, right.set(password=None).update_query_dict({"password": SECRET})):
        err = Commands(url.render_as_string(hide_password=False)).refused(4, "status")
        assert "password authentication failed" in err
        assert SECRET not in err
        assert err.count("\n") == 1


def test_unknown_parameter_of_the_url_shows_no_password(databases: Databases) -> None:
    url = databases.url("postgres").set(password=SECRET).update_query_dict({"colour": "red"})
    err = Commands(url.render_as_string(hide_password=False)).refused(1, "status")
    assert "colour" in err
    assert SECRET not in err


def test_not_upgraded(empty_database_url: str) -> None:
    commands = Commands(empty_database_url)
    for arguments in (
        ["status"],
        ["models", "search"],
        ["query", "SELECT 1"],
        ["sync"],
        ["embeddings", "map", "no-such-map.html"],
        ["embeddings", "export", "no-such-file.parquet"],
    ):
        err = commands.refused(4, *arguments)
        assert "not set up yet" in err
        assert "`registry db upgrade`" in err


def test_functions_of_another_version(engine: Engine, commands: Commands) -> None:
    with engine.begin() as connection:
        for model in ("org/a", "org/b"):
            factories.model(connection, model)
        connection.exec_driver_sql("ALTER FUNCTION registry.lineage_path RENAME TO path")
    refused = commands.refused(4, "lineage", "path", "org/a", "org/b")
    assert "Another version of llm-registry set up the database" in refused
    assert "`registry db upgrade`" in refused
    assert "Another version" not in commands.refused(1, "query", "SELECT nothing()")


def test_unknown_model_with_suggestions(sample: Commands) -> None:
    err = sample.refused(1, "models", "show", "mistralai/Mistral-7B")
    assert "No model named 'mistralai/Mistral-7B' is in the registry." in err
    assert "Did you mean" in err
    assert "mistralai/M" in err


@pytest.mark.parametrize(
    "asked",
    ["Mistral-7B-v0.1", "mistral-7b-v0.1", "MistralAI/mistral-7b-v01", "mistral/Mistral-7B-v0.1"],
)
def test_the_likest_name_is_suggested_first(sample: Commands, asked: str) -> None:
    err = sample.refused(1, "models", "show", asked)
    assert "Did you mean mistralai/Mistral-7B-v0.1" in err


def test_no_name_is_like_nothing(sample: Commands) -> None:
    assert "Did you mean" not in sample.refused(1, "models", "show", "")


def test_a_word_that_nothing_has_does_not_spoil_the_suggestions(sample: Commands) -> None:
    err = sample.refused(1, "models", "show", "mistral-7b-xqz")
    assert "Did you mean" in err
    assert "istral-7B" in err
    assert "Did you mean" not in sample.refused(1, "models", "show", "qqqqq")


@pytest.mark.parametrize(
    "arguments",
    [
        ["lineage", "show"],
        ["lineage", "ancestors"],
        ["lineage", "descendants"],
        ["lineage", "path", "mistralai/Mistral-7B-v0.1"],
        ["similar"],
        ["models", "alias", "list"],
        ["models", "compare", "mistralai/Mistral-7B-v0.1"],
        ["models", "search", "--family"],
    ],
    ids=" ".join,
)
def test_unknown_model_everywhere(sample: Commands, arguments: list[str]) -> None:
    assert "No model named 'no/such'" in sample.refused(1, *arguments, "no/such")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "search", "--limit", "0"], "0 is not in the range x>=1"),
        (["models", "search", "--limit", "-3"], "-3 is not in the range x>=1"),
        (["models", "search", "--min-parameters", "seven"], "not a count such as 7B"),
        (["models", "search", "--max-parameters", "-1"], "not a count such as 7B"),
        (["models", "search", "--created-after", "yesterday"], "not a date such as 2026-01-31"),
        (["models", "search", "--modified-before", "2026-02-30"], "not a date"),
        (["models", "search", "--sort", "size"], "'size' is not one of"),
        (["models", "search", "--state", "lost"], "'lost' is not one of"),
        (["models", "search", "--min-parameters", "9B", "--max-parameters", "8B"], "is more than"),
        (["models", "search", "--format", "xml"], "'xml' is not one of"),
        (["models", "compare", "a/b"], "two models or more"),
        (["sync", "--limit", "-1"], "not in the range"),
        (["sync", "--since", "soon"], "not a date"),
        (["sync", "--as-of", "13:00"], "not a date"),
        (["sync", "--lookups", "-1"], "not in the range"),
        (["similar", "a/b", "-k", "0"], "not in the range"),
        (["lineage", "show", "a/b", "--depth", "0"], "not in the range"),
        (["lineage", "show", "a/b", "--direction", "left"], "is not one of"),
        (["lineage", "check", "--problem", "odd"], "is not one of"),
        (["query", "SELECT 1", "--timeout", "0"], "not in the range"),
        (["query", "SELECT 1", "--max-rows", "0"], "not in the range"),
        (["query", "SELECT 1", "--timeout", "nan"], "'--timeout': nan is not a finite number"),
        (["train", "--margin", "nan"], "'--margin': nan is not a finite number"),
        (["train", "--margin", "inf"], "'--margin': inf is not a finite number"),
        (["train", "--most-churn", "nan"], "'--most-churn': nan is not a finite number"),
        (["embeddings", "map", "m.html", "--seed", str(2**32)], "'--seed': 4294967296 is not in"),
        (["query"], "Give the SQL"),
        (["query", "-f", "no-such-file.sql"], "No such file"),
        (["jobs", "run", "dance"], "is not one of"),
        (["models"], "Usage:"),
        (["nonsense"], "No such command"),
        (["status", "--nonsense"], "No such option"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_usage(sample: Commands, arguments: list[str], said: str) -> None:
    assert said in sample.refused(2, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "search", "mistral", "--limit"],
        ["similar", "mistralai/Mistral-7B-v0.1", "-k"],
        ["nearest", "mistralai/Mistral-7B-v0.1", "-k"],
        ["nearest", "mistralai/Mistral-7B-v0.1", "--version"],
        ["lineage", "check", "--problem", "license_drift", "--limit"],
        ["lineage", "ancestors", "mistralai/Mistral-7B-v0.1", "--depth"],
        ["evals", "leaderboard", "--limit"],
        ["query", "SELECT 1", "--max-rows"],
        ["sync", "--lookups"],
        ["sync", "--limit"],
    ],
    ids=" ".join,
)
def test_numbers_that_the_database_does_not_take(sample: Commands, arguments: list[str]) -> None:
    for number in (LARGEST + 1, 10**23):
        err = sample.refused(2, *arguments, str(number))
        assert f"'{arguments[-1]}': {number} is not in the range" in err
        assert err.endswith("<=x<=500000000.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "search", "mistral", "--limit"],
        ["similar", "mistralai/Mistral-7B-v0.1", "-k"],
        ["lineage", "check", "--problem", "license_drift", "--limit"],
        ["query", "SELECT 1", "--max-rows"],
    ],
    ids=" ".join,
)
def test_the_largest_number(sample: Commands, arguments: list[str]) -> None:
    sample.done(*arguments, str(LARGEST))


def test_a_key_beyond_64_bits(commands: Commands) -> None:
    err = commands.refused(2, "evals", "remove", "--run", str(2**63))
    assert f"'--run': {2**63} is not in the range" in err
    assert commands.json("query", "SELECT status FROM job_runs") == []
    for least in (-(2**63), 2**63 - 1):
        assert "in the range" not in commands.refused(2, "evals", "remove", "--run", str(least))


def test_a_reader_that_has_enough_ends_the_command_silently(sample_url: str) -> None:
    with start(
        "--database-url",
        sample_url,
        "query",
        "SELECT repeat('x', 1000) FROM generate_series(1, 9999)",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "repeat\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--format", "table"],
        ["models", "show", "mistralai/Mistral-7B-v0.1", "--format", "table"],
        ["models", "search", "mistral", "--format", "table"],
        ["models", "search", "mistral", "--format", "json"],
        ["models", "search", "mistral"],
        ["--help"],
        ["models", "--help"],
    ],
    ids=" ".join,
)
def test_nobody_reads(sample_url: str, arguments: list[str]) -> None:
    with start("--database-url", sample_url, *arguments, COLUMNS="200") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "quiet"])
def test_no_room_for_the_output(sample_url: str, form: str) -> None:
    err = on_a_full_disk(
        "--database-url", sample_url, "models", "search", "mistral", "--format", form
    )
    assert err.endswith("Error: The output could not be written: No space left on device.\n")


def test_no_room_for_the_help() -> None:
    assert on_a_full_disk("--help").count("\n") == 1


def on_a_full_disk(*arguments: str) -> str:
    """Run `registry`, which must fail, as a process that can write nothing; return its stderr."""
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "registry", *arguments],
            cwd=REPOSITORY,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert process.returncode == 1
    return process.stderr


@contextmanager
def sleeping(url: str) -> Iterator[tuple[subprocess.Popen[str], psycopg.Connection[Any]]]:
    """Have a process that runs a query of a minute, and a connection to look at it from outside."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        start("--database-url", url, "query", "SELECT pg_sleep(60)") as process,
        psycopg.connect(plain, autocommit=True) as watcher,
    ):
        while not watcher.execute(SLEEPING).fetchall():
            assert process.poll() is None
            time.sleep(0.05)
        yield process, watcher


def test_interrupted(sample_url: str) -> None:
    with sleeping(sample_url) as (process, watcher):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, "Error: Interrupted.\n")
        while watcher.execute(SLEEPING).fetchall():
            time.sleep(0.05)


def test_a_server_that_ends_the_connection(sample_url: str) -> None:
    with sleeping(sample_url) as (process, watcher):
        watcher.execute(f"SELECT pg_terminate_backend(pid) FROM ({SLEEPING}) AS found")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4
    # The server's own words, unless the client sees the end of the stream before it reads them.
    assert re.search("terminating connection|server closed the connection unexpectedly", err), err
    assert err.count("\n") == 1


def test_debug_shows_where_it_happened() -> None:
    code, _, err = run("--database-url", "sqlite://", "status", REGISTRY_DEBUG="1")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("Error: --database-url names a sqlite database")


def test_a_name_that_is_not_utf_8(sample_url: str, tmp_path: Path) -> None:
    code, _, err = run(
        "--database-url",
        sample_url,
        "models",
        "show",
        b"caf\xe9/model".decode(errors="surrogateescape"),
    )
    assert code == 2
    assert "UTF-8" in err
    assert "Traceback" not in err


def test_a_lost_connection_is_not_one_that_could_not_be_made() -> None:
    lost = psycopg.OperationalError(
        "consuming input failed: server closed the connection unexpectedly\n\tThis probably means"
    )
    failure = explained(lost, Application("postgresql://me@host/d"))
    assert failure.exit_code == 4
    assert failure.message == (
        "The connection to the database postgresql://me@host/d (from --database-url) was lost: "
        "consuming input failed: server closed the connection unexpectedly. Run this again."
    )
