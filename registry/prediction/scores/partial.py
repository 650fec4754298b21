"""Scores estimated from outcomes on a part of a benchmark's items, as observations with errors."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.prediction.estimate import PartialScore, partial_scores
from registry.prediction.scores.table import ScoreTable
from registry.workers import Progress, no_progress


class _Part(NamedTuple):
    """A benchmark on which some models have outcomes on a part of the items."""

    key: int
    column: int


def with_estimates(
    connection: Connection, table: ScoreTable, on_progress: Progress = no_progress
) -> ScoreTable:
    """Return a table with estimated scores of models whose runs are limited to some items.

    The error of an estimate on the working scale is that of the score times the scale's slope. A
    measured score is kept as it is.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        table: of measured scores.
        on_progress: receives the progress.
    """
    found: list[tuple[int, PartialScore]] = []
    seen = set(zip(table.models[table.rows].tolist(), table.columns.tolist(), strict=True))
    parts = list(_parts(connection, table))
    for number, part in enumerate(parts):
        on_progress("estimating scores from some items", number, len(parts))
        for each in partial_scores(connection, part.key):
            cell = each.model_id, part.column
            if cell not in seen:
                seen.add(cell)
                found.append((part.column, each))
    if not found:
        return table
    columns = np.array([column for column, _ in found], np.intp)
    keys = np.array([each.model_id for _, each in found], np.int64)
    scores = np.clip([each.score for _, each in found], 0, 1)
    errors = np.array([each.deviation for _, each in found]) * table.links.slopes(scores, columns)
    models = np.unique(np.concatenate([table.models, keys]))
    return table._replace(
        models=models,
        rows=np.concatenate([
            np.searchsorted(models, table.models)[table.rows], np.searchsorted(models, keys)
        ]),
        columns=np.concatenate([table.columns, columns]),
        values=np.concatenate([table.values, table.links.working(scores, columns)]),
        variances=np.concatenate([table.variances, np.maximum(errors**2, LEAST_VARIANCE)]),
    )  # fmt: skip


LEAST_VARIANCE = 1e-4
"""Least variance of an estimate on the working scale: it is never taken for a measured score."""


def _parts(connection: Connection, table: ScoreTable) -> Iterator[_Part]:
    """Yield the benchmarks of shares with outcomes of models on a part of their items."""
    columns = {
        (each.name, each.version): column
        for column, each in enumerate(table.benchmarks)
        if table.links.bounded[column]
    }
    rows = connection.execute(
        text("""
        SELECT DISTINCT b.benchmark_id, coalesce(b.canonical, b.name) AS name, b.version
          FROM store.runs r JOIN store.benchmarks b USING (benchmark_id)
         WHERE r.right_bits IS NOT NULL AND r.outcome_count < b.item_count AND b.comparable
           -- The registry knows all items of the benchmark.
           AND EXISTS (SELECT FROM store.runs w
                        WHERE w.benchmark_id = r.benchmark_id AND w.complete
                          AND w.right_bits IS NOT NULL AND w.outcome_count = b.item_count)
         ORDER BY b.benchmark_id""")
    )
    for row in rows:
        if (row.name, row.version) in columns:
            yield _Part(row.benchmark_id, columns[row.name, row.version])
