"""Logins that run users' SQL: found or made, and checked to have no rights but the reader's.

A session of the owner's is never used, not even under another role: SQL can change the role back.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from registry.db import embedded, excess, roles
from registry.db.connection import create_engine, postgres_url
from registry.db.embedded import reader
from registry.db.revisions import require_head
from registry.errors import DatabaseUnreachableError, RegistryError

SETTING = "REGISTRY_QUERY_URL"
"""Environment variable with the URL of a login that may only read."""

_MADE = "registry_query_"
_KEPT = timedelta(days=1)
"""Time after which a login that was made for one statement cannot be used."""

_HOW = (
    f"Set {SETTING} to the URL of a login that may only read; its owner makes one by "
    f"CREATE ROLE analyst LOGIN PASSWORD '...' IN ROLE {roles.READER}."
)

# Why a session has more rights than a reader, the first reason, or null.
_TOO_MUCH = text("""
    WITH may AS (
        SELECT * FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')
    )
    SELECT coalesce(
        (SELECT CASE WHEN rolsuper THEN 'is a superuser'
                     WHEN rolcreaterole THEN 'may create roles'
                     WHEN rolcreatedb THEN 'may create databases'
                     WHEN rolreplication THEN 'may replicate'
                     ELSE 'bypasses row security' END
           FROM may WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
          ORDER BY rolsuper DESC LIMIT 1),
        (SELECT 'has the role ' || min(rolname) FROM may WHERE rolname LIKE 'pg\\_%'),
        (SELECT 'owns schema ' || min(nspname)
           FROM pg_namespace JOIN may ON may.oid = nspowner WHERE nspname IN ('store', 'registry')),
        (SELECT 'may write to ' || min(c.oid::regclass::text)
           FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
          WHERE nspname IN ('store', 'registry') AND relkind IN ('r', 'p', 'v')
            AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')))""")


@contextmanager
def opened(engine: Engine, environ: Mapping[str, str] = os.environ) -> Iterator[Engine]:
    """Open the database of an engine as a login that may only read.

    That of the engine where it may no more; that of REGISTRY_QUERY_URL; the reader's in the
    embedded server; else one that is made for the length of a block, where the engine's may.

    Raises:
        RegistryError: there is none, or it has too many rights; it says what to do.
        DatabaseUnreachableError: it cannot connect.
    """
    with engine.connect() as connection:
        own = too_much(connection) is None
        given = None if own else environ.get(SETTING)
        known = None if own or given else reader.url(connection, embedded.default_data_directory())
        if known is not None and not _connects(known):
            # Its password is another cluster's, as after a restore: `registry db upgrade` sets it.
            known = None
    if own:
        yield engine
    elif given or known is not None:
        url = postgres_url(given, SETTING) if given else known
        assert url is not None
        with checked(url) as reading:
            yield reading
    else:
        with _made(engine) as url, checked(url) as reading:
            yield reading


def described(connection: Connection, environ: Mapping[str, str] = os.environ) -> str:
    """Return which login users' SQL gets, for people to read.

    Raises:
        RegistryError: there is none.
    """
    if too_much(connection) is None:
        return "queries run as this login, which may only read"
    if environ.get(SETTING):
        return f"queries log in by {SETTING}"
    if reader.url(connection, embedded.default_data_directory()) is not None:
        return f"queries log in as {roles.READER}"
    if can_make(connection):
        return f"each query makes a login with the role {roles.READER}, and drops it"
    raise RegistryError(f"Users' SQL has no login that may only read. {_HOW}")


@contextmanager
def checked(url: URL) -> Iterator[Engine]:
    """Open an engine of a login, once it has connected and been found to have no other rights."""
    engine = create_engine(url)
    shown = url.set(drivername="postgresql").render_as_string(hide_password=True)
    try:
        try:
            with engine.connect() as connection:
                reason = too_much(connection)
        except OperationalError as error:
            said = " ".join(str(error.orig).split()).rpartition("failed: ")[2].rstrip(".")
            raise DatabaseUnreachableError(
                f"The login for queries, {shown}, cannot connect: {said}. {_HOW}"
            ) from error
        if reason is not None:
            raise RegistryError(f"The login for queries, {shown}, {reason}. {_HOW}")
        yield engine
    finally:
        engine.dispose()


def _connects(url: URL) -> bool:
    engine = create_engine(url)
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False


def too_much(connection: Connection) -> str | None:
    """Return why the login of a session has more rights than a reader, or None."""
    reason: str | None = connection.scalar(_TOO_MUCH)
    if reason is not None:
        return reason
    beyond = excess.of_session(connection)
    return None if beyond is None else str(beyond)


def can_make(connection: Connection) -> bool:
    """Return whether the session may make logins with the reader's role."""
    return bool(
        connection.scalar(
            text("""
            SELECT NOT pg_is_in_recovery() AND (rolsuper OR rolcreaterole AND pg_has_role(
                       session_user, to_regrole(:reader), 'MEMBER WITH ADMIN OPTION'))
                   AND to_regrole(:reader) IS NOT NULL
              FROM pg_roles WHERE rolname = session_user"""),
            {"reader": roles.READER},
        )
    )


@contextmanager
def _made(engine: Engine) -> Iterator[URL]:
    """Make a login with the reader's role, and drop it at the end."""
    name, password = f"{_MADE}{secrets.token_hex(8)}", secrets.token_urlsafe(24)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not can_make(connection):
            # Before it is set up, there is nothing to read, and no reader's role.
            require_head(connection)
            raise RegistryError(
                "Queries of users need a login that may only read; this one, "
                f"{engine.url.username}, may do more, but make no other. {_HOW}"
            )
        _drop_old(connection)
        try:
            _make(connection, name, password)
        except DBAPIError as error:
            raise RegistryError(
                f"No login for queries could be made: {str(error.orig).strip()}. {_HOW}"
            ) from error
        try:
            yield _plain(engine.url).set(username=name, password=password)
        finally:
            _drop(connection, name)


def _plain(url: URL) -> URL:
    """Return a URL without what belongs to its login."""
    return url.difference_update_query(["user", "password", "passfile", "sslcert", "sslkey"])


def _make(connection: Connection, name: str, password: str) -> None:
    encrypted = roles.encrypted(connection, name, password)
    until = connection.scalar(text("SELECT now() + :kept"), {"kept": _KEPT})
    connection.exec_driver_sql(
        f"CREATE ROLE {name} LOGIN PASSWORD '{encrypted}' CONNECTION LIMIT 2"
        f" VALID UNTIL '{until}' IN ROLE {roles.READER}"
    )
    roles.limit(connection, name)


def _drop_old(connection: Connection) -> None:
    """Drop logins that killed commands have left behind."""
    names = text("SELECT rolname FROM pg_roles WHERE rolname ^@ :made AND rolvaliduntil < now()")
    for name in connection.scalars(names, {"made": _MADE}).all():
        _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    if connection.closed or connection.invalidated:
        return
    try:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :name"),
            {"name": name},
        )
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")
    except (DBAPIError, psycopg.Error):
        # It expires, and the next statement drops it.
        return
