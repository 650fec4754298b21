"""Users' SQL statements, run by a login that may only read, within limits of time and size."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db import connection as database
from registry.db import errors, roles
from registry.db.query import login, stream
from registry.db.query.kinds import QueryError, require_reading
from registry.db.revisions import require_head
from registry.db.schema import metadata
from registry.errors import RegistryError, UsageError

__all__ = ["MOST_BYTES", "QueryError", "QueryResult", "run_query"]

MOST_BYTES = 64 << 20
"""Bytes of a result's values that are let through by default."""

_ENDED = "57P01"
"""SQLSTATE of a session that somebody ended."""

_DENIED = re.compile(
    r"permission denied for (?P<kind>schema|(?:(?:foreign |materialized )?(?:table|view)))"
    r" (?P<name>.+)"
)


@dataclass(slots=True)
class QueryResult:
    """The rows of a statement, fetched as they are consumed.

    At the end `cut_off` is what there was more of than allowed, "rows" or "bytes", and `count` the
    number of rows that were let through.
    """

    columns: Sequence[str]
    rows: Iterator[Sequence[object]] = field(default_factory=lambda: iter(()))
    cut_off: str | None = None
    count: int = 0


@contextmanager
def run_query(
    engine: Engine,
    statement: str,
    *,
    timeout: float,
    max_rows: int,
    max_bytes: int = MOST_BYTES,
) -> Iterator[QueryResult]:
    """Run one statement in a transaction that only reads, and undo it at the end.

    It runs as a login with no rights but the reader's, with the schemas `registry` and `public` in
    its search path.

    Args:
        engine: of a database at head.
        statement: SQL that reads: SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW.
        timeout: seconds that it may take; its session is ended when it does not end in time.
        max_rows: how many rows to let through.
        max_bytes: how many bytes of values to let through.

    Raises:
        UsageError: when it is no such statement, more than one, or one with parameters.
        QueryError: when Postgres refuses or fails to run it, with the position if it is known.
        RegistryError: when there is no login that may only read.
    """
    require_reading(statement)
    with login.opened(engine) as reading, reading.connect() as connection:
        driver = database.driver_connection(connection)
        pid = driver.info.backend_pid
        transaction = connection.begin()
        try:
            _prepare(connection, timeout)
            yield from _run(driver, statement, (timeout, max_rows, max_bytes))
        except stream.OverdueError as error:
            _terminate(engine, pid)
            raise _overdue(timeout) from error
        except stream.LargeRowError as error:
            raise QueryError(
                f"A row (or an error) has more than {stream.LARGEST_ROW >> 20} MB. Select parts of "
                "its values (left, substr), or copy it with psql: \\copy (SELECT ...) TO file."
            ) from error
        except psycopg.Error as error:
            if errors.is_lost(error) and error.sqlstate != _ENDED:
                # It cannot be rolled back.
                connection.invalidate()
                raise
            raise _failure(error, statement, timeout) from error
        finally:
            if driver.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                # Not read to its end, which may be far; the server notices that nobody reads.
                with suppress(psycopg.Error):
                    driver.pgconn.get_cancel().cancel()
                connection.invalidate()
            elif not connection.invalidated:
                with suppress(DBAPIError):  # the server has ended it
                    transaction.rollback()


def _prepare(connection: Connection, timeout: float) -> None:
    """Begin a transaction that only reads; its first statement has fixed that for the others."""
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    require_head(connection)
    # A session whose command is gone ends, and so does one that catches the end of its time.
    limit = max(1, round(timeout * 1000))
    settings = {
        "statement_timeout": limit,
        "transaction_timeout": limit + round(stream.GRACE * 1000),
        "client_connection_check_interval": 1000,
    }
    for name, value in settings.items():
        connection.execute(
            text("SELECT set_config(name, :value, true) FROM pg_settings WHERE name = :name"),
            {"name": name, "value": str(value)},
        )
    connection.exec_driver_sql("SET LOCAL search_path = registry, public")


def _run(
    driver: psycopg.Connection[tuple[object, ...]], statement: str, limits: tuple[float, int, int]
) -> Iterator[QueryResult]:
    columns = _columns(driver, statement)
    with driver.cursor() as cursor:
        _load_all_times(cursor)
        result = QueryResult(columns)
        rows = _capped(result, cursor, statement, limits)
        result.rows = rows if columns else iter(list(rows))
        # However the block ends: rows that are still sent block the connection.
        with closing(rows):
            yield result


