"""Comments on tables, views and functions: those that differ from this version's, and restored."""

import re
from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.schema import SetColumnComment, SetTableComment

from registry.db import sql
from registry.db.schema import metadata

_STATEMENT = re.compile(
    r"^COMMENT ON (?:VIEW|COLUMN|FUNCTION) .+? IS\s+'((?:[^']|'')*)';", re.MULTILINE | re.DOTALL
)


def differences(connection: Connection) -> int:
    """Count the comments that are missing or differ."""
    return sum(1 for _ in _of_tables(connection)) + sum(1 for _ in _of_objects(connection))


def restore(connection: Connection) -> None:
    """Write the comments that are missing or differ; the views and functions are this version's."""
    for ddl in list(_of_tables(connection)):
        connection.execute(ddl)
    raw = connection.execution_options(no_parameters=True)
    for statement in list(_of_objects(connection)):
        raw.exec_driver_sql(statement)


def _of_tables(connection: Connection) -> Iterator[SetTableComment | SetColumnComment]:
    rows = connection.execute(
        text("""
        SELECT c.relname, a.attname, coalesce(d.description, '') AS comment
          FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
          LEFT JOIN pg_description d ON (d.classoid, d.objoid, d.objsubid)
                                      = ('pg_class'::regclass, c.oid, a.attnum)
         WHERE c.relnamespace = to_regnamespace('store') AND a.attnum > 0""")
    )
    stored = {(row.relname, row.attname): row.comment for row in rows}
    on_tables = {
        row.relname: row.comment
        for row in connection.execute(
            text("""
            SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') AS comment
              FROM pg_class WHERE relnamespace = to_regnamespace('store')""")
        )
    }
    for table in metadata.sorted_tables:
        if on_tables.get(table.name, table.comment or "") != (table.comment or ""):
            yield SetTableComment(table)
        for column in table.columns:
            expected = column.comment or ""
            if stored.get((table.name, column.name), expected) != expected:
                yield SetColumnComment(column)


def _of_objects(connection: Connection) -> Iterator[str]:
    stored = set(
        connection.scalars(
            text("""
            SELECT d.description
              FROM pg_description d
              LEFT JOIN pg_class c ON (d.classoid, d.objoid) = ('pg_class'::regclass, c.oid)
              LEFT JOIN pg_proc p ON (d.classoid, d.objoid) = ('pg_proc'::regclass, p.oid)
             WHERE coalesce(c.relnamespace, p.pronamespace)
                   IN (to_regnamespace('store'), to_regnamespace('registry'))""")
        )
    )
    for body in sql.files().values():
        for statement in _STATEMENT.finditer(body):
            if statement[1].replace("''", "'") not in stored:
                yield statement[0]
