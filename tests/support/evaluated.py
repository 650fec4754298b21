"""Short constructors of evaluations for tests, files of them, and all that is stored."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from factories import NOON
from sqlalchemy import Connection, Engine, text

from registry.evaluations import item_statistics, load
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Outcomes,
    Run,
    Setup,
    Source,
)

ACC = Measure(metric="acc")
SOURCE = Source(name="tests")

Grid = Mapping[str, Sequence[float | None]]
"""Outcomes by model, one for each item; None where the model was not observed."""

VIEWS = {
    "benchmarks": "TABLE registry.benchmarks",
    "items": "TABLE registry.items",
    # Without keys of files and their times, which differ from run to run.
    "runs": """
        SELECT run, model, benchmark, version, metric, filter, source, complete, verified, items,
               score, raw_score, raw_standard_error, has_outcomes, revision, evaluated_at, harness,
               harness_version, task_version, shots, prompt_template, chat_template, precision,
               variant, details::text, spelling, resolved_by, name_confidence, file
          FROM registry.runs""",
    "outcomes": "TABLE registry.outcomes",
    "answers": "TABLE registry.answers",
    "scores": "TABLE registry.scores",
    "leaderboard": "TABLE registry.leaderboard",
    "evaluated_names": "TABLE registry.evaluated_names",
    "model_aliases": "SELECT model, alias, source, confidence FROM registry.model_aliases",
    "models": "SELECT name, state, family_root, generation FROM registry.models",
    "statistics": """
        SELECT b.name, b.version, s.models, s.means
          FROM store.item_statistics s JOIN store.benchmarks b USING (benchmark_id)""",
    "imports": "SELECT path, format, bytes, sha256, summary::text FROM store.imports",
    "setups": "SELECT fingerprint, details::text FROM store.setups",
    "sources": "SELECT name, url FROM store.sources",
    "measures": """
        SELECT b.name, b.version, metric, filter, lower, upper, higher_is_better, random_baseline,
               unit
          FROM store.measures m JOIN store.benchmarks b USING (benchmark_id)""",
}


def array(outcomes: Sequence[float | None]) -> Outcomes:
    """Return outcomes as an array, NaN for None."""
    return np.array([np.nan if each is None else each for each in outcomes], np.float32)


def items(count: int, **fields: Any) -> list[Item]:
    """Return items i0, i1, ..."""
    return [Item(f"i{number}", **fields) for number in range(count)]


def run(model: str, outcomes: Sequence[float | None] | None = None, **fields: Any) -> Run:
    """Return a run of accuracy, by its outcomes or its score."""
    values: dict[str, Any] = {"measure": ACC, "source": SOURCE, **fields}
    if outcomes is not None:
        values["outcomes"] = array(outcomes)
    return Run(model=model, **values)


def block(
    benchmark: str, *of: Run, version: str = "", asked: Sequence[Item] | None = None
) -> Block:
    """Return a block of runs on these items, by default i0, i1, ..."""
    if asked is None:
        widths = {len(each.outcomes) for each in of if each.outcomes is not None}
        asked = items(max(widths, default=0))
    return Block(benchmark=Benchmark(name=benchmark, version=version), items=asked, runs=of)


def write(connection: Connection, *blocks: Block, at: datetime = NOON) -> load.LoadCounts:
    """Store blocks as an import does, item statistics included."""
    counts = load.LoadCounts()
    for each in blocks:
        counts.add(load.write_blocks(connection, [each], as_of=at))
    item_statistics.refresh(connection)
    return counts


def grid(benchmark: str, outcomes: Grid, **fields: Any) -> Block:
    """Return a block with one run a model."""
    return block(benchmark, *(run(model, each, **fields) for model, each in outcomes.items()))


def generated(seed: int, models: int, count: int, *, graded: bool = False) -> Grid:
    """Return random outcomes, some of which are missing, in runs of different lengths."""
    rng = np.random.default_rng(seed)
    by_model: dict[str, list[float | None]] = {}
    for number in range(models):
        values = rng.random(count) if graded else (rng.random(count) < rng.random()).astype(float)
        seen = rng.random(count) < rng.choice([0.4, 0.8, 1.0])
        seen[int(rng.integers(1, count + 1)) :] = number % 3 == 0
        seen[0] |= not seen.any()
        by_model[f"org/m{number}"] = [
            float(np.float32(value)) if is_seen else None
            for value, is_seen in zip(values, seen, strict=True)
        ]
    return by_model


def long_table(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file of model, benchmark, item, outcome."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "benchmark", "item", "outcome"])
        writer.writerows(rows)
    return path


def contents(of: Engine | Connection) -> dict[str, list[str]]:
    """Return the content of views and tables of evaluations, independent of keys."""
    if isinstance(of, Engine):
        with of.connect() as connection:
            return contents(connection)
    return {
        name: sorted(repr(tuple(row)) for row in of.execute(text(query)))
        for name, query in VIEWS.items()
    }


def day(number: int) -> datetime:
    """Return noon of a day in January 2026."""
    return datetime(2026, 1, number, 12, tzinfo=UTC)


def setup(**details: str) -> Setup:
    """Return a setup of details alone."""
    return Setup(details=details)
