"""Outcomes: how they load, what they weigh, and how fast they are asked.

Beside them stand the floor (the same file decoded and its bits copied into one bare table) and
the row table that they replace. BENCHMARK_RUNS and BENCHMARK_ITEMS set the size of the large one.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measuring import empty_database
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from registry.db import connection as db
from registry.db import migrate
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.outcomes import read_outcomes

pytestmark = pytest.mark.benchmark

RUNS = int(os.environ.get("BENCHMARK_RUNS", "4600"))
ITEMS = int(os.environ.get("BENCHMARK_ITEMS", "21600"))
TIMES = 5


def drawn(models: int, items: int) -> NDArray[np.uint8]:
    """Binary outcomes by a Rasch model, models x items."""
    numbers = np.random.default_rng(7)
    ability = numbers.normal(size=(models, 1)).astype(np.float32)
    difficulty = 1.5 * numbers.normal(size=(1, items)).astype(np.float32)
    chance = 1 / (1 + np.exp(difficulty - ability - 0.8))
    right = numbers.random((models, items), dtype=np.float32) < chance
    return np.asarray(right, np.uint8)


def write_long(path: Path, outcomes: NDArray[np.uint8]) -> None:
    """Write outcomes as the long layout: prompt_id, model_name, label."""
    models, items = outcomes.shape
    names = pa.array([f"org/model-{number}" for number in range(models)])
    schema = pa.schema([
        ("prompt_id", pa.int32()),
        ("model_name", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.uint8()),
    ])  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, models, 100):
            some = outcomes[start : start + 100]
            indices = np.repeat(np.arange(start, start + len(some), dtype=np.int32), items)
            writer.write_table(
                pa.table(
                    [
                        np.tile(np.arange(items, dtype=np.int32), len(some)),
                        pa.DictionaryArray.from_arrays(pa.array(indices), names),
                        some.ravel(),
                    ],
                    schema=schema,
                )
            )


def best(call: Callable[[], Any], times: int = TIMES) -> tuple[float, Any]:
    """Return the least seconds of some calls, and the result."""
    least, result = float("inf"), None
    for _ in range(times):
        began = time.perf_counter()
        result = call()
        least = min(least, time.perf_counter() - began)
    return least, result


def asked(engine: Engine, query: str, **parameters: object) -> tuple[float, Any]:
    """Return the least seconds of a query with all its rows fetched, and its first row."""
    with engine.connect() as connection:
        seconds, rows = best(lambda: connection.execute(text(query), parameters).all())
    return seconds, rows


def floor(database: str, path: Path, shape: tuple[int, int]) -> float:
    """Seconds to decode the file and copy its bits into a table without an index."""

    def load() -> None:
        table = pq.read_table(path)
        matrix = np.zeros(shape, np.uint8)
        codes = [chunk.indices.to_numpy() for chunk in table["model_name"].chunks]
        matrix[np.concatenate(codes), table["prompt_id"].to_numpy()] = table["label"].to_numpy()
        with psycopg.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE floor (model integer, bits varbit)")
            with cursor.copy("COPY floor FROM STDIN") as copy:
                for number, row in enumerate(matrix):
                    copy.write_row((number, (row + 48).tobytes().decode()))

    return best(load, 3)[0]


def row_table(database: str, outcomes: NDArray[np.uint8]) -> tuple[float, float, float]:
    """What a row an outcome weighs in bytes, takes to load, and to average by model, in seconds."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE outcome_rows (model integer, item integer, outcome real)")
        began = time.perf_counter()
        with connection.cursor().copy("COPY outcome_rows FROM STDIN") as copy:
            for model in range(len(outcomes)):
                lines = (f"{model}\t{item}\t{outcome}\n" for item, outcome in
                         enumerate(outcomes[model].tolist()))  # fmt: skip
                copy.write("".join(lines))
        connection.execute("ALTER TABLE outcome_rows ADD PRIMARY KEY (model, item)")
        loaded = time.perf_counter() - began
        query = "SELECT model, avg(outcome) FROM outcome_rows GROUP BY model"
        averaged, _ = best(lambda: connection.execute(query).fetchall(), 2)
        size = connection.execute("SELECT pg_total_relation_size('outcome_rows')").fetchone()
        connection.execute("DROP TABLE outcome_rows")
    assert size is not None
    return size[0] / outcomes.size, loaded, averaged


@pytest.fixture
def engine(speed_database: str) -> Iterator[Engine]:
    opened = db.create_engine(speed_database)
    migrate.upgrade(opened)
    yield opened
    opened.dispose()


def load(engine: Engine, path: Path) -> float:
    """Import a file, and return the seconds; the statistics of its items are part of it."""
    began = time.perf_counter()
    (report,) = import_files(engine, [path], ImportOptions(mapping="embedllm", benchmark="made-up"))
    seconds = time.perf_counter() - began
    assert report.error is None
    return seconds


def loads(server: str, path: Path) -> list[float]:
    """Import a file into some empty databases, one after the other, and return the seconds."""
    seconds = []
    for number in range(TIMES):
        with empty_database(server, f"load_{number}") as database:
            engine = db.create_engine(database)
            migrate.upgrade(engine)
            seconds.append(load(engine, path))
            engine.dispose()
    return seconds


