"""The two database roles: an owner of everything, and a reader that may only SELECT.

The reader also has the rights that Postgres grants to PUBLIC: see `revoke_from_public`.
"""

from contextlib import nullcontext

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.db import excess

OWNER = "registry_owner"
READER = "registry_reader"

LIMITS = {
    "statement_timeout": "15min",
    "idle_in_transaction_session_timeout": "5min",
    "lock_timeout": "10s",
    # Every failed statement would go to the log, whole, and the disk would fill.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}
"""Settings of logins of readers, beside what they may spill to disk."""


def ensure(connection: Connection) -> None:
    """Create both roles if the current user may, and grant the owner's role to the user.

    If not (as a plain user of a managed server), everything works without them.
    """
    for role in (OWNER, READER):
        if not _exists(connection, role):
            _attempt(connection, f"CREATE ROLE {role} NOLOGIN")
        if _exists(connection, role) and not _can_become(connection, role):
            _attempt(connection, f"GRANT {role} TO CURRENT_USER")
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    if _exists(connection, OWNER):
        _attempt(connection, f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO {OWNER}")
    if _exists(connection, READER):
        # PUBLIC need not have it.
        _attempt(connection, f"GRANT CONNECT ON DATABASE {database} TO {READER}")


def become_owner(connection: Connection) -> None:
    """Act as the role that owns the tables, or will own them, until the transaction ends."""
    owner = connection.scalar(
        text("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'store'")
    )
    role = owner or OWNER
    creates = connection.scalar(
        text(
            "SELECT coalesce((SELECT has_database_privilege(oid, current_database(), 'CREATE')"
            "                   FROM pg_roles WHERE rolname = :role), false)"
        ),
        {"role": role.strip('"')},
    )
    if creates and _can_become(connection, role):
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")


def grant(connection: Connection) -> None:
    """Grant the reader what it reads: views and functions of `registry`, and their tables.

    Objects of users in either schema stay as they are.
    """
    if not _exists(connection, READER):
        return
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA registry, store TO {READER}")
    # Partitions are read through their table.
    tables = connection.scalars(
        text("""
        SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'p')
           AND NOT relispartition AND pg_has_role(relowner, 'USAGE')
         ORDER BY oid""")
    ).all()
    connection.exec_driver_sql(f"GRANT SELECT ON {', '.join(tables)} TO {READER}")
    for view in connection.scalars(
        text("SELECT identity FROM store.sql_objects WHERE kind = 'VIEW' ORDER BY ordinal")
    ).all():
        connection.exec_driver_sql(f"GRANT SELECT ON {view} TO {READER}")


_WRITERS = """
    SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) FROM pg_proc p
     WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ :names"""
_WRITING = (
    # Large objects, locks, WAL and files of any size; and the end of other sessions of one login.
    "^(lo_creat|lo_create|lo_from_bytea|pg_(try_)?advisory_.*|pg_logical_emit_message"
    "|pg_export_snapshot|pg_notify|pg_terminate_backend|pg_cancel_backend)$"
)


def revoke_from_public(connection: Connection) -> None:
    """Revoke what Postgres grants to PUBLIC and readers do not need: see `open_to_all`.

    Only for a database that holds nothing but the registry, on a server of its own: other programs
    may need it, and a right cannot be revoked from one role while PUBLIC has it. NOTIFY cannot be
    revoked.
    """
    statements = open_to_all(connection)
    if statements and _exists(connection, OWNER):
        connection.exec_driver_sql(f"GRANT USAGE ON LANGUAGE plpgsql TO {OWNER}")
    for statement in statements:
        connection.exec_driver_sql(statement)


def open_to_all(connection: Connection) -> list[str]:
    """Return the statements that revoke what every login may do here; none where it may nothing.

    That is to connect to other databases, create temporary tables, call functions that write, and
    what somebody granted to PUBLIC beside.
    """
    databases = connection.scalars(
        text("""
        SELECT quote_ident(datname) FROM pg_database
         WHERE (datname IN ('postgres', 'template1') OR datname = current_database())
           AND datallowconn AND has_database_privilege('public', oid, 'CONNECT, TEMPORARY')
         ORDER BY datname""")
    ).all()
    found = [f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC" for name in databases]
    language = text("SELECT has_language_privilege('public', 'plpgsql', 'USAGE')")
    if connection.scalar(language):
        found.append("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    functions = connection.scalar(
        text(f"{_WRITERS} AND has_function_privilege('public', p.oid, 'EXECUTE')"),
        {"names": _WRITING},
    )
    if functions:
        found.append(f"REVOKE EXECUTE ON FUNCTION {functions} FROM PUBLIC")
    return found + [each.revoked("PUBLIC") for each in excess.of_all(connection)]


def let_in(connection: Connection, password: str, connections: int) -> None:
    """Let the reader's role log in, by so many sessions at a time."""
    connection.exec_driver_sql(
        f"ALTER ROLE {READER} LOGIN PASSWORD '{encrypted(connection, READER, password)}'"
        f" CONNECTION LIMIT {connections}"
    )


def encrypted(connection: Connection, role: str, password: str) -> str:
    """Return a password as the server stores it: a log of statements must not have it."""
    pgconn = _driver(connection).pgconn
    return pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def limit(connection: Connection, role: str, *, spill: int = 1024) -> None:
    """Limit what the sessions of a role take, as far as the current user may.

    A role may lift limits of time for itself, but not what it writes to files and to the log.

    Args:
        connection: in a transaction, or in AUTOCOMMIT.
        role: a login.
        spill: megabytes that each of its processes may write to temporary files.
    """
    for setting, value in {**LIMITS, "temp_file_limit": f"{spill}MB"}.items():
        _attempt(connection, f"ALTER ROLE {role} SET {setting} = '{value}'")


def present(connection: Connection) -> list[str]:
    """Return which of the two roles there are."""
    return [role for role in (OWNER, READER) if _exists(connection, role)]


def may_own(connection: Connection) -> bool:
    """Return whether the current user may act as the owner's role, and so give things to it."""
    return _exists(connection, OWNER) and _can_become(connection, OWNER)


def may_create(connection: Connection) -> bool:
    """Return whether the current user may create roles."""
    return bool(
        connection.scalar(
            text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = session_user")
        )
    )


def can_read_as_reader(connection: Connection) -> bool:
    """Return whether the current user may act as the reader."""
    return _exists(connection, READER) and _can_become(connection, READER)


def _exists(connection: Connection, role: str) -> bool:
    query = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
    return bool(connection.scalar(query, {"role": role.strip('"')}))


def _can_become(connection: Connection, role: str) -> bool:
    if not _exists(connection, role):
        return False
    return bool(
        connection.scalar(
            text("SELECT pg_has_role(current_user, :role, 'SET')"), {"role": role.strip('"')}
        )
    )


def _driver(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _attempt(connection: Connection, statement: str) -> None:
    """Run a statement that the current user may lack the right to run."""
    try:
        with nullcontext() if _driver(connection).autocommit else connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError:
        # Not permitted, or another upgrade of this cluster was quicker: the caller checks.
        return
