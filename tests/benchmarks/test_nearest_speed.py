"""Nearest neighbours and routing: how fast, and at what recall, beside faiss in the same run.

BENCHMARK_VECTORS sets the number of vectors of the large version, BENCHMARK_APART how far families
of them are apart: at 4 they are islands, which a graph's search does not always reach.
"""

import os
import statistics
import time
from collections.abc import Iterator
from functools import partial

import faiss
import numpy as np
import pytest
from evaluated import ACC, SOURCE, block, items, write
from learned import trained
from measuring import percentile, timed
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db import migrate
from registry.embeddings import save, versions
from registry.evaluations.records import Run
from registry.prediction.routing import scoring

pytestmark = pytest.mark.benchmark

VECTORS = int(os.environ.get("BENCHMARK_VECTORS", "1000000"))
APART = float(os.environ.get("BENCHMARK_APART", "1"))
DIMENSION = 128
ASKED = 200
K = 10
BENCHMARKS, ITEMS = 6, 1_000


def drawn(count: int, seed: int = 0, *, apart: float = 1.0) -> NDArray[np.float32]:
    """Return vectors as factors have them: kin around 1,000 families' centres, in 24 directions.

    Args:
        count: of vectors.
        seed: of the draw.
        apart: how far families are from each other, next to their members' 0.6; at 1 they overlap.
    """
    numbers = np.random.default_rng(seed)
    families = apart * numbers.standard_normal((1_000, 24), np.float32)
    inside = families[numbers.integers(0, len(families), count)]
    inside += 0.6 * numbers.standard_normal(inside.shape, np.float32)
    directions = numbers.standard_normal((24, DIMENSION), np.float32) / np.sqrt(24)
    found = inside @ directions + 0.1 * numbers.standard_normal((count, DIMENSION), np.float32)
    return np.asarray(found, np.float32)


def fill(connection: Connection, count: int) -> list[str]:
    """Insert models of which little is known; return their names."""
    connection.execute(
        text("""
        INSERT INTO store.models (name, state, license, first_seen, changed_at)
        SELECT 'org/m' || i, 'available', CASE WHEN i % 1000 = 0 THEN 'rare' END, now(), now()
          FROM generate_series(0, :last) AS i"""),
        {"last": count - 1},
    )
    connection.exec_driver_sql("ANALYZE store.models")
    return [f"org/m{number}" for number in range(count)]


def truth(vectors: NDArray[np.float32], asked: NDArray[np.int64]) -> list[set[int]]:
    """Return the K nearest of each, by looking at all."""
    found = []
    squares = np.square(vectors).sum(axis=1)
    for place in asked:
        distance = squares - 2 * (vectors @ vectors[place])
        distance[place] = np.inf
        found.append(set(np.argpartition(distance, K)[:K].tolist()))
    return found


def add_outcomes(connection: Connection, count: int) -> None:
    """Store outcomes of each model on each of some benchmarks."""
    numbers = np.random.default_rng(2)
    for number in range(BENCHMARKS):
        outcomes = (numbers.random((count, ITEMS)) < 0.5).astype(np.float32)
        outcomes[:, numbers.random(ITEMS) < 0.1] = np.nan
        runs = [
            Run(model=f"org/m{at}", measure=ACC, source=SOURCE, outcomes=each)
            for at, each in enumerate(outcomes)
        ]
        write(connection, block(f"b{number}", *runs, asked=items(ITEMS)))
    connection.exec_driver_sql("ANALYZE store.runs")


@pytest.fixture
def engine(speed_database: str) -> Iterator[Engine]:
    opened = database.create_engine(speed_database)
    migrate.upgrade(opened)
    yield opened
    opened.dispose()


def ask(connection: Connection, name: str, more: str = "") -> list[int]:
    query = f"SELECT name FROM registry.nearest_models(:name, {K}{more})"
    return [int(each[5:]) for each in connection.scalars(text(query), {"name": name})]


def measured(connection: Connection, asked: NDArray[np.int64], more: str = "") -> list[float]:
    for place in asked:
        ask(connection, f"org/m{place}", more)
    return timed([partial(ask, connection, f"org/m{place}", more) for place in asked])


def with_faiss(
    vectors: NDArray[np.float32], asked: NDArray[np.int64], near: list[set[int]], recall: float
) -> str:
    """Build faiss's HNSW, and search as broadly as it takes for this recall; tell how fast."""
    began = time.perf_counter()
    index = faiss.IndexHNSWFlat(DIMENSION, 24, faiss.METRIC_L2)
    index.hnsw.efConstruction = 100
    index.add(vectors)
    built = time.perf_counter() - began
    for breadth in (20, 40, 80, 120, 160, 200, 300, 400, 600, 800):
        index.hnsw.efSearch = breadth
        calls = [partial(index.search, vectors[place : place + 1], K + 1) for place in asked]
        taken = timed(calls)
        hits = sum(
            len(set(index.search(vectors[place : place + 1], K + 1)[1][0].tolist()) & expected)
            for place, expected in zip(asked, near, strict=True)
        )
        if hits / (K * len(asked)) >= recall:
            break
    return (
        f"faiss HNSW: built in {built:.0f} s, p50 {statistics.median(taken):.2f} ms, recall "
        f"{hits / (K * len(asked)):.4f} (efSearch {breadth})"
    )


