"""Every test has a real Postgres: one throwaway server a session, one template migrated once.

Use `connection` for whatever can be rolled back, `database_url` or `engine` for code that commits.
REGISTRY_TEST_DATABASE_URL names a server to use instead, by the URL of a superuser.
"""

import fcntl
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL, make_url

from registry import db, embedded

pytest_plugins = ["cli_commands"]

REPOSITORY = Path(__file__).resolve().parents[1]
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}

SERVER = os.environ.get("REGISTRY_TEST_DATABASE_URL", "")
# No test may depend on, or do anything to, what the person who runs it has set up.
for _name in list(os.environ):
    if _name == "DATABASE_URL" or _name.startswith(("REGISTRY_", "PG", "HF_")):
        del os.environ[_name]


class Databases:
    """The databases of this run, on one server; all their names begin alike."""

    def __init__(self, server: str, directory: str, prefix: str) -> None:
        self.server = server
        self.directory = Path(directory)
        self.prefix = prefix

    def url(self, name: str) -> URL:
        """Return the URL of a database, after starting the server if it is ours."""
        if not self.server:
            # Idempotent, and locked against the other workers of pytest-xdist.
            self.server = embedded.start(self.directory, keep=True, settings=SETTINGS).url
        return make_url(self.server).set(database=name)

    @contextmanager
    def administration(self) -> Iterator[Connection]:
        """Open the database `postgres`, where CREATE DATABASE is run from."""
        engine = db.create_engine(self.url("postgres")).execution_options(
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
                db.upgrade(db.create_engine(self.url(building)))
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
        if self.directory.exists():
            embedded.stop(self.directory)
            shutil.rmtree(self.directory)
        elif self.server:
            with self.administration() as connection:
                for name in connection.scalars(
                    text("SELECT datname FROM pg_database WHERE starts_with(datname, :prefix)"),
                    {"prefix": f"{self.prefix}_"},
                ).all():
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


_databases = pytest.StashKey[Databases]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run its place for a server; the workers of pytest-xdist are told theirs."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is None:
        # A run that is ended by SIGTERM takes its server along, as one that is interrupted does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        directory = "" if SERVER else str(claim_directory())
        given = {"databases": (SERVER, directory, f"registry_test_{secrets.token_hex(4)}")}
    config.stash[_databases] = Databases(*given["databases"])


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


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist about the server of this run."""
    ours = node.config.stash[_databases]
    node.workerinput["databases"] = (ours.server, str(ours.directory), ours.prefix)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the server, however the run ended."""
    if not hasattr(config, "workerinput") and _databases in config.stash:
        config.stash[_databases].remove()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The server of this run, to make databases on."""
    return request.config.stash[_databases]


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of one's own, for code that commits."""
    with databases.made(template=databases.template()) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database of one's own without anything in it."""
    with databases.made() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    opened = db.create_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Iterator[Engine]:
    """An engine on a migrated database that all share, so nothing may be committed there."""
    # One for each worker: transactions that write the same names would wait for each other.
    with databases.made(template=databases.template()) as url:
        yield db.create_engine(url)


@pytest.fixture
def connection(migrated: Engine) -> Iterator[Connection]:
    """A transaction on a migrated, empty database; it is rolled back."""
    with migrated.connect() as opened:
        yield opened


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real data sets beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}")
    return folder
