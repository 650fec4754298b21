"""Vectors of a whole catalog whose models nobody evaluated, and the graph of who is like whom.

BENCHMARK_MODELS sets the size of the catalog (default 1,000,000).
"""

import resource
import time
from collections.abc import Iterator

import numpy as np
import pytest
from filling import fill
from learned import trained
from measuring import MODELS
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from registry.db import binary_copy, migrate
from registry.db import connection as database
from registry.embeddings import model_features, partitions, placement, save, versions
from registry.learning.coldstart.features import Featurizer
from registry.learning.coldstart.similarity_graph import similarity_graph

pytestmark = pytest.mark.benchmark

TRAINED = 2_000
DIMENSION = 24


def peak(whose: int = resource.RUSAGE_SELF) -> float:
    """Return the most memory that the process ever had, or the largest of its children, in MB."""
    return resource.getrusage(whose).ru_maxrss / 1024


@pytest.fixture(scope="module")
def catalog(benchmark_server: str) -> Iterator[Engine]:
    """A generated catalog, loaded without a Hub."""
    alone = database.create_engine(benchmark_server).execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE placed")
    engine = database.create_engine(make_url(benchmark_server).set(database="placed"))
    migrate.upgrade(engine)
    began = time.perf_counter()
    with engine.begin() as connection:
        fill(connection, MODELS)
    print(f"\nfilled with {MODELS:,} models in {time.perf_counter() - began:.0f} s")
    yield engine
    engine.dispose()
    with alone.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE placed WITH (FORCE)")
    alone.dispose()


@pytest.fixture(scope="module")
def learned(catalog: Engine) -> Engine:
    """Vectors of some models of the catalog, which their families tell something of."""
    draw = np.random.default_rng(0)
    with catalog.begin() as connection:
        rows = connection.execute(
            text("""
            SELECT name, coalesce(model_type, '') AS kind FROM store.models
             WHERE state = 'available' ORDER BY md5(name) LIMIT :count"""),
            {"count": TRAINED},
        ).all()
        kinds = {kind: place for place, kind in enumerate(sorted({row.kind for row in rows}))}
        centres = draw.normal(size=(len(kinds), DIMENSION))
        means = centres[[kinds[row.kind] for row in rows]]
        vectors = np.asarray(means + draw.normal(size=means.shape), np.float32)
        version = save.save(connection, trained([row.name for row in rows], vectors))
        versions.promote(connection, version)
    return catalog


def floor(connection: Connection, keys: NDArray[np.int64]) -> float:
    """Return the seconds that it takes to load as many vectors into a table without an index."""
    connection.exec_driver_sql("CREATE TEMPORARY TABLE floor (model_id bigint, vector vector)")
    vectors = np.zeros((len(keys), DIMENSION), np.float32)
    began = time.perf_counter()
    binary_copy.copy_in(connection, "floor", {"model_id": keys, "vector": vectors})
    return time.perf_counter() - began


def test_vectors_of_a_whole_catalog(learned: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    indexing = 0.0
    build = partitions.build_index

    def timed(connection: Connection, name: str, count: int, dimension: int) -> bool:
        nonlocal indexing
        began = time.perf_counter()
        made = build(connection, name, count, dimension)
        indexing = time.perf_counter() - began
        return made

    # The real one, only timed: placing tells when it begins to index, not when it is done.
    monkeypatch.setattr(partitions, "build_index", timed)
    steps: dict[str, float] = {}
    began = time.perf_counter()

    def on_progress(what: str, done: int, of: int) -> None:
        del done, of
        steps.setdefault(what, time.perf_counter() - began)

    placed = placement.place(learned, on_progress=on_progress)
    seconds, most = time.perf_counter() - began, peak()
    with learned.connect() as connection:
        keys = np.array(connection.scalars(text("SELECT model_id FROM store.models")).all())
        least = floor(connection, keys)
    first = steps["placing models"]
    print(
        f"\n{placed.cold:,} cold vectors of {DIMENSION} dimensions, {placed.left_out:,} left out:"
        f" {seconds - indexing:.0f} s ({placed.cold / (seconds - indexing):,.0f}/s), of which"
        f" {first:.0f} s to learn from the catalog; then {indexing:.0f} s to index them.\n"
        f"  floor, loading as many: {least:.1f} s; memory at most {most:,.0f} MB, and"
        f" {peak(resource.RUSAGE_CHILDREN):,.0f} MB in each process beside"
    )
    began = time.perf_counter()
    with learned.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO store.models (name, author, state, model_type, parameters, first_seen,
                                      changed_at)
            SELECT 'new-org/llama-7b-v' || i, 'new-org', 'available', 'llama', 7000000000, now(),
                   now() FROM generate_series(1, 300) AS i""")
        )
    came = placement.place_pending(learned)
    assert came is not None
    print(f"  300 models more, as a sync brings them: {time.perf_counter() - began:.1f} s")


def test_the_graph_of_a_whole_catalog(learned: Engine) -> None:
    began = time.perf_counter()
    with learned.connect() as connection:
        models = [each for part in model_features.stream(connection) for each in part.descriptions]
    read = time.perf_counter() - began
    featurizer = Featurizer.of([models])
    blocks = featurizer.blocks(models)
    described = time.perf_counter() - began - read
    before, began = peak(), time.perf_counter()
    graph = similarity_graph(models, blocks, featurizer.ancestry)
    seconds = time.perf_counter() - began
    print(
        f"\ngraph of {len(models):,} models: {graph.nnz:,} edges in {seconds:.0f} s, after"
        f" {read:.0f} s of reading and {described:.0f} s of describing; memory at most"
        f" {peak():,.0f} MB, {before:,.0f} MB before"
    )
