"""Locks of jobs: what one job at a time may change, and who holds a lock.

A lock is EXCLUSIVE mode on an empty view in schema `store` that only the owner has a right to:
nobody else can take it, as everybody can take an advisory lock. A view, since VACUUM of the whole
database would wait for a table. The transaction that holds one is idle, in READ COMMITTED: it has
no snapshot and no number, so it holds back no VACUUM.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db.guard import end_holders, guarded
from registry.db.revisions import current_revision
from registry.errors import LockHeldError

GUARDED_BY_VIEWS = "0015"
"""Revision from which locks are views; processes of versions before it take advisory locks."""

_LONGEST_NAME = 63
"""Bytes of an application's name that a server keeps."""


class Lock(StrEnum):
    """What one job at a time may change; the values are jobs, for messages."""

    SCHEMA = "db upgrade"
    CATALOG = "sync"
    EVALUATIONS = "evals import"
    TRAINING = "train"
    PLACEMENT = "place"

    @property
    def view(self) -> str:
        """Name of the view that is locked."""
        return f"store.lock_{self.name.lower()}"

    @property
    def key(self) -> str:
        """Name of the advisory lock that versions before 0015 take."""
        return f"registry.{self}"


@contextmanager
def exclusive(engine: Engine, *locks: Lock, name: str | None = None) -> Iterator[None]:
    """Hold locks; the database frees them if this process dies.

    Meanwhile readers that block it are ended.

    Args:
        engine: of the database.
        locks: in the order in which they are taken.
        name: of the job, for messages of others; that of the first lock if None.

    Raises:
        LockHeldError: when another process holds one of them.
    """
    with lock_connection(engine) as connection, connection.begin() as transaction:
        for lock in locks:
            hold(connection, lock, name or str(locks[0]))
        try:
            with guarded(engine):
                yield
        finally:
            if not connection.closed and not connection.invalidated:
                transaction.rollback()


def lock_connection(engine: Engine) -> Connection:
    """Open a connection of which no transaction has a snapshot between statements."""
    return engine.connect().execution_options(isolation_level="READ COMMITTED")


def hold(connection: Connection, lock: Lock, name: str) -> None:
    """Take a lock until the transaction ends.

    Args:
        connection: in a transaction.
        lock: to take.
        name: of the job.

    Raises:
        LockHeldError: when another process holds it.
    """
    _stay_open(connection, name)
    if not _by_view(connection):
        _hold_advisory(connection, lock)
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"LOCK TABLE {lock.view} IN EXCLUSIVE MODE NOWAIT")
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise
        raise LockHeldError(_held(lock, _holder(connection, lock))) from error


def all_locks(connection: Connection) -> tuple[Lock, ...]:
    """Return the locks that an upgrade takes: all where processes may run that know no views.

    Such a process checks the revision when it begins, and so cannot begin after the upgrade.
    """
    revision = current_revision(connection)
    if revision is not None and revision < GUARDED_BY_VIEWS:
        return (Lock.CATALOG, Lock.EVALUATIONS, Lock.TRAINING, Lock.PLACEMENT)
    return (Lock.CATALOG, Lock.EVALUATIONS)


def _by_view(connection: Connection) -> bool:
    # All of them come with one revision.
    return connection.scalar(text("SELECT to_regclass(:view)"), {"view": Lock.SCHEMA.view}) is not (
        None
    )


def _stay_open(connection: Connection, name: str) -> None:
    """Let no limit of the server end an idle transaction, and say whose it is."""
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    connection.execute(
        text("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = :name"),
        {"name": "transaction_timeout"},  # from Postgres 17
    )
    own = f"registry {name}, process {os.getpid()} on {platform.node()}"
    connection.execute(
        text("SELECT set_config('application_name', :own, true)"), {"own": own[:_LONGEST_NAME]}
    )


def _hold_advisory(connection: Connection, lock: Lock) -> None:
    """Take the lock as versions before 0015 do; a reader that holds it is ended."""
    attempt = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
    for _ in range(2):
        if connection.scalar(attempt, {"key": lock.key}):
            return
        if not end_holders(connection, lock.key):
            break
    raise LockHeldError(_held(lock, None))


_HOLDER = text("""
    SELECT a.pid, a.application_name, a.xact_start
      FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
     WHERE l.relation = to_regclass(:view) AND l.granted AND l.mode = 'ExclusiveLock'
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())""")


def _holder(connection: Connection, lock: Lock) -> str | None:
    row = connection.execute(_HOLDER, {"view": lock.view}).one_or_none()
    if row is None:
        return None
    started: datetime | None = row.xact_start
    since = f" since {started.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if started else ""
    who = row.application_name.removeprefix("registry ") if row.application_name else "a session"
    return f"{who}{since} (server process {row.pid})"


def _held(lock: Lock, holder: str | None) -> str:
    who = f": {holder}" if holder else ""
    return f"Another {lock} is running{who}; try again when it has finished."