def weight(engine: Engine) -> int:
    """Bytes of runs on disk, indexes and overhead included."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM store.runs")
        return int(connection.scalar(text("SELECT pg_total_relation_size('store.runs')")) or 0)


QUERIES = {
    "accuracy of each run": "SELECT model, score FROM registry.runs",
    "the same from the bits": """
        SELECT model_id, bit_count(right_bits)::float8 / length(right_bits) FROM store.runs""",
    "one model with all others": """
        SELECT * FROM registry.agreements('org/model-5', 'made-up')""",
    "two models": "SELECT * FROM registry.agreement('org/model-5', 'org/model-6')",
    "outcomes of a model": """
        SELECT count(*), avg(outcome) FROM registry.outcomes
         WHERE model = 'org/model-5' AND benchmark = 'made-up'""",
    "the same, all rows fetched": """
        SELECT item, outcome FROM registry.outcomes
         WHERE model = 'org/model-5' AND benchmark = 'made-up'""",
    "outcomes on an item": "SELECT model, outcome FROM registry.outcomes WHERE item = '77'",
    "hardest items": "SELECT * FROM registry.hardest_items('made-up')",
    "items that separate two": """
        SELECT * FROM registry.separating_items('org/model-5', 'org/model-6', 'made-up')""",
    "accuracy by domain": "SELECT * FROM registry.accuracy_by_domain('org/model-5', 'made-up')",
    "leaderboard": "SELECT * FROM registry.leaderboard WHERE benchmark = 'made-up'",
}


def ask_all(engine: Engine) -> None:
    for what, query in QUERIES.items():
        seconds, rows = asked(engine, query)
        print(f"  {what:32s}{1000 * seconds:9.1f} ms  {len(rows):,} rows")


def read_back(engine: Engine, outcomes: NDArray[np.uint8]) -> None:
    with engine.connect() as connection:
        seconds, found = best(lambda: read_outcomes(connection, benchmarks=["made-up"]), 3)
    place = found.models.index("org/model-5")
    order = [int(column.item) for column in found.columns]
    assert (found.values[place] == outcomes[5][order]).all()
    print(f"  read into an array{1000 * seconds:23.1f} ms  {outcomes.size / seconds / 1e6:.1f} M/s")


def plain(database: str) -> str:
    return make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)


def test_four_million_outcomes(
    benchmark_server: str, speed_database: str, engine: Engine, tmp_path: Path
) -> None:
    outcomes = drawn(112, 36_054)
    path = tmp_path / "outcomes.parquet"
    write_long(path, outcomes)
    small = tmp_path / "small.parquet"
    write_long(small, drawn(2, 2))
    # Loads the libraries.
    import_files(engine, [small], ImportOptions(mapping="embedllm", benchmark="warm"))
    lowest = floor(plain(speed_database), path, outcomes.shape)
    tries = [load(engine, path), *loads(benchmark_server, path)]
    seconds = min(tries)
    again = load(engine, path)
    row_bytes, row_load, row_average = row_table(plain(speed_database), outcomes)
    print(
        f"\n{outcomes.size:,} outcomes: loaded in {seconds:.2f} s "
        f"({outcomes.size / seconds / 1e6:.1f} M/s, {seconds / lowest:.1f} x the floor of "
        f"{lowest:.2f} s; all tries: {' '.join(f'{each:.2f}' for each in tries)}); again, "
        f"unchanged, in {again:.2f} s\n"
        f"  {weight(engine) / outcomes.size:.3f} bytes an outcome; as rows {row_bytes:.1f}, loaded "
        f"in {row_load:.1f} s, averaged in {1000 * row_average:.0f} ms"
    )
    ask_all(engine)
    read_back(engine, outcomes)


def test_a_hundred_million_outcomes(engine: Engine, tmp_path: Path) -> None:
    outcomes = drawn(RUNS, ITEMS)
    path = tmp_path / "outcomes.parquet"
    write_long(path, outcomes)
    seconds = load(engine, path)
    print(
        f"\n{outcomes.size:,} outcomes ({RUNS:,} x {ITEMS:,}): loaded in {seconds:.1f} s "
        f"({outcomes.size / seconds / 1e6:.1f} M/s), {weight(engine) / 1e6:.1f} MB"
    )
    ask_all(engine)
    read_back(engine, outcomes)


@pytest.mark.shared
def test_real_responses(engine: Engine, shared: Path) -> None:
    began = time.perf_counter()
    reports = import_files(engine, [shared / "metabench-responses"])
    seconds = time.perf_counter() - began
    outcomes = sum(report.written.outcomes for report in reports)
    runs = sum(report.written.runs for report in reports)
    print(
        f"\nmetabench-responses: {runs:,} runs, {outcomes:,} outcomes in {seconds:.1f} s; "
        f"{weight(engine) / outcomes:.2f} bytes an outcome"
    )
    with engine.connect() as connection:
        model = connection.scalar(
            text("SELECT min(model) FROM registry.runs WHERE benchmark = 'gsm8k'")
        )
    for what, query in {
        "accuracy of each run": "SELECT model, score FROM registry.runs WHERE benchmark = 'gsm8k'",
        "one model with all others": "SELECT * FROM registry.agreements(:model, 'gsm8k')",
        "outcomes of a model": """
            SELECT item, outcome FROM registry.outcomes
             WHERE model = :model AND benchmark = 'gsm8k'""",
        "outcomes on an item": """
            SELECT model, outcome FROM registry.outcomes
             WHERE item = (SELECT min(item) FROM registry.items WHERE benchmark = 'gsm8k')""",
    }.items():
        elapsed, rows = asked(engine, query, model=model)
        print(f"  {what:32s}{1000 * elapsed:9.1f} ms  {len(rows):,} rows")
