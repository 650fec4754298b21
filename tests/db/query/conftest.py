"""Servers that users' SQL is tried on: an embedded one, and one that is reached by URL."""

from collections.abc import Iterator

import pytest
from databases import SETTINGS, Databases
from servers import own_directory
from sqlalchemy import Engine

from registry.db import connection as database
from registry.db import embedded
from registry.evaluations import upgrades


@pytest.fixture(scope="module")
def embedded_engine() -> Iterator[Engine]:
    """The owner's engine of an embedded server, whose reader logs in by its own password."""
    with own_directory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_DATA_DIR", str(directory))
        server = embedded.start(directory, keep=True, settings=SETTINGS)
        engine = database.create_engine(server.url)
        upgrades.upgrade(engine, embedded=True)
        try:
            yield engine
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def external_engine(databases: Databases) -> Iterator[Engine]:
    """The engine of a superuser on a server that is not the embedded one of this user."""
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module", params=["embedded", "external"])
def owner(request: pytest.FixtureRequest) -> Engine:
    """The owner's engine of either server."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine
