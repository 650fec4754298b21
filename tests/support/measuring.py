"""Benchmarks: `pytest -m benchmark tests/benchmarks -s`. Each prints its figure beside a floor.

BENCHMARK_MODELS sets the size of the catalog of the query benchmarks (default 1,000,000:
about ten minutes to make, 6 GB of disk).
"""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from generated_hub.server import generated_hub
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from registry.db import connection as database
from registry.db import embedded, migrate
from registry.hub.client import Hub, ListingQuery
from registry.sync import sync
from registry.sync.sync import SyncOptions

MODELS = int(os.environ.get("BENCHMARK_MODELS", "1000000"))


@pytest.fixture(scope="session")
def benchmark_server() -> Iterator[str]:
    """A server of our own with the product's settings, and its URL."""
    directory = Path(tempfile.mkdtemp(prefix="registry-benchmark-"))
    directory.chmod(0o755)
    server = embedded.start(directory, keep=True)
    yield server.url
    embedded.stop(directory)
    shutil.rmtree(directory)


def listing_query(sort: str) -> str:
    """The query string of the sync's own listing, to have the pages rendered before."""
    assert sort in {"lastModified", "createdAt"}
    query = ListingQuery(sort="lastModified" if sort == "lastModified" else "createdAt")
    return Hub("http://127.0.0.1").first_url(query).partition("?")[2]


@contextmanager
def empty_database(server: str, name: str) -> Iterator[str]:
    """An empty database on a server, and its URL."""
    engine = database.create_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def speed_database(benchmark_server: str) -> Iterator[str]:
    """An empty database on that server, and its URL."""
    with empty_database(benchmark_server, "speed") as url:
        yield url


@pytest.fixture(scope="session")
def large(benchmark_server: str) -> Iterator[Engine]:
    """A catalog of MODELS generated models, synced over loopback HTTP."""
    engine = database.create_engine(benchmark_server)
    migrate.upgrade(engine)
    with generated_hub(MODELS) as url:
        began = time.perf_counter()
        report = sync.sync_models(
            engine, SyncOptions(lookups=0, evaluations=False), source=Hub(url)
        )
        seconds = time.perf_counter() - began
    print(
        f"\nsynced {report.counts.records:,} models in {seconds:.0f} s (pages rendered meanwhile)"
    )
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def warm(large: Engine) -> Iterator[Connection]:
    """One connection that keeps what it prepared, as a long-lived client does."""
    with large.connect() as connection:
        for table in ("models", "counters", "edges", "model_families", "model_features"):
            connection.execute(text(f"SELECT count(*) FROM store.{table}"))
        yield connection


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Return the milliseconds of each call, in rising order."""
    found = []
    for call in calls:
        began = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - began))
    return sorted(found)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the sorted values do not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def sample_names(connection: Connection, count: int, seed: int = 0) -> list[str]:
    """Return names of random models."""
    names = connection.scalars(
        text("SELECT name FROM store.models TABLESAMPLE SYSTEM (5) WHERE state <> 'stub'")
    ).all()
    return random.Random(seed).sample(list(names), min(count, len(names)))


def resident(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    found = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(found.stdout) / 1024
