"""Complete scores: models with a score on each of several benchmarks, for what takes no holes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame, read_frame
from registry.errors import UsageError
from registry.learning.arrays import Places
from registry.learning.statistics.one_way import is_constant

MOST_BENCHMARKS = 60
"""Benchmarks among which a block is looked for, those of the most scores."""


def read_complete(
    engine: Engine, options: FrameOptions, *, models: int, benchmarks: int, doing: str
) -> ScoreFrame:
    """Read the frame of models with a score on each benchmark.

    Where no benchmark is named it is the block of the most scores: those benchmarks for which
    their number times that of the models with all of them is largest. Benchmarks on which all
    scores are alike are left out. Both is noted.

    Args:
        engine: of a database at head.
        options: which scores.
        models: that are needed.
        benchmarks: that are needed.
        doing: what needs them.

    Raises:
        UsageError: as `read_frame` does, and where there are fewer.
    """
    named = options.benchmarks is not None
    frame = read_frame(engine, replace(options, complete=options.complete or named))
    if not named and not options.complete:
        frame = _block(frame)
    varying = [
        place for place in range(len(frame.benchmarks))
        if not is_constant(frame.values[:, place])
    ]  # fmt: skip
    for place in sorted(set(range(len(frame.benchmarks))) - set(varying)):
        frame.notes.append(f"{frame.benchmarks[place].title}: left out, as all scores are alike.")
    if len(frame.models) < models or len(varying) < benchmarks:
        raise UsageError(
            f"{doing} takes {models} models with scores on {benchmarks} benchmarks that are not"
            f" all alike; {len(frame.models)} have all on {len(varying)}. Name benchmarks of the"
            " same models, or give a wider slice."
        )
    return _part(frame, np.arange(len(frame.models)), varying)


def _block(frame: ScoreFrame) -> ScoreFrame:
    rows, columns = largest_block(np.isfinite(frame.values))
    if left := len(frame.benchmarks) - len(columns):
        frame.notes.append(
            f"{left} benchmark{'s' if left > 1 else ''} left out and"
            f" {len(frame.models) - len(rows):,} models, for the {len(columns)} benchmarks of"
            f" the most scores by the same models; name benchmarks for others."
        )
    elif len(rows) < len(frame.models):
        frame.notes.append(
            f"{len(frame.models) - len(rows):,} models left out, without a score on each benchmark."
        )
    return _part(frame, rows, columns)


def largest_block(known: Places) -> tuple[Places, list[int]]:
    """Return the rows and columns of a block without holes, of nearly the most cells.

    From each column on, the others are added by how many of the rows they keep; the best block on
    the way counts. The largest of all takes exponential time.

    Args:
        known: M x B, whether there is a score.
    """
    order = np.argsort(-known.sum(axis=0), kind="stable")[:MOST_BENCHMARKS]
    best: tuple[int, list[int]] = (-1, [])
    for first in order:
        rows, columns = known[:, first].copy(), [int(first)]
        shared = known[rows][:, order].sum(axis=0)
        best = max(best, (int(rows.sum()), sorted(columns)), key=lambda each: each[0])
        for place in np.argsort(-shared, kind="stable"):
            if order[place] == first:
                continue
            rows &= known[:, order[place]]
            columns.append(int(order[place]))
            if (cells := int(rows.sum()) * len(columns)) > best[0]:
                best = cells, sorted(columns)
    return np.flatnonzero(known[:, best[1]].all(axis=1)), best[1]


def _part(frame: ScoreFrame, rows: Places, columns: Sequence[int]) -> ScoreFrame:
    cells = np.ix_(rows, np.asarray(columns, np.intp))
    return replace(
        frame,
        models=[frame.models[row] for row in rows],
        benchmarks=[frame.benchmarks[column] for column in columns],
        values=frame.values[cells],
        sizes=frame.sizes[rows],
        codes=frame.codes[cells],
    )


def groups_of_models(frame: ScoreFrame, least: int, notes: list[str]) -> Places:
    """Return the group of each model; -1 where it is in none, in several, or in a small one.

    Args:
        frame: with a score on each benchmark.
        least: models with which a group counts.
        notes: to which groups are added that do not count.
    """
    codes = frame.codes[:, 0].copy()
    codes[(frame.codes != codes[:, None]).any(axis=1)] = -1
    for place in range(len(frame.groups)):
        if 0 < (count := int((codes == place).sum())) < least:
            said = "1 model" if count == 1 else f"{count} models"
            notes.append(f"{frame.groups[place]}: no group, with {said} here.")
            codes[codes == place] = -1
    return codes
