"""Where the database is, how to open it, fill it in bulk and lock it."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool

from registry.db import embedded
from registry.db.revisions import current_revision
from registry.errors import DatabaseUnreachableError, LockHeldError, RegistryError, UsageError

OLDEST_POSTGRES = 160000
OLDEST_PGVECTOR = (0, 8)

LINES_AT_ONCE = 5_000
"""Lines of a COPY that are sent at once: no fewer than a page of the Hub's listing has."""

CHARACTERS_AT_ONCE = 1 << 24
"""Characters after which no more lines are waited for: what items ask may be long."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Which database to use, and what said so; no `url` means the embedded server."""

    url: URL | None
    origin: str

    @property
    def shown(self) -> str:
        """The URL without its password, for people to read."""
        if self.url is None:
            return "embedded"
        return self.url.set(drivername="postgresql").render_as_string(hide_password=True)


def setting(flag: str | None = None, environ: Mapping[str, str] = os.environ) -> Setting:
    """Find the database: flag, REGISTRY_DATABASE_URL, DATABASE_URL, else the embedded server.

    Raises:
        UsageError: when the value found is not a Postgres URL.
    """
    for origin, value in (
        ("--database-url", flag),
        ("REGISTRY_DATABASE_URL", environ.get("REGISTRY_DATABASE_URL")),
        ("DATABASE_URL", environ.get("DATABASE_URL")),
    ):
        if value:
            return Setting(_postgres_url(value, origin), origin)
    return Setting(None, "embedded default")


def _postgres_url(value: str, origin: str) -> URL:
    expected = "expected postgresql://user@host:5432/database"
    try:
        url = make_url(value)
        drivername = url.drivername.partition("+")[0]
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"{origin} is not a database URL; {expected}.") from error
    if drivername not in {"postgresql", "postgres"}:
        raise UsageError(
            f"{origin} names a {url.drivername} database, but only Postgres will do; {expected}."
        )
    password = url.query.get("password")
    if isinstance(password, str):
        # As a part of the URL of its own it is hidden wherever the URL is shown.
        url = url.set(password=password).difference_update_query(["password"])
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def engine(where: Setting) -> Iterator[Engine]:
    """Open the database for the length of a block, starting the embedded server if it is meant.

    Raises:
        DatabaseUnreachableError: when no server answers at the URL.
        EmbeddedServerError: when the embedded server cannot be started.
    """
    if where.url is not None:
        with _disposed(create_engine(where.url)) as opened:
            yield opened
        return
    with (
        embedded.running(embedded.default_data_directory()) as server,
        _disposed(create_engine(server.url)) as opened,
    ):
        yield opened


@contextmanager
def _disposed(opened: Engine) -> Iterator[Engine]:
    try:
        yield opened
    finally:
        opened.dispose()


def create_engine(url: URL | str) -> Engine:
    """Make an engine; sessions are in UTC and know themselves as `registry`.

    No pool: a command opens one or two connections, and a server that restarts between two
    pages of a sync must not be met through a stale one.
    """
    url = make_url(url).set(drivername="postgresql+psycopg")
    return sqlalchemy.create_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "connect_timeout": 10,
            "application_name": "registry",
            "options": "-c timezone=UTC",
        },
    )


def driver_connection(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    """Return the psycopg connection below a SQLAlchemy one."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """Load rows by COPY, as the connection's transaction; return how many there were.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        rows: one value per column; None is NULL, a list an array, text is taken for jsonb.
    """
    count = 0
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)
                count += 1
    except psycopg.Error as error:
        # The driver was called directly: fail as SQLAlchemy would have.
        raise DBAPIError(statement, None, error) from error
    return count


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines that are sent at once: fewer where they are long."""
    some: list[str] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if len(some) >= LINES_AT_ONCE or size >= CHARACTERS_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def copy_lines(
    connection: Connection, table: str, columns: Sequence[str], lines: Iterable[str]
) -> None:
    """Load rows that are COPY text already, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        lines: one for each row, without its line end; LINES_AT_ONCE are sent at once.
    """
    batches = _batches(lines)
    copy_texts(connection, table, columns, ("\n".join([*some, ""]).encode() for some in batches))


def copy_texts(
    connection: Connection, table: str, columns: Sequence[str], texts: Iterable[bytes]
) -> None:
    """Load COPY text in UTF-8, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        texts: pieces that end with a line's end.
    """
    pieces = iter(texts)
    piece = next(pieces, None)
    if piece is None:
        return
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            while piece is not None:
                # The server takes this one while the next is made.
                copy.write(piece)
                piece = next(pieces, None)
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error


@contextmanager
def exclusive(opened: Engine, name: str) -> Iterator[None]:
    """Hold the advisory lock of a job; the database frees it if this process dies.

    Raises:
        LockHeldError: when another process holds it.
    """
    with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = f"registry.{name}"
        taken = connection.scalar(
            sqlalchemy.text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))"), {"key": key}
        )
        if not taken:
            raise LockHeldError(f"Another {name} is running; try again when it has finished.")
        try:
            yield
        finally:
            if not connection.closed and not connection.invalidated:
                connection.execute(
                    sqlalchemy.text("SELECT pg_advisory_unlock(hashtextextended(:key, 0))"),
                    {"key": key},
                )


