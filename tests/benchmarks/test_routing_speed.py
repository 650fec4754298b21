"""Speed of routers at 112 models, 36,054 items and 768 dimensions, beside numpy brute force.

`pytest -m benchmark tests/benchmarks/test_routing_speed.py -s`
"""

from functools import partial
from time import perf_counter

import numpy as np
import pytest
from evaluated import block, write
from evaluated import items as named
from learned import drawn, kept
from measuring import percentile, timed
from routed import unit
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db import migrate
from registry.embeddings.routers.learned_router import LearnedRouter
from registry.evaluations.outcomes import Column
from registry.learning.routing.served_blend import BlendSettings, BlendWeights, ServedBlend
from registry.learning.routing.subjects import Subjects
from registry.prediction.routing import scoring

pytestmark = pytest.mark.benchmark

MODELS, ITEMS, DIMENSION, SUBJECTS, LANDMARKS = 112, 36_054, 768, 14, 800
ASKED = 60


def blend() -> ServedBlend:
    rng = np.random.default_rng(0)
    outcomes = (rng.random((ITEMS, MODELS)) < 0.5).astype(np.float32)
    items = unit(rng, ITEMS, DIMENSION + SUBJECTS)
    return ServedBlend(
        settings=BlendSettings(),
        weights=BlendWeights(0.5, 0.5, 0.5, 0.5),
        subjects=Subjects(rng.normal(size=(SUBJECTS, DIMENSION + 1)).astype(np.float32)),
        levels=outcomes.mean(axis=0),
        items=items,
        outcomes=outcomes,
        seen=None,
        landmarks=items[:LANDMARKS],
        kernel_weights=0.01 * rng.normal(size=(MODELS, LANDMARKS)).astype(np.float32),
    )


def fill(connection: Connection, served: ServedBlend) -> None:
    write(connection, block("routed", asked=named(ITEMS)))
    kept(
        connection,
        drawn(MODELS),
        serving=drawn(MODELS, DIMENSION + 1),
        items=[Column("routed", "", f"i{place}") for place in range(ITEMS)],
        router=LearnedRouter(
            served, np.arange(MODELS), np.arange(ITEMS), np.full(MODELS, ITEMS), {}
        ),
    )


@pytest.fixture
def filled(speed_database: str) -> tuple[Engine, ServedBlend]:
    engine, served = database.create_engine(speed_database), blend()
    migrate.upgrade(engine)
    with engine.begin() as connection:
        fill(connection, served)
    return engine, served


def ask(connection: Connection, function: str, prompt: str) -> None:
    query = text(f"SELECT * FROM registry.{function}(CAST(:prompt AS vector), 3)")
    connection.execute(query, {"prompt": prompt}).all()


def test_one_prompt(filled: tuple[Engine, ServedBlend]) -> None:
    engine, served = filled
    prompts = unit(np.random.default_rng(1), ASKED, DIMENSION)
    print(f"\n{MODELS} models x {ITEMS:,} items x {DIMENSION} dimensions, ms a prompt: p50, p95")
    medians = {}
    with engine.connect() as connection:
        for function in ("route", "route_knn", "route_best"):
            written = [str(prompt.tolist()) for prompt in prompts]

            for prompt in written[:8]:
                ask(connection, function, prompt)
            times = timed([partial(ask, connection, function, prompt) for prompt in written])
            medians[function] = percentile(times, 0.5)
            print(f"  {function:24s} {medians[function]:8.2f} {percentile(times, 0.95):8.2f}")
    for name, compute in (
        ("numpy, neighbours", served.neighbours),
        ("numpy, blend", served.predict),
    ):
        times = timed([partial(compute, prompts[[place]]) for place in range(ASKED)])
        print(f"  {name:24s} {percentile(times, 0.5):8.2f} {percentile(times, 0.95):8.2f}")
    assert medians["route"] <= 1
    assert medians["route_knn"] <= 10


def test_many_prompts(filled: tuple[Engine, ServedBlend]) -> None:
    engine, _ = filled
    prompts = unit(np.random.default_rng(1), 20_000, DIMENSION)
    serving = drawn(MODELS, DIMENSION + 1)
    began = perf_counter()
    scoring.choose(serving, prompts)
    rate = len(prompts) / (perf_counter() - began)
    print(f"\n  numpy, factorization: {rate:,.0f} prompts a second")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE prompts (id integer, vector vector)")
        rows = [{"id": place, "v": str(each.tolist())} for place, each in enumerate(prompts[:5000])]
        connection.execute(text("INSERT INTO prompts VALUES (:id, CAST(:v AS vector))"), rows)
        began = perf_counter()
        found = connection.execute(
            text("SELECT * FROM registry.route_many(ARRAY(SELECT vector FROM prompts ORDER BY id))")
        ).all()
        sql_rate = len(found) / (perf_counter() - began)
    print(f"  SQL, factorization: {sql_rate:,.0f} prompts a second")
    assert rate >= 100_000
    assert sql_rate >= 5_000
