"""The throwaway server of a test run, and the databases on it."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL, make_url

from registry.db import connection as database
from registry.db import embedded, migrate

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}


END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()"""
USED_TABLES = """
    SELECT oid::regclass::text FROM pg_class
     WHERE oid >= 16384 AND relkind = 'r' AND relpersistence <> 't'
       AND (reltuples >= 0 OR pg_relation_size(oid) > 0)"""
RESTART_SEQUENCES = """
    SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
     WHERE pg_sequence_last_value(seqrelid) IS NOT NULL"""
FORGET_STATISTICS = "DELETE FROM pg_statistic WHERE starelid >= 16384"
TABLES = """
    SELECT oid::regclass::text FROM pg_class
     WHERE oid >= 16384 AND relkind IN ('r', 'p') AND relpersistence <> 't'"""
# Indexes and constraints by what they say, since a first load drops and makes them; the rest by
# row and version of the system's catalogs.
SHAPE = """
    WITH relations AS (
        SELECT * FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind <> 't'
           AND relnamespace <> 'pg_toast'::regnamespace)
    SELECT md5(string_agg(line, chr(10) ORDER BY line)) FROM (
        SELECT concat_ws(' ', oid::regclass, relkind, relowner, relacl, reloptions, relhastriggers,
                         relrowsecurity) FROM relations
        UNION ALL
        SELECT concat_ws(' ', attrelid::regclass, attnum, attname, atttypid, attnotnull, attacl)
          FROM pg_attribute JOIN relations ON relations.oid = attrelid
         WHERE relkind <> 'i' AND attnum > 0
        UNION ALL
        SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index
         WHERE indrelid IN (SELECT oid FROM relations)
        UNION ALL
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
          FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relations)
        UNION ALL SELECT concat_ws(' ', 'function', oid, xmin) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'rule', oid, xmin) FROM pg_rewrite WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws(' ', 'default', oid, xmin) FROM pg_attrdef
         WHERE adrelid IN (SELECT oid FROM relations)
        UNION ALL SELECT concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
        UNION ALL SELECT concat_ws(' ', 'schema', nspname, nspacl) FROM pg_namespace
         WHERE nspname !~ '^pg_(toast_)?temp_'
        UNION ALL SELECT concat_ws(' ', 'privileges', defaclnamespace, defaclrole, defaclacl)
          FROM pg_default_acl
        UNION ALL SELECT concat_ws(' ', 'database', datacl, datdba, datconnlimit) FROM pg_database
         WHERE datname = current_database()
        UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting
          JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
    ) AS lines (line)"""


class State(NamedTuple):
    """What a database is like: its tables, all that is defined, and the rows that there are."""

    tables: frozenset[str]
    shape: str
    rows: dict[str, str]

    @staticmethod
    def tables_of(connection: psycopg.Connection) -> frozenset[str]:
        """Return the names of all tables."""
        return frozenset(name for (name,) in connection.execute(TABLES))

    @classmethod
    def of(cls, connection: psycopg.Connection) -> "State":
        """Return the state of the database."""
        (shape,) = connection.execute(SHAPE).fetchone() or ("",)
        rows = {}
        for (table,) in connection.execute(USED_TABLES).fetchall():
            listed = sql.SQL("SELECT md5(string_agg(r::text, chr(10) ORDER BY r::text)) FROM {} r")
            (digest,) = connection.execute(listed.format(sql.SQL(table))).fetchone() or (None,)
            if digest:
                rows[table] = digest
        return cls(cls.tables_of(connection), shape, rows)


