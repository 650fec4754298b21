"""Write outcomes as EmbedLLM has them: a table with one outcome a row, to train routers with."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from registry.evaluation import Block, Item, Run
from registry.interchange.table_files import TableFile

ENDINGS = (".parquet", ".csv", ".csv.gz")
"""Endings of names of files, which tell how they are written."""

SCHEMA = pa.schema([
    ("prompt_id", pa.string()),
    ("prompt", pa.string()),
    ("model_name", pa.string()),
    ("category", pa.string()),
    ("label", pa.float32()),
    ("benchmark", pa.string()),
    ("version", pa.string()),
])  # fmt: skip
"""`prompt_id` is an item's name, which is its own within a version of a benchmark; `category` its
domain; `label` the outcome, in [0, 1]."""

_ROWS_AT_ONCE = 1 << 16


def write(blocks: Iterable[Block], path: Path) -> int:
    """Write a row for each outcome that was observed; return their number.

    Reading it by the mapping `embedllm`, with the columns `benchmark` and `version` for those,
    gives the same outcomes; nothing else of runs has a place. Score-only runs have no rows.

    Args:
        blocks: with one run of each model; each is read before the next.
        path: of a file to write, whose name has one of ENDINGS.
    """
    with TableFile(path, SCHEMA) as file:
        for block in blocks:
            # Each text is kept once, however many runs there are.
            texts = [_column(block.items, name) for name in ("item", "prompt", "domain")]
            for run in block.runs:
                if run.outcomes is not None:
                    _write(file, block, texts, run)
        return file.rows


def _column(items: Iterable[Item], name: str) -> pa.Array:
    return pa.array([getattr(item, name) for item in items], pa.string())


def _write(file: TableFile, block: Block, texts: list[pa.Array], run: Run) -> None:
    assert run.outcomes is not None
    seen = np.flatnonzero(~np.isnan(run.outcomes))
    for start in range(0, len(seen), _ROWS_AT_ONCE):
        places = seen[start : start + _ROWS_AT_ONCE]
        number = len(places)
        item, prompt, domain = (column.take(pa.array(places)) for column in texts)
        file.write({
            "prompt_id": item,
            "prompt": prompt,
            "model_name": pa.repeat(run.model, number),
            "category": domain,
            "label": pa.array(run.outcomes[places]),
            "benchmark": pa.repeat(block.benchmark.name, number),
            "version": pa.repeat(block.benchmark.version, number),
        })  # fmt: skip