def test_a_million_vectors(engine: Engine) -> None:
    vectors = drawn(VECTORS, apart=APART)
    with engine.begin() as connection:
        models = fill(connection, VECTORS)
        began = time.perf_counter()
        version = save.save(connection, trained(models, vectors))
        versions.promote(connection, version)
    saved = time.perf_counter() - began
    asked = np.random.default_rng(1).choice(VECTORS, ASKED, replace=False)
    near = truth(vectors, asked)
    with engine.connect() as connection:
        size = connection.scalar(
            text("SELECT pg_relation_size(to_regclass(:name))"),
            {"name": f"store.embeddings_{version}_hnsw_idx"},
        )
        taken = measured(connection, asked)
        hits = sum(
            len(set(ask(connection, f"org/m{place}")) & expected)
            for place, expected in zip(asked, near, strict=True)
        )
        rare = measured(connection, asked[:10], ", license => 'rare'")
    recall = hits / (K * ASKED)
    print(
        f"\n{VECTORS:,} x {DIMENSION}: saved and indexed in {saved:.0f} s, index "
        f"{(size or 0) / 1e6:,.0f} MB\n"
        f"  nearest_models: p50 {statistics.median(taken):.2f} ms, p95 "
        f"{percentile(taken, 0.95):.2f} ms, recall@{K} {recall:.4f}\n"
        f"  with a filter that 1 in 1,000 passes: p50 {statistics.median(rare):.0f} ms\n"
        f"  {with_faiss(vectors, asked, near, recall)}"
    )


def test_five_thousand_vectors_are_all_looked_at(engine: Engine) -> None:
    vectors = drawn(5_000)
    with engine.begin() as connection:
        version = save.save(connection, trained(fill(connection, 5_000), vectors))
        versions.promote(connection, version)
    asked = np.arange(0, 5_000, 25)
    least_query = text(f"""
        SELECT model_id FROM store.embeddings_{version}
         ORDER BY vector <-> (SELECT vector FROM store.embeddings_{version} WHERE model_id = :key)
         LIMIT {K}""")
    with engine.connect() as connection:
        taken = measured(connection, asked)
        calls = [partial(connection.execute, least_query, {"key": int(at) + 1}) for at in asked]
        timed(calls)
        bare = timed(calls)
    with engine.begin() as connection:
        add_outcomes(connection, 5_000)
    with engine.connect() as connection:
        shared = measured(connection, asked)
    flat = faiss.IndexFlatL2(DIMENSION)
    flat.add(vectors)
    least = timed([partial(flat.search, vectors[at : at + 1], K) for at in asked])
    print(
        f"\n5,000 x {DIMENSION}, exact: p50 {statistics.median(taken):.2f} ms, p95 "
        f"{percentile(taken, 0.95):.2f} ms; the bare query {statistics.median(bare):.2f} ms, "
        f"faiss flat {statistics.median(least):.2f} ms\n"
        f"  with {BENCHMARKS} benchmarks of {ITEMS:,} items, and shared items counted: p50 "
        f"{statistics.median(shared):.2f} ms, p95 {percentile(shared, 0.95):.2f} ms"
    )


@pytest.mark.parametrize("dimension", [384, 768])
def test_routing(engine: Engine, dimension: int) -> None:
    numbers = np.random.default_rng(0)
    serving = numbers.standard_normal((112, dimension + 1), np.float32)
    prompts = numbers.standard_normal((3_000, dimension), np.float32)
    with engine.begin() as connection:
        models = fill(connection, 112)
        version = save.save(connection, trained(models, drawn(112), serving=serving))
        versions.promote(connection, version)
    written = [str(prompt.tolist()) for prompt in prompts[:200]]
    query = text("SELECT model FROM registry.route(CAST(:prompt AS vector))")
    with engine.connect() as connection:
        calls = [partial(connection.scalar, query, {"prompt": each}) for each in written]
        timed(calls)
        taken = timed(calls)
        chosen = [call() for call in calls]
    places = scoring.choose(serving, prompts)
    assert chosen == [models[place] for place in places[:200]]
    batch = timed([lambda: scoring.choose(serving, prompts)] * 20)
    print(
        f"\n112 models x {dimension + 1}: route p50 {statistics.median(taken):.2f} ms, p95 "
        f"{percentile(taken, 0.95):.2f} ms; numpy, 3,000 prompts at once, {batch[0]:.1f} ms"
    )