class Databases:
    """The databases of this run, on one server; all their names begin alike."""

    def __init__(self, given: str | None, directory: str | None, prefix: str) -> None:
        self.given = given
        self.directory = directory
        self.prefix = prefix
        self._idle: list[str] = []
        self._new_state: State | None = None

    @cached_property
    def server(self) -> str:
        """The URL of the server, which is started if it is ours."""
        if self.given:
            return self.given
        assert self.directory
        # Idempotent, and locked against the other workers of pytest-xdist.
        return embedded.start(Path(self.directory), keep=True, settings=SETTINGS).url

    def url(self, name: str) -> URL:
        """Return the URL of a database."""
        return make_url(self.server).set(database=name)

    @contextmanager
    def administration(self) -> Iterator[Connection]:
        """Open the database `postgres`, where CREATE DATABASE is run from."""
        engine = database.create_engine(self.url("postgres")).execution_options(
            isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            yield connection

    def template(self) -> str:
        """Return the name of the migrated template."""
        return self._migrated

    @cached_property
    def _migrated(self) -> str:
        return self._built("template", None, migrate.upgrade)

    def filled(self, name: str, fill: Callable[[Engine], object]) -> str:
        """Return the name of a template that `fill` has written to, once a run."""
        return self._built(name, self.template(), fill)

    def _built(self, name: str, source: str | None, fill: Callable[[Engine], object]) -> str:
        """Make a template, unless another worker has."""
        name, building = f"{self.prefix}_{name}", f"{self.prefix}_{name}_building"
        with self.administration() as connection:
            connection.execute(
                text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), {"key": name}
            )
            there = connection.scalar(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
            )
            if not there:
                self._create(connection, building, source)
                fill(database.create_engine(self.url(building)))
                connection.exec_driver_sql(f"ALTER DATABASE {building} RENAME TO {name}")
        return name

    @contextmanager
    def made(self, *, template: str | None = None) -> Iterator[URL]:
        """Have a database of one's own for the length of a block."""
        name = self._named()
        with self.administration() as connection:
            self._create(connection, name, template)
        try:
            yield self.url(name)
        finally:
            self._drop(name)

    @contextmanager
    def lent(self) -> Iterator[URL]:
        """Have a migrated database, empty as if it were new, for the length of a block.

        What another block had is emptied and lent again, which takes a tenth of making one.
        """
        if self._idle:
            name = self._idle.pop()
        else:
            name = self._named()
            with self.administration() as connection:
                self._create(connection, name, self.template())
            self._new_state = self._new_state or self._state(name)
        try:
            yield self.url(name)
        finally:
            if self._emptied(name):
                self._idle.append(name)
            else:
                self._drop(name)

    def _named(self) -> str:
        return f"{self.prefix}_{secrets.token_hex(4)}"

    def _create(self, connection: Connection, name: str, template: str | None) -> None:
        # FILE_COPY took 64 ms for a clone, WAL_LOG 67 ms (the default).
        source = f"TEMPLATE {template} STRATEGY file_copy" if template else ""
        connection.exec_driver_sql(f"CREATE DATABASE {name} {source}")

    def _drop(self, name: str) -> None:
        with self.administration() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _opened(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.url(name).render_as_string(hide_password=False))

    def _state(self, name: str) -> "State":
        with self._opened(name) as connection:
            return State.of(connection)

    def _emptied(self, name: str) -> bool:
        """Take all out of a database; return whether it is as a new one then."""
        assert self._new_state
        try:
            with self._opened(name) as connection:
                connection.execute("SET lock_timeout = '10s'")
                connection.execute(END_OTHERS)
                extra = State.tables_of(connection) - self._new_state.tables
                used = {
                    table
                    for (table,) in connection.execute(USED_TABLES)
                    if table not in self._new_state.rows and table not in extra
                }
                for command, tables in (("DROP TABLE", extra), ("TRUNCATE", used)):
                    if tables:
                        listed = sql.SQL(", ").join(map(sql.SQL, sorted(tables)))
                        connection.execute(
                            sql.SQL("{} {} CASCADE").format(sql.SQL(command), listed)
                        )
                connection.execute(RESTART_SEQUENCES)
                connection.execute(FORGET_STATISTICS)
                return State.of(connection) == self._new_state
        except psycopg.Error:
            # It was dropped, or renamed, or is broken: it is replaced.
            return False

    def remove(self) -> None:
        """Leave nothing behind: neither databases nor a server."""
        if self.directory:
            embedded.stop(Path(self.directory))
            shutil.rmtree(self.directory)
        else:
            with self.administration() as connection:
                for name in connection.scalars(
                    text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)"),
                    {"prefix": f"{self.prefix}_"},
                ).all():
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def claim_directory() -> Path:
    """Make a place for the server, and clear away those of runs that were killed."""
    # Not pytest's own directory: run by root, the server has an account that cannot go there.
    directory = Path(tempfile.mkdtemp(prefix="registry-tests-"))
    directory.chmod(0o755)
    for claim in [*directory.parent.glob("registry-tests-*/claim"), directory / "claim"]:
        with suppress(OSError):
            opened = os.open(claim, os.O_RDWR | os.O_CREAT)
            # The lock is kept until the process ends, however it ends.
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if claim.parent != directory:
                embedded.stop(claim.parent)
                shutil.rmtree(claim.parent)
                os.close(opened)
    return directory
