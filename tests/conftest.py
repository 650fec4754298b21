"""Every test has a real Postgres: one throwaway server a session, one template migrated once.

Use `connection` for whatever can be rolled back, `database_url` or `engine` for code that commits.
REGISTRY_TEST_DATABASE_URL names a server to use instead, by the URL of a superuser.
"""

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forks as all_forks
import hypothesis
import pytest
from databases import REPOSITORY, Databases, claim_directory
from forks import Forks
from servers import own_directory
from sqlalchemy import Connection, Engine

from registry.db import connection as database

pytest_plugins = ["cli_commands"]

# Compiled code is kept, for processes that tests start and for the next run, which else would
# compile the registry and rewrite the assertions of all tests again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

SERVER = os.environ.get("REGISTRY_TEST_DATABASE_URL") or None
# No test may depend on, or do anything to, what the person who runs it has set up.
for _name in list(os.environ):
    if _name == "DATABASE_URL" or _name.startswith(("REGISTRY_", "PG", "HF_")):
        del os.environ[_name]

# How long an example takes is the machine's business, and of what is imported by the first one.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

_databases = pytest.StashKey[Databases]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run its place for a server; the workers of pytest-xdist are told theirs."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs so; what the tests start must be interruptible still.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if given is None:
        # A run that is ended by SIGTERM takes its server along, as one that is interrupted does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        directory = None if SERVER else str(claim_directory())
        given = {"databases": (SERVER, directory, f"registry_test_{secrets.token_hex(4)}")}
        if config.getoption("numprocesses", None):
            # Workers share the cores: threads of one that wait for each other wait for all others.
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                os.environ.setdefault(name, "1")
    config.stash[_databases] = Databases(*given["databases"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist about the server of this run."""
    ours = node.config.stash[_databases]
    node.workerinput["databases"] = (ours.given, ours.directory, ours.prefix)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the server, however the run ended."""
    all_forks.close()
    if not hasattr(config, "workerinput") and _databases in config.stash:
        config.stash[_databases].remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests, so that none of them is left to one worker at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The server of this run, to make databases on."""
    return request.config.stash[_databases]


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database of one's own, for code that commits."""
    with databases.lent() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database of one's own without anything in it."""
    with databases.made() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    opened = database.create_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def own_server() -> Iterator[Path]:
    """A directory for an embedded server of one's own, that may be killed."""
    with own_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Iterator[Engine]:
    """An engine on a migrated database that all share, so nothing may be committed there."""
    # One for each worker: transactions that write the same names would wait for each other.
    with databases.made(template=databases.template()) as url:
        yield database.create_engine(url)


@pytest.fixture
def connection(migrated: Engine) -> Iterator[Connection]:
    """A transaction on a migrated, empty database; it is rolled back."""
    with migrated.connect() as opened:
        yield opened


@pytest.fixture
def forks() -> Forks:
    """Python processes that start at once."""
    return all_forks.forks()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real data sets beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}")
    return folder
