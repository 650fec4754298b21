"""A reader who does everything that it may: no job waits for it for long, and no disk fills."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import psycopg
import pytest
from factories import rows
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db.embedded import default_data_directory, reader
from registry.db.jobs import Lock, exclusive
from registry.evaluations import upgrades

PATIENCE = 5.0
STUBBORN = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET transaction_timeout = 0",
    "SET lock_timeout = 0",
)


@pytest.fixture
def url(embedded_engine: Engine) -> str:
    """The URL of the reader's login in the embedded server."""
    with embedded_engine.connect() as connection:
        found = reader.url(connection, default_data_directory())
    assert found is not None
    return found.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def crowd(url: str) -> Iterator[list[psycopg.Connection]]:
    """As many sessions of the reader as it gets, without limits of time."""
    with ExitStack() as stack:
        sessions: list[psycopg.Connection] = []
        with suppress(psycopg.OperationalError):
            while len(sessions) < 64:
                sessions.append(stack.enter_context(closing(psycopg.connect(url))))
                sessions[-1].autocommit = True
                for setting in STUBBORN:
                    sessions[-1].execute(setting)
        yield sessions


def test_sessions_that_sleep_in_transactions_delay_no_job(
    embedded_engine: Engine, crowd: list[psycopg.Connection]
) -> None:
    assert 32 < len(crowd) <= reader.CONNECTIONS
    with embedded_engine.connect() as connection:
        views = rows(connection, "SELECT identity FROM store.sql_objects WHERE kind = 'VIEW'")
    for number, session in enumerate(crowd):
        session.execute("BEGIN")
        for (view,) in views[number::3]:
            session.execute(f"LOCK TABLE {view} IN ACCESS SHARE MODE")
    began = time.monotonic()
    with exclusive(embedded_engine, Lock.CATALOG), embedded_engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE store.models, store.runs IN ACCESS EXCLUSIVE MODE")
    assert time.monotonic() - began < PATIENCE


def test_an_upgrade_goes_on_beside_them(
    embedded_engine: Engine, crowd: list[psycopg.Connection]
) -> None:
    with embedded_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.sql_objects SET fingerprint = 'another version'")
    for session in crowd:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM registry.models, registry.leaderboard")
    began = time.monotonic()
    upgrades.upgrade(embedded_engine, embedded=True)
    took = time.monotonic() - began
    with embedded_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.sql_objects SET fingerprint = 'another version'")
    began = time.monotonic()
    upgrades.upgrade(embedded_engine, embedded=True)
    assert took - (time.monotonic() - began) < PATIENCE


def test_a_promotion_goes_on_while_the_queue_of_notifications_fills(
    embedded_engine: Engine, crowd: list[psycopg.Connection]
) -> None:
    asleep, busy = crowd[0], crowd[1]
    asleep.execute("LISTEN flood")
    asleep.execute("BEGIN")
    asleep.execute("SELECT 1")
    payload = "x" * 7900
    for _ in range(20):
        busy.execute(f"NOTIFY flood, '{payload}'")
    with database.writing(embedded_engine) as connection:
        connection.execute(text("SELECT pg_notify('embeddings', '{}')"))


def test_a_sort_fills_no_disk(embedded_engine: Engine, url: str) -> None:
    statement = """
        SELECT count(*) FROM (SELECT n, repeat('x', 1000) FROM generate_series(1, 4000000) n
                               ORDER BY n DESC OFFSET 0) AS sorted"""
    with embedded_engine.begin() as connection:
        connection.exec_driver_sql("ALTER ROLE registry_reader SET temp_file_limit = '16MB'")
    with closing(psycopg.connect(url, autocommit=True)) as session:
        for lifted in ("SET temp_file_limit = -1", "ALTER ROLE CURRENT_USER RESET temp_file_limit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(lifted)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            session.execute(statement)
    with embedded_engine.begin() as connection:
        reader.prepare(connection, default_data_directory())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE t ()",
        "CREATE TABLE public.t ()",
        "SELECT lo_create(0)",
        "DO $$ BEGIN END $$",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_logical_emit_message(false, 'x', 'y')",
        "SELECT pg_export_snapshot()",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
        "SET log_min_messages = debug5",
        "SET log_min_error_statement = error",
        "SET log_statement_stats = on",
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    ],
)
def test_a_session_of_the_readers_may_not(url: str, statement: str) -> None:
    with (
        closing(psycopg.connect(url, autocommit=True)) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(statement)


def test_failed_statements_fill_no_log(url: str) -> None:
    log = default_data_directory() / "postgres.log"
    before = log.stat().st_size
    with closing(psycopg.connect(url, autocommit=True)) as session:
        for _ in range(20):
            with pytest.raises(psycopg.errors.SyntaxError):
                session.execute("failing " + "x" * 100_000)
    assert log.stat().st_size - before < 10_000


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_the_reader_cannot_connect_to_another_database(url: str, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url.rpartition("/")[0] + f"/{name}")
