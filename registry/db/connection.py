"""Settings of the database, and connections to it."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from registry.db import embedded, lock_waits
from registry.db.guard import guarded
from registry.db.revisions import current_revision, require_head
from registry.errors import UsageError

_CROWDED = 5.0
"""Seconds for which a server whose sessions are all taken is asked again."""

# libpq gives no SQLSTATE of a refused connection.
_FULL = re.compile("too many clients|too many connections|connection slots are reserved")


@dataclass(frozen=True, slots=True)
class Setting:
    """The database to use, and what names it; no `url` is the embedded server."""

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
        UsageError: when a value is not a Postgres URL.
    """
    for origin, value in (
        ("--database-url", flag),
        ("REGISTRY_DATABASE_URL", environ.get("REGISTRY_DATABASE_URL")),
        ("DATABASE_URL", environ.get("DATABASE_URL")),
    ):
        if value:
            return Setting(postgres_url(value, origin), origin)
    return Setting(None, "embedded default")


def postgres_url(value: str, origin: str) -> URL:
    """Return the URL of a Postgres database.

    Raises:
        UsageError: when it is none; the message begins with its origin.
    """
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
        # As a component of the URL it is hidden wherever the URL is shown.
        url = url.set(password=password).difference_update_query(["password"])
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def engine(where: Setting) -> Iterator[Engine]:
    """Open the database for the length of a block, starting the embedded server if that is used.

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
        with lock_waits.said(opened):
            yield opened
    finally:
        opened.dispose()


def create_engine(url: URL | str) -> Engine:
    """Return an engine; its sessions are in UTC, with `registry` as application name.

    No pool: a command opens one or two connections, and a server that restarts between two
    pages of a sync must not be reached by a stale one.
    """
    url = make_url(url).set(drivername="postgresql+psycopg")
    opened = sqlalchemy.create_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "connect_timeout": 10,
            "application_name": "registry",
            "options": "-c timezone=UTC",
        },
    )
    event.listen(opened, "do_connect", _connect)
    return opened


def _connect(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> object:
    """Connect, again for some seconds while all sessions are taken: others may come and go."""
    deadline = time.monotonic() + _CROWDED
    while True:
        try:
            return psycopg.connect(*arguments, **options)
        except psycopg.OperationalError as error:
            if not _FULL.search(str(error)) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def reading(engine: Engine, *, snapshot: bool = False) -> Iterator[Connection]:
    """Open a database at head, in a transaction that cannot write.

    Args:
        engine: of the database.
        snapshot: whether all statements see the data of one moment.

    Raises:
        SchemaNotAtHeadError: when the database is older or newer than the code.
    """
    options: dict[str, object] = {"postgresql_readonly": True}
    if snapshot:
        options["isolation_level"] = "REPEATABLE READ"
    with engine.connect().execution_options(**options) as connection:
        require_head(connection)
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a database at head, in a transaction that is committed at the end.

    Readers that keep it waiting are ended.

    Raises:
        SchemaNotAtHeadError: when the database is older or newer than the code.
    """
    with guarded(engine), engine.begin() as connection:
        require_head(connection)
        yield connection


def prefer_indexes(connection: Connection) -> None:
    """Plan this transaction for a few rows of tables of any size: by index, not by a scan."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1")


def driver_connection(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    """Return the psycopg connection below a SQLAlchemy one."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def is_empty_embedded(where: Setting, opened: Engine) -> bool:
    """Return whether a database is the embedded one, with nothing of the registry in it yet."""
    if where.url is not None:
        return False
    with opened.connect() as connection:
        return current_revision(connection) is None
