"""Speed of comparing models: one with 5,000 others, and two of them in SQL.

`pytest -m benchmark tests/benchmarks/test_comparison_speed.py -s`. The floor is one product of the
matrix of differences with the clusters, and reading the packed outcomes.
"""

from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
from databases import Databases
from evaluated import block, run, write
from sqlalchemy import Connection, text

from registry.analysis.paired_scores import compare_with_all
from registry.db import connection as database
from registry.evaluations.records import Item

MODELS, ITEMS, ROUNDS = 5_000, 860, 5

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def reading(databases: Databases) -> Iterator[Connection]:
    rng = np.random.default_rng(0)
    ability, difficulty = rng.normal(size=(MODELS + 1, 1)), rng.normal(size=ITEMS)
    right = rng.random((MODELS + 1, ITEMS)) < 1 / (1 + np.exp(difficulty - ability))
    runs = (run(f"org/m{place:04d}", row.tolist()) for place, row in enumerate(right.astype(float)))
    items = [Item(f"i{place}", domain=f"subject {place % 57}") for place in range(ITEMS)]
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            write(connection, block("exam", *runs, asked=items))
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        with engine.connect() as connection:
            yield connection
        engine.dispose()


def test_one_with_all(reading: Connection) -> None:
    times = []
    for _ in range(ROUNDS):
        began = perf_counter()
        found = compare_with_all(reading, "org/m0007", benchmarks=["exam"])
        times.append(perf_counter() - began)
    assert len(found) == MODELS
    print(f"\n1 with {MODELS:,} over {ITEMS} items: {min(times):.2f} to {max(times):.2f} s")


def test_two_in_sql(reading: Connection) -> None:
    times = []
    for place in range(20):
        began = perf_counter()
        query = text("SELECT * FROM registry.compare_models('org/m0007', :other)")
        assert reading.execute(query, {"other": f"org/m{place + 100:04d}"}).one()
        times.append(1000 * (perf_counter() - began))
    print(f"\ntwo models over {ITEMS} items in SQL: median {np.median(times):.1f} ms")
