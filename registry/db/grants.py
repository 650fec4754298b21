"""Owners and grants of the registry's objects: those that differ, and their restoration.

A dump that was loaded by hand has lost them where the server lacked the roles.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.db import excess, roles
from registry.db.roles import OWNER, READER
from registry.db.schema import metadata
from registry.errors import first_of

_SHOWN = 5
"""Objects that a sentence names at most."""

_OBJECTS = """
WITH reader AS (
    SELECT max(oid) AS oid FROM pg_roles WHERE rolname = :reader
), owner AS (
    SELECT max(oid) AS oid FROM pg_roles WHERE rolname = :owner
), relations AS (
    SELECT c.oid, c.relkind, c.relowner, c.relispartition, c.relnamespace, c.relname
      FROM pg_class c
     WHERE c.relnamespace = 'store'::regnamespace AND c.relkind IN ('r', 'p')
       AND (c.relname = ANY (:tables)
            OR c.oid IN (SELECT inhrelid FROM pg_inherits
                           JOIN pg_class parent ON parent.oid = inhparent
                          WHERE parent.relnamespace = 'store'::regnamespace
                            AND parent.relname = ANY (:tables)))
), functions AS (
    SELECT p.oid, p.proowner, p.oid::regprocedure::text AS name, o.identity IS NOT NULL AS shown
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
      LEFT JOIN store.sql_objects o
        ON o.kind = 'FUNCTION'
       AND o.identity = quote_ident(nspname) || '.' || quote_ident(proname)
                        || '(' || pg_get_function_identity_arguments(p.oid) || ')'
     WHERE nspname = 'store' OR o.identity IS NOT NULL
)
SELECT kind, name, quote_ident(pg_get_userbyid(owner)) AS owner, readable, writable
  FROM (
    SELECT 1 AS place, 'SCHEMA' AS kind, nspname::text AS name, nspowner AS owner,
           has_schema_privilege(reader.oid, n.oid, 'USAGE') AS readable,
           has_schema_privilege(reader.oid, n.oid, 'CREATE') AS writable
      FROM pg_namespace n, reader WHERE nspname IN ('store', 'registry')
    UNION ALL
    SELECT 2, 'TABLE', c.oid::regclass::text, c.relowner,
           c.relispartition OR has_table_privilege(reader.oid, c.oid, 'SELECT'),
           has_table_privilege(reader.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
               OR has_any_column_privilege(reader.oid, c.oid, 'INSERT, UPDATE')
      FROM relations c, reader
    UNION ALL
    SELECT 3, 'VIEW', c.oid::regclass::text, c.relowner,
           has_table_privilege(reader.oid, c.oid, 'SELECT'),
           has_table_privilege(reader.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
      FROM reader, store.sql_objects o JOIN pg_class c ON c.oid = to_regclass(o.identity)
     WHERE o.kind = 'VIEW'
    UNION ALL
    -- Who may lock it is as good as its owner.
    SELECT 4, 'LOCK', c.oid::regclass::text,
           CASE WHEN has_table_privilege(owner.oid, c.oid, 'UPDATE') THEN owner.oid
                ELSE c.relowner END,
           true, has_table_privilege(reader.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
      FROM pg_class c, owner, reader
     WHERE c.relnamespace = 'store'::regnamespace AND c.relkind = 'v'
       AND starts_with(c.relname, 'lock_')
    UNION ALL
    SELECT 5, 'FUNCTION', f.name, f.proowner,
           NOT f.shown OR has_function_privilege(reader.oid, f.oid, 'EXECUTE'), false
      FROM functions f, reader) AS objects
 ORDER BY place, name"""
"""The registry's objects: tables and their partitions, what SQL files make, and what jobs lock."""


_ATTRIBUTES = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")

_RIGHTS = """
SELECT ARRAY[rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls] AS attributes,
       ARRAY (SELECT quote_ident(above.rolname)
                FROM pg_auth_members m JOIN pg_roles above ON above.oid = m.roleid
               WHERE m.member = reader.oid ORDER BY 1) AS member_of
  FROM pg_roles reader WHERE rolname = :reader"""
"""What the reader's role may beside reading: attributes, and roles that it is a member of."""


class _Object(NamedTuple):
    """An object of the registry: who owns it, and whether the reader may read or change it."""

    kind: str
    name: str
    owner: str
    readable: bool | None
    writable: bool | None


def differences(connection: Connection) -> list[str]:
    """Return what differs from what an upgrade gives, a sentence each.

    Roles that the current user may not create are no difference: everything works without them.
    """
    objects = _objects(connection)
    found = []
    present = roles.present(connection)
    if len(present) < 2 and roles.may_create(connection):  # noqa: PLR2004 - owner and reader
        lacking = " and ".join(role for role in (OWNER, READER) if role not in present)
        found.append(f"There is no role {lacking}.")
    owner = _owner(connection, objects)
    strangers = [each for each in objects if each.owner != owner]
    if strangers:
        found.append(f"{_named(strangers)} should belong to {owner}.")
    hidden = [each for each in objects if each.readable is False]
    if hidden:
        found.append(f"{READER} may not read {_named(hidden)}.")
    open_ = [each for each in objects if each.writable]
    if open_:
        found.append(f"{READER} may change {_named(open_)}.")
    attributes, above = _rights(connection)
    if attributes:
        found.append(f"{READER} has {' and '.join(attributes)}.")
    if above:
        found.append(f"{READER} is a member of {', '.join(above)}.")
    beyond = list(dict.fromkeys(map(str, excess.of_role(connection, READER))))
    if beyond:
        found.append(f"{READER} {first_of(beyond, _SHOWN)}.")
    return found


def restore(connection: Connection) -> None:
    """Give each object its owner, and the reader what it reads, as far as the current user may."""
    restore_owners(connection)
    restore_grants(connection)


def restore_owners(connection: Connection) -> None:
    """Give each object its owner, as far as the current user may."""
    objects = _objects(connection)
    owner = _owner(connection, objects)
    for each in objects:
        if each.owner == owner:
            continue
        given = f"ALTER {each.kind} {each.name} OWNER TO {owner}"
        if each.kind == "LOCK":
            # The command that upgrades holds it, so its owner cannot be changed.
            given = f"GRANT ALL ON {each.name} TO {owner}"
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(given)
        except DBAPIError:
            # Not permitted: `registry db check` says so.
            continue


def restore_grants(connection: Connection) -> None:
    """Let the reader read everything and change nothing; what is so already is left alone.

    An unneeded grant would write to catalogs that jobs use.
    """
    _take_rights(connection)
    objects = _objects(connection)
    hidden = [each for each in objects if each.readable is False]
    if hidden:
        roles.grant(connection)
    for each in hidden:
        if each.kind == "FUNCTION":
            connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {each.name} TO {READER}")
    for each in objects:
        if each.writable:
            rights = "CREATE" if each.kind == "SCHEMA" else "INSERT, UPDATE, DELETE, TRUNCATE"
            kind = "SCHEMA" if each.kind == "SCHEMA" else "TABLE"
            connection.exec_driver_sql(
                f"REVOKE {rights} ON {kind} {each.name} FROM {READER}, PUBLIC"
            )


def _rights(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the attributes that the reader's role has, and the roles that it is a member of."""
    row = connection.execute(text(_RIGHTS), {"reader": READER}).one_or_none()
    if row is None:
        return [], []
    held = zip(_ATTRIBUTES, row.attributes, strict=True)
    return [name for name, has in held if has], list(row.member_of)


def _take_rights(connection: Connection) -> None:
    """Leave the reader's role nothing but what is granted to it, as far as the user may."""
    attributes, above = _rights(connection)
    statements = [f"ALTER ROLE {READER} NO{each}" for each in attributes]
    statements += [f"REVOKE {each} FROM {READER}" for each in above]
    statements += [each.revoked(READER) for each in excess.of_role(connection, READER)]
    for statement in statements:
        with suppress(DBAPIError), connection.begin_nested():
            connection.exec_driver_sql(statement)


def _objects(connection: Connection) -> list[_Object]:
    if connection.scalar(text("SELECT to_regclass('store.sql_objects')")) is None:
        return []
    tables = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
    rows = connection.execute(text(_OBJECTS), {"reader": READER, "owner": OWNER, "tables": tables})
    return [_Object(*row) for row in rows]


def _owner(connection: Connection, objects: Sequence[_Object]) -> str | None:
    """Return who should own everything: the owner's role, else the owner of the schema."""
    if roles.may_own(connection):
        return OWNER
    return objects[0].owner if objects else None


def _named(objects: Sequence[_Object]) -> str:
    return first_of([f"{each.kind.lower()} {each.name}" for each in objects], _SHOWN)
