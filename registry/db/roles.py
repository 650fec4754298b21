"""The two database roles: an owner of everything, and a reader that may only SELECT.

The reader also has the rights that Postgres grants to PUBLIC: see `revoke_from_public`.
"""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

OWNER = "registry_owner"
READER = "registry_reader"


def ensure(connection: Connection) -> None:
    """Create both roles if the current user may, and grant the owner's role to the user.

    If not (as a plain user of a managed server), everything works without them.
    """
    for role in (OWNER, READER):
        if not _exists(connection, role):
            _attempt(connection, f"CREATE ROLE {role} NOLOGIN")
        if _exists(connection, role) and not _can_become(connection, role):
            _attempt(connection, f"GRANT {role} TO CURRENT_USER")
    if _exists(connection, OWNER):
        database = connection.scalar(text("SELECT quote_ident(current_database())"))
        _attempt(connection, f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO {OWNER}")


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


def revoke_from_public(connection: Connection) -> None:
    """Revoke what Postgres grants to PUBLIC: temporary tables and large objects.

    Only for a database that holds nothing but the registry: other programs may need both, and a
    right cannot be revoked from one role while PUBLIC has it. NOTIFY cannot be revoked.
    """
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    connection.exec_driver_sql(
        "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea)"
        " FROM PUBLIC"
    )


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


def _attempt(connection: Connection, statement: str) -> None:
    """Run a statement that the current user may lack the right to run."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError:
        # Not permitted, or another upgrade of this cluster was quicker: the caller checks.
        return
