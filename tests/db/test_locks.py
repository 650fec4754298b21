"""Locks of jobs: nobody but the owner can take them, and they hold nothing else up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from databases import Databases
from factories import rows
from readers import reader
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from registry.db import connection as database
from registry.db import migrate
from registry.db.jobs import Lock, exclusive, job
from registry.errors import LockHeldError
from registry.evaluations import upgrades

HELD = """
SELECT a.backend_xid IS NULL AND a.backend_xmin IS NULL AND a.state = 'idle in transaction'
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.relation = 'store.lock_catalog'::regclass AND l.granted
   AND a.datname = current_database()"""
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)


@contextmanager
def advisory(url: str, key: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
        yield other


@pytest.mark.parametrize("lock", list(Lock))
def test_a_reader_cannot_take_a_lock(engine: Engine, lock: Lock) -> None:
    with reader(engine) as url, advisory(url, lock.key) as other:
        for mode in MODES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), other.transaction():
                other.execute(f"LOCK TABLE {lock.view} IN {mode} MODE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(f"TABLE {lock.view}")
        with exclusive(engine, lock), pytest.raises(LockHeldError), exclusive(engine, lock):
            pass


def test_the_message_says_who_holds_a_lock(engine: Engine) -> None:
    with job(engine, "evals remove", lock=Lock.EVALUATIONS, doing="remove"):
        with pytest.raises(LockHeldError) as raised, exclusive(engine, Lock.EVALUATIONS):
            pass
        with engine.connect() as connection:
            ((pid,),) = rows(
                connection,
                "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE mode = 'ExclusiveLock' AND granted AND datname = current_database()"
                " AND relation = 'store.lock_evaluations'::regclass",
            )
    said = str(raised.value)
    assert said.startswith(f"Another evals import is running: evals remove, process {os.getpid()} ")
    assert f" UTC (server process {pid}); try again" in said


def test_the_holder_of_a_lock_in_another_database_is_not_named(
    engine: Engine, databases: Databases
) -> None:
    with databases.made(template=databases.template()) as url:
        other = database.create_engine(url)
        with exclusive(other, Lock.CATALOG, name="theirs"):
            with exclusive(engine, Lock.CATALOG, name="ours"):
                with pytest.raises(LockHeldError, match="is running: ours, process "):
                    with exclusive(engine, Lock.CATALOG):
                        pass
        other.dispose()


def test_a_held_lock_has_no_snapshot_and_no_limit_of_time(engine: Engine) -> None:
    with engine.begin() as connection:
        name = engine.url.database
        connection.exec_driver_sql(
            f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '100ms'"
        )
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET transaction_timeout = '300ms'")
    with exclusive(engine, Lock.CATALOG), engine.connect() as connection:
        connection.exec_driver_sql("SET transaction_timeout = 0")
        connection.exec_driver_sql("SELECT pg_sleep(0.5)")
        assert rows(connection, HELD) == [(True,)]


def test_vacuum_waits_for_no_lock(engine: Engine) -> None:
    with exclusive(engine, *Lock), engine.connect() as connection:
        raw = connection.execution_options(isolation_level="AUTOCOMMIT")
        raw.exec_driver_sql("SET lock_timeout = '100ms'")
        raw.exec_driver_sql("VACUUM (ANALYZE, SKIP_LOCKED false)")


@pytest.mark.parametrize("lock", list(Lock))
def test_an_upgrade_waits_for_no_job_of_an_older_version(
    engine: Engine, database_url: str, lock: Lock
) -> None:
    migrate.downgrade(engine, "0014")
    with advisory(database_url, lock.key):
        with pytest.raises(LockHeldError, match=f"Another {lock} is running; try again"):
            upgrades.upgrade(engine)
    assert upgrades.upgrade(engine).before == "0014"


def test_a_reader_does_not_stop_an_upgrade_by_the_locks_of_older_versions(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    migrate.downgrade(engine, "0014")
    with reader(engine) as url, advisory(url, Lock.TRAINING.key) as other:
        assert upgrades.upgrade(engine).before == "0014"
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
    assert "which held a lock" in caplog.text


def test_a_lock_is_free_when_its_session_is_gone(engine: Engine) -> None:
    end = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE relation = 'store.lock_catalog'::regclass AND granted"
        " AND datname = current_database()"
    )
    with exclusive(engine, Lock.TRAINING), suppress(OperationalError):
        with exclusive(engine, Lock.CATALOG):
            with engine.connect() as connection:
                connection.execute(end)
            with exclusive(engine, Lock.CATALOG):
                pass
