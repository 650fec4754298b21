"""Blocks without holes of scores of models on benchmarks."""

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places

MOST_BENCHMARKS = 60
"""Benchmarks among which a block is looked for, those of the most scores."""


def largest_block(known: NDArray[np.bool_]) -> tuple[Places, list[int]]:
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
