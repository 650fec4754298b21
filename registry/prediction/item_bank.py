"""Item banks: the items of benchmarks, with the outcomes of known models on them.

A plan and an estimate are learned from a bank. The model that they are for is never among its known
models: its own outcomes, where the registry has any, are its answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.errors import UsageError
from registry.evaluations.outcomes import (
    Column,
    OutcomeMatrix,
    OutcomeSelection,
    read_selection,
    select_keys,
)
from registry.evaluations.selection import benchmarks_by_key, no_benchmark
from registry.learning.adaptive_testing.known import LEAST_SHARE, KnownOutcomes, known_outcomes
from registry.learning.arrays import Keys, Places

MOST_CELLS = 40_000_000
"""Outcomes that a bank reads; of more models, those with the lowest hashes of their names."""


class BankBenchmark(NamedTuple):
    """A version of a benchmark in a bank."""

    key: int
    name: str
    version: str
    asked: str
    """The name by which it was asked for."""

    @property
    def title(self) -> str:
        """Name, and version where it has one."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, eq=False)
class ItemBank:
    """Items of benchmarks, and what known models did on them.

    Attributes:
        benchmarks: B of them.
        items: N columns: the benchmarks one after another, items by their ordinals.
        groups: intp, N: benchmark of each item.
        known: outcomes of known models on the N items.
        model: present name of the model that the bank is for; None where the catalog has no such
            model.
        own: float32, N: outcomes of that model that are stored; NaN where there is none.
    """

    benchmarks: Sequence[BankBenchmark]
    items: Sequence[Column]
    groups: Places
    known: KnownOutcomes
    model: str | None
    own: NDArray[np.float32]


def read_bank(connection: Connection, model: str, benchmarks: Sequence[str]) -> ItemBank:
    """Read the bank of some benchmarks for a model.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        model: any name; one that the catalog does not have is a model of which nothing is known.
        benchmarks: names, or name@version, of benchmarks with outcomes by item.

    Raises:
        UsageError: for a benchmark that does not exist, has no outcomes by item or several versions
            with them, is named twice, or which too few other models took.
    """
    found = [_benchmark(connection, name) for name in benchmarks]
    if len({each.key for each in found}) < len(found):
        raise UsageError("A benchmark is named twice.")
    row = connection.execute(
        text("SELECT model_id, name FROM store.models WHERE model_id = registry.model_id(:name)"),
        {"name": model},
    ).one_or_none()
    matrix, groups = _read(connection, found, None if row is None else row.model_id)
    own = np.full(len(matrix.columns), np.nan, np.float32)
    name = None if row is None else str(row.name)
    others = [place for place, each in enumerate(matrix.models) if each != name]
    if len(others) < len(matrix.models):
        own = matrix.values[matrix.models.index(str(name))]
    return ItemBank(found, matrix.columns, groups, _known(matrix, others, groups, found), name, own)


def read_complete(connection: Connection, benchmark: int) -> tuple[OutcomeMatrix, Places]:
    """Read the outcomes of all models on a benchmark.

    Args:
        connection: to read from.
        benchmark: its key.

    Returns:
        The outcomes, and the places of models with outcomes on all items.
    """
    matrix = read_selection(connection, select_keys(connection, [benchmark]))
    return matrix, np.flatnonzero(matrix.mask.all(axis=1))


def hashes(names: Sequence[str]) -> Keys:
    """Return hashes of the names of models, uint64, by which they choose or calibrate."""
    digests = (blake2b(each.encode(errors="replace"), digest_size=8).digest() for each in names)
    return np.array([int.from_bytes(digest) for digest in digests], np.uint64)


def _benchmark(connection: Connection, name: str) -> BankBenchmark:
    keys = benchmarks_by_key(connection, name)
    if not keys:
        raise no_benchmark(connection, name)
    rows = connection.execute(
        text("""
        SELECT b.benchmark_id, b.name, b.version FROM store.benchmarks b
         WHERE b.benchmark_id = ANY (:keys)
           AND EXISTS (SELECT FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id AND r.right_bits IS NOT NULL)
         ORDER BY b.name COLLATE "C", b.version COLLATE "C" """),
        {"keys": list(keys)},
    ).all()
    found = [BankBenchmark(row.benchmark_id, row.name, row.version, name) for row in rows]
    if not found:
        raise UsageError(
            f"Benchmark {name!r} has no outcomes by item, from which items could be chosen; "
            "`registry evals import` reads them from files that have them, such as lm-eval's "
            "samples."
        )
    if len(found) > 1:
        titles = ", ".join(f"{each.name}@{each.version}" for each in found)
        raise UsageError(
            f"{name!r} is several benchmarks with outcomes by item: {titles}; name one of them."
        )
    return found[0]


def _read(
    connection: Connection, benchmarks: Sequence[BankBenchmark], model: int | None
) -> tuple[OutcomeMatrix, Places]:
    """Return outcomes, and the benchmark of each column, in the order of the benchmarks."""
    keys = [each.key for each in benchmarks]
    whole = select_keys(connection, keys)
    selected = OutcomeSelection(
        whole.columns, whole.spans, _models(connection, keys, model, whole.width)
    )
    matrix = read_selection(connection, selected)
    order = np.concatenate(
        [
            np.arange(span.start, span.stop)
            for key in keys
            for span in whole.spans
            if span.key == key
        ]
    )
    widths = [span.stop - span.start for key in keys for span in whole.spans if span.key == key]
    columns = [matrix.columns[place] for place in order.tolist()]
    values = matrix.values if (np.diff(order) == 1).all() else matrix.values[:, order]
    return (
        OutcomeMatrix(matrix.models, columns, values),
        np.repeat(np.arange(len(keys)), widths),
    )


def _models(
    connection: Connection, benchmarks: Sequence[int], model: int | None, items: int
) -> list[int] | None:
    """Return the models to read, the one that the bank is for among them; None is all."""
    rows = connection.execute(
        text("""
        SELECT m.model_id, m.name FROM store.models m
         WHERE EXISTS (SELECT FROM store.runs r
                        WHERE r.model_id = m.model_id AND r.benchmark_id = ANY (:benchmarks)
                          AND r.right_bits IS NOT NULL)"""),
        {"benchmarks": list(benchmarks)},
    ).all()
    most = MOST_CELLS // max(items, 1)
    if len(rows) <= most:
        return None
    order = np.argsort(hashes([row.name for row in rows]), kind="stable")[:most]
    chosen = [rows[place].model_id for place in order.tolist()]
    return chosen if model is None or model in chosen else [*chosen, model]


def _known(
    matrix: OutcomeMatrix,
    others: Sequence[int],
    groups: Places,
    benchmarks: Sequence[BankBenchmark],
) -> KnownOutcomes:
    every = len(others) == len(matrix.models)
    values = matrix.values if every else matrix.values[list(others)]
    keys = hashes([matrix.models[place] for place in others])
    try:
        return known_outcomes(values, groups, keys)
    except UsageError as error:
        together = " together" if len(benchmarks) > 1 else ""
        raise UsageError(
            f"{' and '.join(each.title for each in benchmarks)}: too few other models took at least"
            f" {LEAST_SHARE:.0%} of the items{together} to learn from. {error}"
        ) from error