def is_empty_embedded(where: Setting, opened: Engine) -> bool:
    """Tell whether a database is the embedded one, with nothing of the registry in it yet."""
    if where.url is not None:
        return False
    with opened.connect() as connection:
        return current_revision(connection) is None


def require_extensions(connection: Connection) -> None:
    """Make sure that the server is new enough and offers pgvector and pg_trgm.

    Raises:
        RegistryError: naming what is missing or too old, and what to do.
    """
    server = driver_connection(connection).info
    if server.server_version < OLDEST_POSTGRES:
        raise RegistryError(
            f"The server is Postgres {server.parameter_status('server_version')}; "
            f"the registry needs {OLDEST_POSTGRES // 10000} or newer."
        )
    rows = connection.execute(
        sqlalchemy.text(
            "SELECT name, coalesce(installed_version, default_version) AS version"
            "  FROM pg_available_extensions WHERE name IN ('vector', 'pg_trgm')"
        )
    )
    versions = {row.name: row.version for row in rows}
    for name in ("vector", "pg_trgm"):
        if name not in versions:
            package = "pgvector" if name == "vector" else "the postgresql-contrib package"
            raise RegistryError(
                f"The server does not offer the extension {name}; install {package} on it."
            )
    found = tuple(int(part) for part in versions["vector"].split(".")[:2])
    if found < OLDEST_PGVECTOR:
        raise RegistryError(
            f"The server's pgvector is {versions['vector']}; the registry needs 0.8 or newer: "
            "update it, then run ALTER EXTENSION vector UPDATE."
        )


def translated(
    error: DBAPIError, doing: str = "use the database", *, dependents: Sequence[str] = ()
) -> RegistryError:
    """Turn a driver's error into a sentence of ours, with the exit code that fits it.

    Args:
        error: of the driver.
        doing: what failed, after "Cannot".
        dependents: what stands in the way of a drop besides what the error names.
    """
    cause = error.orig
    if isinstance(cause, psycopg.errors.DependentObjectsStillExist):
        named = dict.fromkeys([*(cause.diag.message_detail or "").splitlines(), *dependents])
        return RegistryError(
            f"Cannot {doing}: objects of yours depend on the registry's ({'; '.join(named)}). "
            "Nothing was changed; drop them, run this again, and create those again that still "
            "find what they need."
        )
    if isinstance(cause, psycopg.errors.DuplicateTable | psycopg.errors.DuplicateFunction):
        return RegistryError(
            f"Cannot {doing}: an object of yours has a name that the registry needs "
            f"({_primary(cause)}). Nothing was changed; rename it and run this again."
        )
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return RegistryError(
            f"Cannot {doing}: {_primary(cause)}. Connect as a user that may, or ask the "
            "database's owner to grant it."
        )
    if isinstance(cause, psycopg.errors.DiskFull):
        return RegistryError(
            f"Cannot {doing}: the database server's disk is full ({_primary(cause)}). "
            "What was stored before is intact; free some space and run this again."
        )
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return RegistryError(
            f"Cannot {doing}: another session holds a lock for too long; try again when it ends."
        )
    if isinstance(cause, psycopg.OperationalError) and (
        error.connection_invalidated or is_lost(cause)
    ):
        return DatabaseUnreachableError(
            f"Cannot {doing}: the database cannot be reached ({_primary(cause)})."
        )
    return RegistryError(f"Cannot {doing}: {_primary(cause)}.")


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether an error ended the connection, or kept one from being made."""
    # Without an SQLSTATE no server spoke. One that speaks says ERROR where only the statement
    # failed, whatever the state: 08 is "connection exception", but also a parameter without value.
    return not error.sqlstate or (
        error.diag.severity_nonlocalized != "ERROR"
        # 57P is "operator intervention" (shutdown, starting up), 53300 "too many connections".
        and error.sqlstate.startswith(("08", "57P", "53300"))
    )


def _primary(cause: BaseException | None) -> str:
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        return cause.diag.message_primary
    return " ".join(str(cause).split()).removesuffix(".")
