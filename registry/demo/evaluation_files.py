"""The made-up evaluations as files: a table of a board, and logs as lm-eval writes them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from registry.demo import evaluations
from registry.demo.evaluation_plan import BOARD
from registry.evaluations.formats import lm_eval
from registry.evaluations.records import Block

FOLDER = "made-up-evaluations"
"""Name of the folder that they go to; whatever else has that name is in the way, and goes."""

MAPPING = f"""\
# What the columns of board.parquet mean. All in it is made up by `registry demo`: the models have
# real names, but none of them was evaluated.
about: A board of scores that nobody ever measured, for the tour of the registry.
layout: outcomes
columns:
  source: ={BOARD.name}
  model: model
  benchmark: benchmark
  metric: metric
  evaluated_at: evaluated_at
  item: item
  prompt: prompt
  choices: choices
  right_answer: right_answer
  domain: domain
  outcome: outcome
  answer: answer
"""

_COLUMNS = (
    *("model", "benchmark", "metric", "evaluated_at", "item", "prompt", "choices"),
    *("right_answer", "domain", "answer"),
)


class Files(NamedTuple):
    """Paths of a table, its column mapping, and a folder of logs."""

    board: Path
    mapping: Path
    logs: Path


def write(directory: Path, *, seed: int = 0) -> Files:
    """Write all evaluations into a folder of a directory, in place of what an earlier call wrote.

    The same seed gives the same files, byte for byte.
    """
    folder = directory / FOLDER
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    files = Files(folder / "board.parquet", folder / "board.yaml", folder / "logs")
    pq.write_table(_table(evaluations.board(seed)), files.board, compression="zstd")
    files.mapping.write_text(MAPPING, encoding="utf-8")
    lm_eval.write(evaluations.logs(seed), files.logs)
    return files


def _table(blocks: Iterator[Block]) -> pa.Table:
    """Lay out blocks with one outcome a row; choices are a JSON list."""
    rows = [row for block in blocks for row in _rows(block)]
    *texts, outcomes = zip(*rows, strict=True)
    # Texts repeat for every model: each is kept once.
    arrays = [pa.array(column, pa.string()).dictionary_encode() for column in texts]
    return pa.table([*arrays, pa.array(outcomes, pa.float32())], [*_COLUMNS, "outcome"])


def _rows(block: Block) -> Iterator[tuple[object, ...]]:
    items = [
        (item.item, item.prompt, orjson.dumps(item.choices).decode(), item.answer, item.domain)
        for item in block.items
    ]
    for run in block.runs:
        assert run.outcomes is not None
        assert run.evaluated_at is not None
        about = (
            *(run.model, block.benchmark.name, run.measure.metric),
            run.evaluated_at.isoformat(),
        )
        answers = run.answers or [None] * len(items)
        for item, answer, outcome in zip(items, answers, run.outcomes.tolist(), strict=True):
            yield (*about, *item, answer, outcome)
