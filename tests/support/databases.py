"""The throwaway server of a test run, and the databases on it."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from sqlalchemy import Connection, text
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


class Databases:
    """The databases of this run, on one server; all their names begin alike."""

    def __init__(self, given: str | None, directory: str | None, prefix: str) -> None:
        self.given = given
        self.directory = directory
        self.prefix = prefix

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
        """Return the name of the migrated template, made by whoever asks first."""
        name, building = f"{self.prefix}_template", f"{self.prefix}_building"
        with self.administration() as connection:
            connection.execute(
                text("SELECT pg_advisory_lock(hashtextextended(:key, 0))"), {"key": name}
            )
            there = connection.scalar(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
            )
            if not there:
                connection.exec_driver_sql(f"CREATE DATABASE {building}")
                migrate.upgrade(database.create_engine(self.url(building)))
                connection.exec_driver_sql(f"ALTER DATABASE {building} RENAME TO {name}")
        return name

    @contextmanager
    def made(self, *, template: str | None = None) -> Iterator[URL]:
        """Have a database of one's own for the length of a block."""
        name = f"{self.prefix}_{secrets.token_hex(4)}"
        with self.administration() as connection:
            # FILE_COPY took 64 ms for a clone, WAL_LOG 67 ms (the default).
            source = f"TEMPLATE {template} STRATEGY file_copy" if template else ""
            connection.exec_driver_sql(f"CREATE DATABASE {name} {source}")
        try:
            yield self.url(name)
        finally:
            with self.administration() as connection:
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

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
