"""Predictions in SQL: one at a time, a leaderboard with its holes filled, and of a million models.

The tables are filled with random vectors of the size that fits have: nine abilities.
"""

import statistics
import time
from collections.abc import Iterator

import pytest
from measuring import MODELS, empty_database
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db import migrate

pytestmark = pytest.mark.benchmark

DIMENSIONS = 9
SPREAD = DIMENSIONS * (DIMENSIONS + 1) // 2 + (DIMENSIONS + 1) * (DIMENSIONS + 2) // 2
BENCHMARKS, SCORED = 60, 7_000
ASKED = "ARRAY['b1', 'b2', 'b3', 'b4', 'b5', 'b6']"

FILL = f"""
INSERT INTO store.models (name, state, first_seen, changed_at)
SELECT format('org%s/model-%s', n % 900, n), 'available', now(), now()
  FROM generate_series(1, {MODELS}) AS n;
INSERT INTO store.evaluated_names (name, model_id, method, confidence)
SELECT name, model_id, 'exact', 1 FROM store.models WHERE model_id <= {SCORED};
INSERT INTO store.sources (name) VALUES ('board');
INSERT INTO store.setups (fingerprint, details) VALUES (gen_random_uuid(), '{{}}');
INSERT INTO store.benchmarks (name, version)
SELECT 'b' || n, '' FROM generate_series(1, {BENCHMARKS}) AS n;
INSERT INTO store.measures (benchmark_id, metric, filter, lower, upper, higher_is_better)
SELECT benchmark_id, 'acc', '', 0, 1, true FROM store.benchmarks;
UPDATE store.benchmarks b SET measure_id = m.measure_id
  FROM store.measures m WHERE m.benchmark_id = b.benchmark_id;
INSERT INTO store.runs (model_id, run_id, score, benchmark_id, measure_id, setup_id, source_id,
                        name_id, complete, verified)
SELECT m.model_id, m.model_id * 1000 + b.benchmark_id, 0.5, b.benchmark_id, b.measure_id, 1, 1,
       m.model_id, true, false
  FROM store.models m, store.benchmarks b
 WHERE m.model_id <= {SCORED} AND (m.model_id + b.benchmark_id) % 3 = 0;
INSERT INTO store.prediction_versions
       (state, created_at, placed_at, newest_model_id, dimension, model_count, benchmark_count,
        score_count, reliable, data_fingerprint, code_version, seed, seconds, settings, metrics,
        fitted)
VALUES ('current', now(), now(), {MODELS}, {DIMENSIONS}, {SCORED}, {BENCHMARKS}, 1, true, '', '', 0,
        1, '{{}}', '{{}}', '');
INSERT INTO store.prediction_intervals
SELECT 1, g, 50, '{{0,0.5,0.9,0.99}}', '{{0,0.7,1.6,2.6}}', 1.6 FROM generate_series(0, 4) g;
INSERT INTO store.benchmark_loadings
SELECT 1, b.benchmark_id, b.measure_id, 100, random(), 0.1, 1, 1, 1, 1, 1, NULL, NULL,
       (SELECT array_agg(random() + 0 * g * b.benchmark_id)
          FROM generate_series(1, {DIMENSIONS}) AS g)::vector,
       (SELECT array_agg(random() / 100 + 0 * g * b.benchmark_id)
          FROM generate_series(1, {SPREAD}) AS g)::vector
  FROM store.benchmarks b;
INSERT INTO store.abilities (model_id, version_id, kind, score_count, support, vector, spread,
                             scale, blocks, near_ids, near_weights)
SELECT m.model_id, 1, CASE WHEN m.model_id <= {SCORED} THEN 'scores' ELSE 'catalog' END,
       CASE WHEN m.model_id <= {SCORED} THEN 20 ELSE 0 END, 0.5,
       (SELECT array_agg(random() - 0.5 + 0 * g * m.model_id)
          FROM generate_series(1, {DIMENSIONS}) AS g)::vector,
       (SELECT array_agg(random() / 100 + 0 * g * m.model_id)
          FROM generate_series(1, {SPREAD}) AS g)::vector,
       1, 1, ARRAY[1, 2, 3, 4, 5], ARRAY[0.5, 0.2, 0.1, 0.1, 0.1]::real[]
  FROM store.models m;
INSERT INTO store.fitted_scores
SELECT model_id, 1, benchmark_id, 0.1, 0, 0, 0.3, 3 FROM store.runs;
ANALYZE;
"""


@pytest.fixture(scope="module")
def filled(benchmark_server: str) -> Iterator[Engine]:
    """A database with predictions of all models."""
    with empty_database(benchmark_server, "predicted") as url:
        engine = database.create_engine(url)
        migrate.upgrade(engine)
        with engine.begin() as connection:
            raw = connection.execution_options(no_parameters=True)
            for statement in FILL.split(";\n"):
                if statement.strip():
                    raw.exec_driver_sql(statement)
        yield engine
        engine.dispose()


def seconds(connection: Connection, query: str, times: int = 3) -> float:
    """Return the median time of a query, all rows read."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        connection.execute(text(query)).all()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def test_predictions_are_at_hand(filled: Engine) -> None:
    with filled.connect() as connection:
        floor: list[float] = []
        own: list[float] = []
        for number in range(300):
            name = f"org{(7 * number) % 900}/model-{7 * number}" if number else "org1/model-1"
            for query, into in (
                ("SELECT registry.model_id(:name)", floor),
                ("SELECT * FROM registry.predict(:name, 'b7')", own),
            ):
                began = time.perf_counter()
                connection.execute(text(query), {"name": name}).all()
                into.append(time.perf_counter() - began)
        holes = seconds(connection, f"SELECT * FROM registry.leaderboard({ASKED}, true)")
        measured = seconds(connection, f"SELECT * FROM registry.leaderboard({ASKED})")
        floor_of_all = seconds(connection, "SELECT sum(support) FROM store.abilities")
        one = seconds(
            connection,
            "SELECT count(*), sum(score) FROM (SELECT * FROM registry.predictions"
            " WHERE benchmark = 'b7' OFFSET 0) p",
        )
    print(
        f"\npredict: median {statistics.median(own) * 1e3:.2f} ms (a name alone "
        f"{statistics.median(floor) * 1e3:.2f} ms)"
        f"\nleaderboard of {SCORED:,} models on 6 benchmarks, two thirds of it holes: "
        f"{holes:.2f} s (measured alone {measured:.2f} s)"
        f"\none benchmark, {MODELS:,} models: {one:.2f} s (reading their rows {floor_of_all:.2f} s)"
    )
    assert statistics.median(own) <= 0.001
    assert holes <= 1
    assert one <= 10
