"""Guard of jobs against readers: sessions of readers that keep a job waiting are ended.

A reader may read for as long as it likes and may lift every time limit that its role is given, so
only another session can end a transaction that it leaves open.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import psycopg
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError, OperationalError

_log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that a job waits for a reader; less than the lock timeouts of jobs, which are 4 s."""

OLDEST = 3600
"""Seconds that a reader's transaction may last while a job runs: VACUUM keeps what it could see."""

_CROWDED = 0.25
"""Share of the queue of notifications from which idle listeners are ended: when full, NOTIFY fails.
"""

_JOIN = 10.0  # seconds; a statement of the guard may be under way

_READERS = """
    SELECT a.pid, a.usename, a.state, a.xact_start
      FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.datname = current_database() AND NOT r.rolsuper
       AND pg_has_role(r.oid, to_regrole('registry_reader'), 'MEMBER')
       AND NOT coalesce(has_table_privilege(r.oid, to_regclass('store.models'), 'INSERT'), false)"""

_IN_THE_WAY = text(f"""
    WITH readers AS MATERIALIZED ({_READERS}),
    blocking AS MATERIALIZED (
        SELECT DISTINCT unnest(pg_blocking_pids(l.pid)) AS pid
          FROM pg_locks l JOIN pg_stat_activity w USING (pid)
         WHERE NOT l.granted AND w.usename = session_user AND w.datname = current_database()
           AND l.waitstart < clock_timestamp() - make_interval(secs => :patience)
    )
    SELECT pid, usename, pid IN (SELECT pid FROM blocking) AS blocks
      FROM readers
     WHERE pid IN (SELECT pid FROM blocking)
        OR xact_start < clock_timestamp() - make_interval(secs => :oldest)
        OR state LIKE 'idle in transaction%' AND (
               EXISTS (SELECT FROM blocking JOIN readers USING (pid))
               OR pg_notification_queue_usage() > :crowded)""")  # noqa: S608

_HOLDERS = text(f"""
    WITH key AS (SELECT hashtextextended(:key, 0) AS number)
    SELECT r.pid, r.usename, true AS blocks
      FROM pg_locks l JOIN ({_READERS}) r USING (pid)
     WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (l.classid::bigint << 32) + l.objid::bigint = (SELECT number FROM key)""")  # noqa: S608


@contextmanager
def guarded(engine: Engine) -> Iterator[None]:
    """End readers that keep this login's sessions waiting, for the length of a block.

    What takes less than a second opens no connection.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(engine, ended), name="guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_JOIN)


def _watch(engine: Engine, ended: threading.Event) -> None:
    refused: set[str] = set()
    while not ended.wait(PATIENCE):
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("SET application_name = 'registry guard'")
                end_readers(connection, refused)
                while not ended.wait(PATIENCE):
                    end_readers(connection, refused)
        except (DBAPIError, psycopg.Error) as error:
            # Whatever it is ends no job: the job itself fails where it matters.
            _log.debug("The guard of jobs failed: %s", error)
            if not isinstance(error, psycopg.OperationalError | OperationalError):
                _log.warning("Readers cannot be watched: %s", " ".join(str(error).split())[:200])
                return


def end_readers(connection: Connection, refused: set[str]) -> int:
    """End the sessions of readers that are in the way of jobs now; return how many.

    Args:
        connection: in AUTOCOMMIT, of the login that jobs run as.
        refused: readers of which a message has said that they may not be ended; it grows.
    """
    limits = {"patience": PATIENCE, "oldest": OLDEST, "crowded": _CROWDED}
    ended = 0
    for row in connection.execute(_IN_THE_WAY, limits).all():
        reason = "blocked this job" if row.blocks else "left a transaction open"
        # Without waiting for each to be gone: many are ended at once, and looked at again.
        ended += _end(connection, row, reason, refused, wait=0)
    return ended


def end_holders(connection: Connection, key: str) -> int:
    """End readers that hold an advisory lock; return how many.

    Args:
        connection: in a transaction, which goes on.
        key: of the lock.
    """
    return sum(
        _end(connection, row, "held a lock", set(), connection.begin_nested)
        for row in connection.execute(_HOLDERS, {"key": key}).all()
    )


def _end(
    connection: Connection,
    session: Row[tuple[object, ...]],
    reason: str,
    refused: set[str],
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
    *,
    wait: int = 1000,
) -> int:
    pid, reader = session.pid, session.usename
    try:
        with around():
            ended = connection.scalar(
                text("SELECT pg_terminate_backend(:pid, :wait)"), {"pid": pid, "wait": wait}
            )
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise
        if reader not in refused:
            refused.add(reader)
            _log.warning(
                "Session %d of the reader %s %s, and this login may not end it: "
                "GRANT pg_signal_backend TO CURRENT_USER lets it",
                *(pid, reader, reason),
            )
        return 0
    if ended:
        _log.warning("Ended session %d of the reader %s, which %s", pid, reader, reason)
    return int(bool(ended))
