"""Target of a restore: a database with nothing in it, made where there is none."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from registry.db import connection as database
from registry.db import sql
from registry.db.backup.archive import BackupError
from registry.db.backup.contents import USERS_FUNCTION, USERS_RELATION
from registry.db.errors import translated_errors
from registry.db.revisions import current_revision
from registry.db.schema import metadata

_SEEDED = ("alembic_version", "sql_objects", "similarity_weights", "benchmark_aliases")
"""Tables that `registry db upgrade` fills."""

_FOREIGN = f"""
SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' WHEN c.relkind = 'S' THEN 'sequence '
            ELSE 'table ' END || c.oid::regclass::text AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
   AND n.nspname <> ALL (:ours) AND {USERS_RELATION}
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname <> ALL (:ours) AND {USERS_FUNCTION}
UNION ALL
SELECT 'schema ' || quote_ident(n.nspname) FROM pg_namespace n
 WHERE n.nspname <> ALL (:ours) AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('public', 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE (d.classid, d.objid, d.deptype)
                                               = ('pg_namespace'::regclass, n.oid, 'e'))
 ORDER BY 1 LIMIT 1"""  # noqa: S608

_STRANGER = """
SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' ELSE 'table ' END
       || c.oid::regclass::text AS name
  FROM pg_class c
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND c.relnamespace IN ('store'::regnamespace, 'registry'::regnamespace)
   AND NOT (c.relnamespace = 'store'::regnamespace
            AND (c.relkind = 'v' OR c.relname = ANY (:tables)))
   AND NOT EXISTS (SELECT FROM store.sql_objects
                    WHERE kind = 'VIEW' AND to_regclass(identity) = c.oid)
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.pronamespace = 'registry'::regnamespace
   AND quote_ident(nspname) || '.' || quote_ident(proname)
       || '(' || pg_get_function_identity_arguments(p.oid) || ')'
       <> ALL (SELECT identity FROM store.sql_objects WHERE kind = 'FUNCTION')
 ORDER BY 1 LIMIT 1"""
"""Objects in the registry's schemas that are not its own; the search path finds extensions."""


@contextmanager
def opened(where: database.Setting) -> Iterator[Engine]:
    """Open the database of a setting; one that is not there is created.

    If the block fails, the created one is dropped.

    Raises:
        DBAPIError: when no server answers, or the user may not create it.
    """
    with database.engine(where) as engine:
        if where.url is None or _exists(engine, where.url):
            yield engine
            return
        name = engine.dialect.identifier_preparer.quote_identifier(where.url.database or "")
        with translated_errors("create the database"):
            _administer(where.url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield engine
        except BaseException:
            _administer(where.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            raise


def _exists(engine: Engine, url: URL) -> bool:
    """Return whether there is a database; the error of an unreachable one if nobody knows."""
    try:
        with engine.connect():
            return True
    except DBAPIError:
        # Another database of the server knows whether it is that.
        if _is_listed(url) is False:
            return False
        raise


def _is_listed(url: URL) -> bool | None:
    """Return whether the server lists a database; None where it does not say."""
    query = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")
    try:
        with database.create_engine(url.set(database="postgres")).connect() as connection:
            return bool(connection.scalar(query, {"name": url.database}))
    except DBAPIError:
        return None


def _administer(url: URL, statement: str) -> None:
    engine = database.create_engine(url.set(database="postgres"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def empty(connection: Connection) -> None:
    """Check that nothing would be lost, and drop the tables of a registry without data.

    Raises:
        BackupError: when the database holds anything, naming it.
    """
    connection.exec_driver_sql("SET LOCAL search_path = ''; SET LOCAL lock_timeout = '4s'")
    revision = current_revision(connection)
    ours = ["store", "registry"] if revision is not None else [""]
    found = connection.scalar(text(_FOREIGN), {"ours": ours})
    if found is None and revision is not None:
        known = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
        sql.find_types(connection)
        found = connection.scalar(text(_STRANGER), {"tables": known}) or _filled(connection)
    if found is not None:
        raise BackupError(
            f"The database is not empty: it holds {found}. A restore needs an empty or a new one: "
            "name another by --database-url, or, of the embedded server, another folder by "
            "REGISTRY_DATA_DIR."
        )
    if revision is not None:
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS registry, store CASCADE")


def _filled(connection: Connection) -> str | None:
    """Return the first table with rows, of those that are empty in a new registry."""
    present = connection.scalars(
        text("""
        SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'p')
           AND NOT relispartition AND relname <> ALL (:seeded)
         ORDER BY relname"""),
        {"seeded": list(_SEEDED)},
    ).all()
    for table in present:
        if connection.scalar(text(f"SELECT EXISTS (SELECT FROM {table})")):  # noqa: S608
            return f"rows in table {table}"
    own = "SELECT EXISTS (SELECT FROM store.benchmark_aliases WHERE source <> 'registry')"
    return "aliases of benchmarks" if connection.scalar(text(own)) else None


def require_extensions(connection: Connection, needed: Mapping[str, str]) -> None:
    """Check that the server offers the extensions of a backup, where the backup has them.

    Raises:
        BackupError: naming what differs.
    """
    offered = {
        row.name: row.nspname
        for row in connection.execute(
            text("""
            SELECT a.name, n.nspname
              FROM pg_available_extensions a
              LEFT JOIN pg_extension e ON e.extname = a.name
              LEFT JOIN pg_namespace n ON n.oid = e.extnamespace""")
        )
    }
    for name, schema in needed.items():
        if name not in offered:
            raise BackupError(
                f"The backup needs the extension {name}, which the server does not offer: install "
                "it there."
            )
        if offered[name] not in {None, schema}:
            raise BackupError(
                f"The extension {name} is in schema {offered[name]} of the database, and in "
                f"{schema} of the backup: ALTER EXTENSION {name} SET SCHEMA {schema}."
            )


def require_room(directory: Path, needed: int) -> None:
    """Check that an embedded server's disk has room for a database of a size in bytes.

    Raises:
        BackupError: when it has not.
    """
    free = _free(directory)
    if free < needed:
        raise BackupError(
            f"The disk of {directory} has {free / 2**30:,.1f} GiB free, and the restored database "
            f"takes about {needed / 2**30:,.1f} GiB: free some space, or name a folder on another "
            "disk by REGISTRY_DATA_DIR."
        )


def _free(directory: Path) -> int:
    existing = next(each for each in (directory, *directory.parents) if each.exists())
    return shutil.disk_usage(existing).free
