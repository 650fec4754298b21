"""Writer of EmbedLLM's table: a row per outcome, with columns for its run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from registry.catalog.resolution import StatedName
from registry.evaluations.formats.table_files import TableFile
from registry.evaluations.records import Block, Item, Run, run_id

ENDINGS = (".parquet", ".csv", ".csv.gz")
"""Endings of the names of files, which determine the encoding."""

SCHEMA = pa.schema([
    ("prompt_id", pa.string()),
    ("prompt", pa.string()),
    ("model_name", pa.string()),
    ("category", pa.string()),
    ("label", pa.float32()),
    ("benchmark", pa.string()),
    ("version", pa.string()),
    ("metric", pa.string()),
    ("filter", pa.string()),
    ("source", pa.string()),
    ("complete", pa.bool_()),
    ("variant", pa.string()),
    ("run", pa.string()),
    ("preferred", pa.bool_()),
])  # fmt: skip
"""`prompt_id` is an item's name, which is its own within a version of a benchmark; `category` its
domain; `label` the outcome, in [0, 1], higher being better; `variant` what makes the run
one of a system around the model, null for the plain model. `run` is the key of the run, a text as
JSON's numbers are too short for it; `preferred` marks the one run of each model on a benchmark that
counts, for uses that need one label per model and prompt."""

_ROWS_AT_ONCE = 1 << 16


def write(blocks: Iterable[Block], path: Path, names: Sequence[StatedName] = ()) -> int:
    """Write a row for each observed outcome; return their number.

    Read by the mapping `registry-long`, it gives the same outcomes by model, benchmark, version,
    metric, filter and source; `run` distinguishes those that differ in more. Runs without outcomes
    have no rows.

    Args:
        blocks: with consecutive runs of a model, the preferred one first; each is read before the
            next.
        path: of the file, with one of ENDINGS.
        names: spellings in the blocks that resolve to a model of another name, which is written.
    """
    models = {each.name: each.model for each in names}
    with TableFile(path, SCHEMA) as file:
        for block in blocks:
            # Each text is held once, however many runs there are.
            texts = [_column(block.items, name) for name in ("item", "prompt", "domain")]
            previous = None
            for run in block.runs:
                if run.outcomes is not None:
                    model = models.get(run.model, run.model)
                    _write(file, block, texts, run, model, preferred=model != previous)
                    previous = model
        return file.rows


def _column(items: Iterable[Item], name: str) -> pa.Array:
    return pa.array([getattr(item, name) for item in items], pa.string())


def _write(
    file: TableFile, block: Block, texts: list[pa.Array], run: Run, model: str, *, preferred: bool
) -> None:
    assert run.outcomes is not None
    constants = {
        "model_name": model,
        "benchmark": block.benchmark.name,
        "version": block.benchmark.version,
        "metric": run.measure.metric,
        "filter": run.measure.filter,
        "source": run.source.name,
        "complete": run.complete,
        "variant": run.setup.variant,
        "run": str(run_id(block.benchmark, run, run.setup.fingerprint())),
        "preferred": preferred,
    }
    observed = np.flatnonzero(~np.isnan(run.outcomes))
    for start in range(0, len(observed), _ROWS_AT_ONCE):
        places = observed[start : start + _ROWS_AT_ONCE]
        number = len(places)
        item, prompt, domain = (column.take(pa.array(places)) for column in texts)
        file.write({
            "prompt_id": item,
            "prompt": prompt,
            "category": domain,
            "label": pa.array(run.outcomes[places]),
            **{name: _repeated(value, number) for name, value in constants.items()},
        })  # fmt: skip


def _repeated(value: object, number: int) -> pa.Array:
    return pa.nulls(number, pa.string()) if value is None else pa.repeat(value, number)
