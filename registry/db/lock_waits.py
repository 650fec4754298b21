"""Waits of a command's sessions for locks in the database, and the sessions that hold them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from registry.bounded import waiting

logger = logging.getLogger("registry.db.lock_waits")

# A session that waits, the first that holds what it waits for, and what that does.
_WAITS = """
    SELECT extract(epoch FROM clock_timestamp() - waits.query_start)::int,
           holder.pid, coalesce(holder.usename, 'the server'),
           nullif(holder.application_name, ''), holder.state,
           extract(epoch FROM clock_timestamp() - holder.xact_start)::int
      FROM pg_stat_activity waits
      JOIN pg_stat_activity holder ON holder.pid = (pg_blocking_pids(waits.pid))[1]
     WHERE waits.pid = ANY (%s) AND waits.wait_event_type = 'Lock'"""

# Sessions with locks on the registry's tables, those in a transaction for the longest time first.
_HOLDERS = """
    SELECT 0, holder.pid, coalesce(holder.usename, 'the server'),
           nullif(holder.application_name, ''), holder.state,
           extract(epoch FROM clock_timestamp() - holder.xact_start)::int
      FROM pg_stat_activity holder
     WHERE holder.pid <> pg_backend_pid()
       AND EXISTS (SELECT FROM pg_locks JOIN pg_class ON pg_class.oid = relation
                    WHERE pg_locks.pid = holder.pid AND granted
                      AND pg_locks.database = (SELECT oid FROM pg_database
                                                WHERE datname = current_database())
                      AND relnamespace::regnamespace::text IN ('store', 'registry'))
     ORDER BY holder.xact_start"""


@contextmanager
def said(engine: Engine) -> Iterator[None]:
    """Log every few seconds of a block for which lock a session of an engine waits, and who has it.

    What a command waits for is shown so; the wait itself goes on.
    """
    sessions: set[int] = set()

    def opened(driver: psycopg.Connection, _: object) -> None:
        sessions.add(driver.info.backend_pid)

    def closed(driver: psycopg.Connection, _: object) -> None:
        with suppress(psycopg.Error):  # it has been lost
            sessions.discard(driver.info.backend_pid)

    event.listen(engine, "connect", opened)
    event.listen(engine, "close", closed)
    ended = Event()
    thread = Thread(target=_watch, args=(engine, sessions, ended), name="lock waits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(waiting.EVERY)
        event.remove(engine, "connect", opened)
        event.remove(engine, "close", closed)


def holders(engine: Engine) -> list[str]:
    """Return the sessions that hold locks on the registry's tables, as messages name them."""
    with _session(engine) as connection:
        return [_named(*row[1:]) for row in connection.execute(_HOLDERS)]


def _watch(engine: Engine, sessions: set[int], ended: Event) -> None:
    while not ended.wait(waiting.EVERY):
        # It is only about a line: what fails here, fails in the command too.
        with suppress(psycopg.Error, OSError), _session(engine) as connection:
            for seconds, *holder in connection.execute(_WAITS, (list(sessions),)):
                logger.info(
                    "Waiting for a lock that %s holds (%d s so far)", _named(*holder), seconds
                )


@contextmanager
def _session(engine: Engine) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    # Beside the engine: it must not count as one of the command's own.
    arguments, options = engine.dialect.create_connect_args(engine.url)
    timeout = {"connect_timeout": 10, "application_name": "registry"}
    with psycopg.connect(*arguments, **{**options, **timeout}, autocommit=True) as connection:
        yield connection


def _named(
    pid: int, user: str, application: str | None, state: str | None, seconds: int | None
) -> str:
    since = "" if seconds is None else f" for {seconds:,} s"
    doing = ", ".join(each for each in (application, f"{state or 'active'}{since}") if each)
    return f"session {pid} of {user} ({doing})"
