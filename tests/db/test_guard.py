"""Guard: what readers leave open delays no job for long."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from readers import reader
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import guard
from registry.db.guard import _end, end_readers
from registry.db.jobs import Lock, exclusive
from registry.errors import RegistryError
from registry.evaluations import upgrades

PIDS = """
SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
 WHERE application_name = 'registry guard' AND datname = current_database()"""
STUBBORN = "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0"


@contextmanager
def opened(url: str) -> Iterator[psycopg.Connection]:
    """Open a session in a transaction; it may be ended."""
    with closing(psycopg.connect(url, autocommit=True)) as session:
        session.execute("BEGIN")
        yield session


def test_a_reader_that_sleeps_in_a_transaction_delays_no_job(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with reader(engine) as url, opened(url) as asleep, opened(url) as at_work:
        asleep.execute(STUBBORN)
        asleep.execute("SELECT count(*) FROM registry.models")
        at_work.execute("SELECT count(*) FROM registry.scores")
        began = time.monotonic()
        with exclusive(engine, Lock.CATALOG), engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE store.models IN ACCESS EXCLUSIVE MODE")
        assert time.monotonic() - began < 5
        for each in (asleep, at_work):
            with pytest.raises(psycopg.OperationalError):
                each.execute("SELECT 1")
    assert "which blocked this job" in caplog.text


def test_a_reader_at_work_elsewhere_is_left_alone(engine: Engine) -> None:
    with reader(engine) as url, psycopg.connect(url, autocommit=True) as other:
        with opened(url) as asleep:
            asleep.execute("SELECT count(*) FROM registry.models")
            with database.writing(engine) as connection:
                connection.exec_driver_sql("LOCK TABLE store.models IN ACCESS EXCLUSIVE MODE")
        other.execute("SELECT 1")


def test_a_writer_is_left_alone(engine: Engine) -> None:
    with engine.connect() as writer:
        writer.exec_driver_sql("SELECT count(*) FROM registry.models")
        with engine.begin() as connection:
            connection.exec_driver_sql("SET lock_timeout = '2500ms'")
            with exclusive(engine, Lock.CATALOG), pytest.raises(Exception, match="lock timeout"):
                connection.exec_driver_sql("LOCK TABLE store.models IN ACCESS EXCLUSIVE MODE")
        assert writer.scalar(text("SELECT 1")) == 1


def test_an_owner_that_has_the_role_of_readers_is_left_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "OLDEST", 0)
    with reader(engine, "IN ROLE registry_owner") as url, opened(url) as writer:
        writer.execute("SELECT count(*) FROM registry.models")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            assert end_readers(connection, set()) == 0
        writer.execute("SELECT 1")


def test_a_reader_does_not_hold_up_an_upgrade(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.sql_objects SET fingerprint = 'another version'")
    with reader(engine) as url, opened(url) as asleep:
        asleep.execute(STUBBORN)
        asleep.execute("SELECT count(*) FROM registry.models, registry.leaderboard")
        began = time.monotonic()
        upgrades.upgrade(engine)
        assert time.monotonic() - began < 10


def test_what_a_reader_has_left_open_for_long_is_ended(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "OLDEST", 0)
    with reader(engine) as url, opened(url) as old:
        old.execute("SELECT count(*) FROM registry.models")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            assert end_readers(connection, set()) == 1
            assert end_readers(connection, set()) == 0


def test_an_owner_without_the_right_hears_of_it_once(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with reader(engine) as url, reader(engine) as owner, opened(url) as asleep:
        asleep.execute("SELECT count(*) FROM registry.models")
        session = text("SELECT pid, usename FROM pg_stat_activity WHERE pid = :pid")
        with database.create_engine(owner).connect() as connection:
            row = connection.execute(session, {"pid": asleep.info.backend_pid}).one()
            refused: set[str] = set()
            for _ in range(2):
                assert (
                    _end(connection, row, "blocked this job", refused, connection.begin_nested) == 0
                )
    assert caplog.text.count("pg_signal_backend") == 1


def test_the_guard_outlives_a_lost_connection(engine: Engine) -> None:
    with exclusive(engine, Lock.CATALOG):
        raw = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with raw as connection:
            ended: list[bool] = []
            deadline = time.monotonic() + 20
            while not ended and time.monotonic() < deadline:
                time.sleep(0.1)
                ended = list(connection.scalars(text(PIDS)))
            assert ended == [True]
        with reader(engine) as url, opened(url) as asleep:
            asleep.execute("SELECT count(*) FROM registry.models")
            with engine.begin() as connection:
                connection.exec_driver_sql("SET lock_timeout = '5s'")
                connection.exec_driver_sql("LOCK TABLE store.models IN ACCESS EXCLUSIVE MODE")


def test_a_failed_job_ends_its_guard(engine: Engine) -> None:
    with pytest.raises(RegistryError), exclusive(engine, Lock.CATALOG):
        raise RegistryError("so be it")
