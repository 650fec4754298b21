"""Schemas of the tables of an archive, and conversion of runs and items to and from rows."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson
import pyarrow as pa

from registry.evaluations.records import Benchmark, Item, Measure, Run, Setup, Source, run_id

NAMES = pa.schema([("spelling", pa.string()), ("model", pa.string()), ("confidence", pa.float32())])
"""A spelling of a model in runs, and the model of another name that it resolves to."""

FACTS = pa.schema([
    ("source", pa.string()),
    ("source_url", pa.string()),
    ("model", pa.string()),
    ("fact", pa.string()),
    ("value", pa.string()),
])  # fmt: skip
"""A fact that a source states of a model, under the model's present name."""

RUNS = pa.schema([
    ("run", pa.int64()),
    ("model", pa.string()),
    ("spelling", pa.string()),
    ("benchmark", pa.string()),
    ("version", pa.string()),
    ("metric", pa.string()),
    ("filter", pa.string()),
    ("lower", pa.float64()),
    ("upper", pa.float64()),
    ("higher_is_better", pa.bool_()),
    ("random_baseline", pa.float64()),
    ("unit", pa.string()),
    ("source", pa.string()),
    ("source_url", pa.string()),
    ("harness", pa.string()),
    ("harness_version", pa.string()),
    ("task_version", pa.string()),
    ("shots", pa.int64()),
    ("prompt_template", pa.string()),
    ("chat_template", pa.string()),
    ("precision", pa.string()),
    ("variant", pa.string()),
    ("details", pa.string()),
    ("revision", pa.string()),
    ("evaluated_at", pa.timestamp("us", "UTC")),
    ("complete", pa.bool_()),
    ("verified", pa.bool_()),
    ("score", pa.float64()),
    ("standard_error", pa.float64()),
    ("items", pa.int64()),
    ("rows", pa.int64()),
])  # fmt: skip
"""A run: `run` is its key, the same in every registry, `model` the model's present name,
`spelling` how its source spells it, `details` a JSON object, `score` raw; `rows` is the number of
its rows in the benchmark's outcomes, null where only the score is known. Runs of one version of a
benchmark are consecutive, in the order of its outcomes."""

_ADDED = {"variant": 2}
"""Columns of RUNS that archives have only since a schema version."""


def runs_schema(version: int) -> pa.Schema:
    """Return the columns of runs in an archive of a schema version."""
    return pa.schema([each for each in RUNS if _ADDED.get(each.name, 1) <= version])


ITEMS = pa.schema([
    ("item", pa.string()),
    ("prompt", pa.string()),
    ("choices", pa.list_(pa.string())),
    ("answer", pa.string()),
    ("domain", pa.string()),
])  # fmt: skip
"""An item, in the order of the benchmark; in CSV its choices are a JSON list."""

OUTCOMES = pa.schema([
    ("run", pa.int64()),
    ("item", pa.string()),
    ("outcome", pa.float32()),
    ("answer", pa.string()),
    ("input_tokens", pa.int32()),
    ("output_tokens", pa.int32()),
    ("latency_ms", pa.float32()),
])  # fmt: skip
"""Result of a run on an item; the outcome, in [0, 1], is null where only others are known."""

_MEASURE = tuple(each.name for each in fields(Measure) if each.compare)
_SETUP = tuple(each.name for each in fields(Setup))
_RUN = ("revision", "evaluated_at", "complete", "verified", "score", "standard_error", "items")


def run_row(benchmark: Benchmark, run: Run, *, model: str, rows: int | None) -> dict[str, object]:
    """Return a run's row of RUNS, by column."""
    setup = {name: getattr(run.setup, name) for name in _SETUP}
    details = orjson.dumps(dict(run.setup.details), option=orjson.OPT_SORT_KEYS).decode()
    return {
        "run": run_id(benchmark, run, run.setup.fingerprint()),
        "model": model,
        "spelling": run.model,
        "benchmark": benchmark.name,
        "version": benchmark.version,
        **{name: getattr(run.measure, name) for name in _MEASURE},
        "source": run.source.name,
        "source_url": run.source.url,
        **setup,
        "details": details,
        **{name: getattr(run, name) for name in _RUN},
        "rows": rows,
    }


def run_fields(row: Mapping[str, Any], setups: dict[object, Setup]) -> dict[str, Any]:
    """Return the attributes of a run that a row of RUNS has.

    Args:
        row: by column.
        setups: those of earlier rows, which runs share; new ones are added.

    Raises:
        ValueError: the details are not an object of texts.
    """
    key = tuple([row.get(name) for name in _SETUP])
    if key not in setups:
        details = orjson.loads(row["details"])
        if not isinstance(details, dict) or not all(
            isinstance(value, str) for value in details.values()
        ):
            raise ValueError("its details are not an object of texts")
        setup: dict[str, Any] = dict(zip(_SETUP, key, strict=True))
        setups[key] = Setup(**setup | {"details": details})
    return {
        "model": row["spelling"],
        "measure": Measure(**{name: row[name] for name in _MEASURE}),
        "source": Source(name=row["source"], url=row["source_url"]),
        "setup": setups[key],
        **{name: row[name] for name in _RUN},
    }


def item_columns(items: Sequence[Item]) -> dict[str, list[object]]:
    """Return the columns of ITEMS."""
    columns: dict[str, list[object]] = {
        name: [getattr(item, name) for item in items] for name in ITEMS.names
    }
    columns["choices"] = [list(item.choices) for item in items]
    return columns


def item_from_row(row: Mapping[str, Any]) -> Item:
    """Return the item of a row of ITEMS."""
    return Item(**{**row, "choices": tuple(row["choices"] or ())})
