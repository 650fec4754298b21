"""Digests of what the server says of installed views and functions, which show changes by hand."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, text

OBJECTS = """
SELECT 'VIEW' AS kind,
       quote_ident(nspname) || '.' || quote_ident(relname) AS identity,
       c.oid::bigint AS made
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE nspname IN ('registry', 'store') AND relkind = 'v'
UNION ALL
SELECT 'FUNCTION',
       quote_ident(nspname) || '.' || quote_ident(proname)
           || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       p.oid::bigint
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
 WHERE nspname IN ('registry', 'store')"""
"""Views and functions of both schemas, those of users included."""

# The text of an aggregate, which only users make, cannot be asked for.
_DEFINITIONS = f"""
SELECT kind, identity,
       CASE kind WHEN 'VIEW'
            THEN (SELECT concat('CREATE OR REPLACE VIEW ', identity,
                                ' WITH (' || array_to_string(reloptions, ', ') || ')',
                                ' AS ', pg_get_viewdef(oid))
                    FROM pg_class WHERE oid = made::oid)
            ELSE (SELECT pg_get_functiondef(oid)
                    FROM pg_proc WHERE oid = made::oid AND prokind <> 'a') END AS definition
  FROM ({OBJECTS}) AS present
 WHERE identity = ANY (:identities)"""  # noqa: S608

# What changes how the server writes names and constants.
_SETTINGS = {
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


def server(connection: Connection) -> str:
    """Return the major version of the server: the next may write the same view otherwise."""
    return str(connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000")))


def digests(connection: Connection, identities: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the digests of views and functions by kind and identity; types must be found.

    Bodies, and all that CREATE FUNCTION and CREATE VIEW say beside: SECURITY DEFINER, settings,
    costs, options; not owners and grants.
    """
    with _undone(connection):
        return _digested(_statements(connection, identities))


def restored_digests(
    connection: Connection, identities: Collection[str]
) -> dict[tuple[str, str], str]:
    """Return what `digests` will return once a dump of these has been restored.

    The server writes some expressions otherwise once it has read what it wrote, such as a list of
    constants that it casts.
    """
    with _undone(connection):
        raw = connection.execution_options(no_parameters=True)
        for statement in _statements(connection, identities).values():
            raw.exec_driver_sql(statement)
        return _digested(_statements(connection, identities))


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """Write names and constants in one way for the length of a block; undo all that it does."""
    own = connection.begin_nested()
    try:
        for setting, value in _SETTINGS.items():
            connection.exec_driver_sql(f"SET LOCAL {setting} = '{value}'")
        yield
    finally:
        own.rollback()


def _statements(connection: Connection, identities: Collection[str]) -> dict[tuple[str, str], str]:
    rows = connection.execute(text(_DEFINITIONS), {"identities": list(identities)})
    return {(row.kind, row.identity): row.definition or "" for row in rows}


def _digested(statements: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    return {
        each: hashlib.sha256(statement.encode()).hexdigest()
        for each, statement in statements.items()
    }