def _terminate(engine: Engine, pid: int) -> None:
    """End the session of a statement that does not end; failing that, the server sees it closed."""
    with suppress(DBAPIError), engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


def _capped(
    result: QueryResult,
    cursor: psycopg.Cursor[tuple[object, ...]],
    statement: str,
    limits: tuple[float, int, int],
) -> Generator[Sequence[object], None, None]:
    timeout, max_rows, left = limits
    with closing(stream.rows(cursor, statement.encode(), timeout)) as rows:
        for row, size in rows:
            left -= size
            if result.count == max_rows or left < 0:
                result.cut_off = "rows" if result.count == max_rows else "bytes"
                return
            result.count += 1
            yield row


class _Lenient(Loader):
    """Loads values as Python's, and those that Python lacks, such as infinity, as text.

    Also where a role or a database is set to another date style than ISO.
    """

    strict: type[Loader]

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._strict = self.strict(oid, context)

    def load(self, data: Buffer) -> object:
        try:
            return self._strict.load(data)
        except (psycopg.DataError, OverflowError, NotImplementedError):
            return bytes(data).decode()


def _load_all_times(cursor: psycopg.Cursor[tuple[object, ...]]) -> None:
    """Make a cursor load all dates, times and intervals: those of Python end with the year 9999.

    Intervals have months in Postgres but not in Python, and JSON has no time with a zone.
    """
    for name in ("interval", "timetz"):
        cursor.adapters.register_loader(name, TextLoader)
    for name in ("date", "time", "timestamp", "timestamptz"):
        oid = psycopg.adapters.types[name].oid
        strict = cursor.adapters.get_loader(oid, pq.Format.TEXT)
        assert strict is not None
        cursor.adapters.register_loader(oid, type(strict.__name__, (_Lenient,), {"strict": strict}))


def _columns(driver: psycopg.Connection[tuple[object, ...]], statement: str) -> list[str]:
    """Let the server parse the statement without running it; return its columns."""
    name = b""  # one with a name could be run again, by EXECUTE
    connection = driver.pgconn
    prepared = connection.prepare(name, statement.encode())
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(prepared, "utf-8")
    described = connection.describe_prepared(name)
    if described.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(described, "utf-8")
    if described.nparams:
        raise UsageError("SQL: the parameter $1 has no value; write the value itself.")
    names = [described.fname(number) or b"" for number in range(described.nfields)]
    return [each.decode() for each in names]


def _overdue(timeout: float) -> QueryError:
    return QueryError(
        f"The statement took longer than {timeout:g} s and was stopped; --timeout gives it more."
    )


def _failure(error: psycopg.Error, statement: str, timeout: float) -> RegistryError:
    message = error.diag.message_primary or " ".join(str(error).split())
    place = _place(error, statement)
    match error.sqlstate:
        case "42601" if "multiple commands" in message:
            return UsageError("There is more than one statement; give one.")
        case "42601":
            return UsageError(f"SQL: {message}{place}.")
        case "57014" | "25P04":
            return _overdue(timeout)
        case "25006":
            return QueryError(f"This only reads: {message}.")
        case "57P01" if error.diag.severity_nonlocalized == "FATAL":
            return QueryError("The statement was ended: a job waited for it, or its owner did so.")
        case "53400":
            return QueryError(f"The statement needs too much room on disk: {message}.")
    hint = error.diag.message_hint or _hint_for_the_reader(error)
    return QueryError(f"SQL: {message}{place}. {hint}".rstrip())


def _hint_for_the_reader(error: psycopg.Error) -> str:
    """Return how to grant the reader an object that is not the registry's, as a user's view."""
    denied = _DENIED.fullmatch(error.diag.message_primary or "")
    if denied is None or denied["name"] in {table.name for table in metadata.tables.values()}:
        return ""
    right = "USAGE ON SCHEMA" if denied["kind"] == "schema" else "SELECT ON"
    return (
        f"`registry query` reads as {roles.READER}; the owner grants it: "
        f"GRANT {right} {denied['name']} TO {roles.READER}."
    )


def _place(error: psycopg.Error, statement: str) -> str:
    if not error.diag.statement_position:
        return ""
    position = int(error.diag.statement_position) - 1
    before = statement[:position]
    line, column = before.count("\n") + 1, position - before.rfind("\n")
    return f", at line {line}, column {column}"
