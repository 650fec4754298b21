"""A user's SQL statement, run read-only and within a time limit."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import errors, roles
from registry.db.revisions import require_head
from registry.db.schema import metadata
from registry.errors import RegistryError, UsageError

CHUNK = 500
"""Rows that are fetched from the server at a time."""

NO_STATEMENT = "There is no SQL statement to run."

_DENIED = re.compile(
    r"permission denied for (?P<kind>schema|(?:(?:foreign |materialized )?(?:table|view)))"
    r" (?P<name>.+)"
)


class QueryError(RegistryError):
    """The statement failed."""


@dataclass(slots=True)
class QueryResult:
    """The rows of a statement, fetched as they are consumed.

    `cut_off` is True at the end if there were more rows than allowed.
    """

    columns: Sequence[str]
    rows: Iterator[Sequence[object]] = field(default_factory=lambda: iter(()))
    cut_off: bool = False


@contextmanager
def run_query(
    engine: Engine, statement: str, *, timeout: float, max_rows: int
) -> Iterator[QueryResult]:
    """Run one statement in a transaction that only reads, and undo it at the end.

    It runs as the role `registry_reader` where the user may act as it, with the schemas `registry`
    and `public` in its search path.

    Args:
        engine: of a database at head.
        statement: SQL.
        timeout: seconds that it may take.
        max_rows: how many rows to let through.

    Raises:
        UsageError: when it is no statement, more than one, or one with parameters.
        QueryError: when Postgres refuses or fails to run it, with the position if it is known.
    """
    if not statement.strip():
        raise UsageError(NO_STATEMENT)
    with engine.connect() as connection, connection.begin() as transaction:
        require_head(connection)
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        as_reader = roles.can_read_as_reader(connection)
        if as_reader:
            connection.exec_driver_sql(f"SET LOCAL ROLE {roles.READER}")
        connection.exec_driver_sql("SET LOCAL search_path = registry, public")
        connection.execute(
            text("SELECT set_config('statement_timeout', :milliseconds, true)"),
            {"milliseconds": str(max(1, round(timeout * 1000)))},
        )
        driver = database.driver_connection(connection)
        try:
            columns = _columns(driver, statement)
            with driver.cursor() as cursor:
                _load_all_times(cursor)
                if columns:
                    result = QueryResult(columns)
                    rows = _capped(result, cursor, statement, max_rows)
                    result.rows = rows
                    # However the block ends: rows that are still sent block the connection.
                    with closing(rows):
                        yield result
                else:
                    _run_without_rows(cursor, statement)
                    yield QueryResult(())
        except psycopg.ProgrammingError as error:
            if error.sqlstate is None:
                # COPY: the server waits for data to be read or written, and for nothing else.
                connection.invalidate()
                raise QueryError("COPY cannot be used here; --format csv writes rows.") from error
            raise _failure(error, statement, timeout, as_reader=as_reader) from error
        except psycopg.Error as error:
            if errors.is_lost(error):
                # It cannot be rolled back.
                connection.invalidate()
                raise
            raise _failure(error, statement, timeout, as_reader=as_reader) from error
        finally:
            transaction.rollback()


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


def _capped(
    result: QueryResult,
    cursor: psycopg.Cursor[tuple[object, ...]],
    statement: str,
    max_rows: int,
) -> Generator[Sequence[object], None, None]:
    rows = cursor.stream(statement.encode(), size=CHUNK)
    assert isinstance(rows, Generator)
    with closing(rows):
        yield from islice(rows, max_rows)
        result.cut_off = next(rows, None) is not None


def _run_without_rows(cursor: psycopg.Cursor[tuple[object, ...]], statement: str) -> None:
    """Run a statement without columns, such as an INSERT, which the server rejects by reason."""
    cursor.execute(statement.encode(), prepare=False)
    if cursor.pgresult is not None and cursor.pgresult.status == pq.ExecStatus.EMPTY_QUERY:
        raise UsageError(NO_STATEMENT)


def _columns(driver: psycopg.Connection[tuple[object, ...]], statement: str) -> list[str]:
    """Let the server parse the statement without running it; return its columns."""
    name = b"registry_query"
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


def _failure(
    error: psycopg.Error, statement: str, timeout: float, *, as_reader: bool
) -> RegistryError:
    message = error.diag.message_primary or " ".join(str(error).split())
    place = _place(error, statement)
    match error.sqlstate:
        case "42601" if "multiple commands" in message:
            return UsageError("There is more than one statement; give one.")
        case "42601":
            return UsageError(f"SQL: {message}{place}.")
        case "57014":
            return QueryError(
                f"The statement took longer than {timeout:g} s and was stopped; "
                "--timeout gives it more."
            )
        case "25006":
            return QueryError(f"This only reads: {message}.")
    hint = error.diag.message_hint or (_hint_for_the_reader(error) if as_reader else "")
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
