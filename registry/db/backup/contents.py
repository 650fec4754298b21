"""Contents of a database: its tables with numbers and fingerprints of rows, roles, extensions."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from registry.db.backup.archive import Contents, Role
from registry.db.roles import OWNER, READER

_OURS = """
       n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE (d.classid, d.objid, d.deptype) = ({catalog}::regclass, {oid}, 'e'))"""

USERS_RELATION = _OURS.format(catalog="'pg_class'", oid="c.oid")
"""Condition on pg_class c and pg_namespace n: neither of the system nor of an extension."""

USERS_FUNCTION = _OURS.format(catalog="'pg_proc'", oid="p.oid")
"""The same of pg_proc p."""

_TABLES = f"""
SELECT c.oid::regclass::text AS name, c.relkind = 'r' AS has_rows, pg_table_size(c.oid) AS size
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {USERS_RELATION}
 ORDER BY 1"""  # noqa: S608

# The same text of a row everywhere: sessions differ in these.
_SETTINGS = (
    "SET LOCAL search_path = ''; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY';"
    " SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1;"
    " SET LOCAL bytea_output = 'hex'"
)


def settle_texts(connection: Connection) -> None:
    """Let values have the same text in every session, until the transaction ends."""
    connection.exec_driver_sql(_SETTINGS)


def tables(connection: Connection) -> Mapping[str, int | None]:
    """Return the size of each table; None for one whose rows are all in partitions."""
    rows = connection.execute(text(_TABLES))
    return {row.name: row.size if row.has_rows else None for row in rows}


def contents(connection: Connection, table: str) -> Contents:
    """Count the rows of a table and sum up the hashes of their texts, in any order."""
    counted = connection.exec_driver_sql(
        f"""
        SELECT count(*), coalesce(sum(hashtextextended(whole_row::text COLLATE "C", 0)), 0)
          FROM ONLY {table} AS whole_row"""  # noqa: S608
    )
    count, total = counted.one()
    return Contents(rows=count, fingerprint=f"{int(total) % 2**64:016x}")


def extensions(connection: Connection) -> Mapping[str, str]:
    """Return the schema of each extension that is not Postgres's own."""
    rows = connection.execute(
        text("""
        SELECT extname, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
         WHERE extname <> 'plpgsql' ORDER BY 1""")
    )
    return {row.extname: row.nspname for row in rows}


def roles(connection: Connection) -> Sequence[Role]:
    """Return the roles with objects or grants in the database, and the readers and owners.

    Without those that are made for one statement of `registry query`.
    """
    rows = connection.execute(
        text("""
        WITH RECURSIVE named AS (
            SELECT refobjid AS oid FROM pg_shdepend
             WHERE refclassid = 'pg_authid'::regclass
               AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
             UNION SELECT oid FROM pg_roles WHERE rolname IN (current_user, :owner, :reader)
             UNION SELECT member FROM pg_auth_members JOIN named ON roleid = named.oid
        )
        SELECT rolname AS name, rolcanlogin AS login, rolsuper AS superuser,
               ARRAY (SELECT above.rolname::text
                        FROM pg_auth_members m
                        JOIN pg_roles above ON above.oid = m.roleid
                        JOIN named parent ON parent.oid = m.roleid
                       WHERE m.member = role.oid ORDER BY 1) AS member_of
          FROM named JOIN pg_roles role ON role.oid = named.oid
         WHERE rolname !~ '^(pg_|registry_query_)'
         ORDER BY rolname"""),
        {"owner": OWNER, "reader": READER},
    )
    return [Role(row.name, row.login, row.superuser, tuple(row.member_of)) for row in rows]


def large_objects(connection: Connection) -> int:
    """Count large objects, which are no part of a backup."""
    return connection.scalar(text("SELECT count(*) FROM pg_largeobject_metadata")) or 0
