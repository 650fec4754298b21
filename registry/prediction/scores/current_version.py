"""Current version of the score model: its benchmarks, and the scores that count in it."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.learning.arrays import Places, Reals
from registry.learning.scores.links import ScoreLinks
from registry.prediction.scores.table import measured_scores

SAME = 1e-9
"""Difference on the working scale up to which two scores are the same."""


class CurrentVersion(NamedTuple):
    """A version's number and time of placement, and its B benchmarks in order of their keys.

    Attributes:
        number: of the version.
        placed_at: when the catalog was read for the last placement.
        newest: greatest key of the catalog then.
        keys: int64, B, ascending.
        columns: by canonical name, version, and whether scores are shares.
        links: working scales.
        bits: int64, B: bit of each benchmark's block.
        factors: float64, 3 x B: on deviations, of models without other scores, with some, and with
            scores in other blocks alone.
    """

    number: int
    placed_at: datetime
    newest: int
    keys: NDArray[np.int64]
    columns: dict[tuple[str, str, bool], int]
    links: ScoreLinks
    bits: NDArray[np.int64]
    factors: Reals


class CountedScores(NamedTuple):
    """Scores of models on a version's benchmarks, n.

    Attributes:
        models: int64, n: keys.
        columns: intp, n.
        values: float64, n, on the working scale.
        variances: float64, n, of each value's own error; 0 where measured.
    """

    models: NDArray[np.int64]
    columns: Places
    values: Reals
    variances: Reals

    def only(self, which: NDArray[np.bool_]) -> "CountedScores":
        """Return some of the scores."""
        return CountedScores(
            self.models[which], self.columns[which], self.values[which], self.variances[which]
        )

    def joined(self, other: "CountedScores") -> "CountedScores":
        """Return these scores and others."""
        return CountedScores(
            np.concatenate([self.models, other.models]),
            np.concatenate([self.columns, other.columns]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.variances, other.variances]),
        )

    def cells(self, benchmarks: int) -> NDArray[np.int64]:
        """Return one number a model and benchmark, n."""
        return self.models * benchmarks + self.columns


def read_version(connection: Connection) -> CurrentVersion | None:
    """Read the current version; None where nothing is fitted."""
    found = connection.execute(
        text("""
        SELECT version_id, placed_at, newest_model_id FROM store.prediction_versions
         WHERE state = 'current'""")
    ).one_or_none()
    if found is None:
        return None
    rows = connection.execute(
        text("""
        SELECT w.benchmark_id, coalesce(b.canonical, b.name) AS name, b.version, w.centre, w.scale,
               w.score_count, w.block, w.cold_factor, w.warm_factor, w.crossed_factor
          FROM store.benchmark_loadings w
          LEFT JOIN store.benchmarks b ON b.benchmark_id = w.benchmark_id
         WHERE w.version_id = :version
         ORDER BY w.benchmark_id"""),
        {"version": found.version_id},
    ).all()
    bounded = np.array([row.centre is None for row in rows], bool)
    return CurrentVersion(
        found.version_id,
        found.placed_at,
        found.newest_model_id,
        np.array([row.benchmark_id for row in rows], np.int64),
        {
            (row.name, row.version, row.centre is None): place
            # Of two that have become one since, the one with more scores counts.
            for place, row in sorted(enumerate(rows), key=lambda each: each[1].score_count)
            if row.benchmark_id > 0
        },
        ScoreLinks(
            bounded,
            np.array([row.centre or 0.0 for row in rows]),
            np.array([1.0 if row.centre is None else row.scale for row in rows]),
        ),
        np.array([row.block for row in rows], np.int64),
        np.array([[row.cold_factor, row.warm_factor, row.crossed_factor] for row in rows]).T,
    )


def measured(connection: Connection, version: CurrentVersion) -> CountedScores:
    """Read the scores of complete runs on a version's benchmarks, by the scale that it took."""
    models, columns, values = [], [], []
    for row in measured_scores(connection):
        column = version.columns.get((row.benchmark, row.version, row.share is not None))
        if column is not None:
            models.append(row.model_id)
            columns.append(column)
            values.append(row.raw if row.share is None else row.share)
    places = np.array(columns, np.intp)
    working = version.links.working(np.array(values, np.float64), places)
    return CountedScores(np.array(models, np.int64), places, working, np.zeros(len(working)))


def counted(connection: Connection, version: CurrentVersion) -> CountedScores:
    """Read the scores that count in a version's predictions now."""
    places = {key: place for place, key in enumerate(version.keys.tolist())}
    rows = connection.execute(
        text("""
        SELECT model_id, benchmark_id, value, variance FROM store.fitted_scores
         WHERE version_id = :version ORDER BY model_id, benchmark_id"""),
        {"version": version.number},
    ).all()
    return CountedScores(
        np.array([row.model_id for row in rows], np.int64),
        np.array([places[row.benchmark_id] for row in rows], np.intp),
        np.array([row.value for row in rows], np.float64),
        np.array([row.variance for row in rows], np.float64),
    )


def present(
    connection: Connection, version: CurrentVersion
) -> tuple[CountedScores, NDArray[np.int64]]:
    """Return the scores that should count, and the models whose scores changed since.

    Those that are measured; and estimates and scores on parts of a benchmark, which the next fit
    renews, where no measured score of it has come.
    """
    now, before = measured(connection, version), counted(connection, version)
    size = len(version.keys)
    of_runs = (before.variances == 0) & (version.keys[before.columns] > 0)
    rest = before.only(~of_runs)
    replaced = np.isin(rest.cells(size), now.cells(size))
    changed = _changed(now, before.only(of_runs), size)
    return now.joined(rest.only(~replaced)), np.union1d(changed, rest.models[replaced])


def _changed(now: CountedScores, before: CountedScores, size: int) -> NDArray[np.int64]:
    """Return the models with a score in one of two tables alone, or with two values."""
    of_now, of_before = now.cells(size), before.cells(size)
    alone = np.setxor1d(of_now, of_before)
    _, first, second = np.intersect1d(of_now, of_before, return_indices=True)
    moved = np.abs(now.values[first] - before.values[second]) > SAME
    return np.union1d(alone // size, now.models[first[moved]])
