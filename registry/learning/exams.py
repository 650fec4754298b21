"""Exams: groups of benchmarks that mostly the same models took."""

import numpy as np
from numpy.typing import NDArray

SAME = 1 / 3
"""Least Jaccard similarity of two benchmarks' models within an exam: of two with equally many, half
of the models took both."""


def exams(taken: NDArray[np.bool_]) -> list[list[int]]:
    """Group benchmarks into exams.

    Each benchmark joins the first exam whose largest benchmark has mostly the same models. It is
    compared with that one alone, so that no chain of benchmarks joins two that share few models.

    Args:
        taken: M x B, whether a model has outcomes on a benchmark.

    Returns:
        Places of the benchmarks of each exam, those of most models first; benchmarks without
        models are in none.
    """
    counts = taken.sum(axis=0)
    groups: list[list[int]] = []
    for place in np.argsort(-counts, kind="stable").tolist():
        if not counts[place]:
            continue
        for group in groups:
            both = np.count_nonzero(taken[:, place] & taken[:, group[0]])
            if both >= SAME * (counts[place] + counts[group[0]] - both):
                group.append(place)
                break
        else:
            groups.append([place])
    return [sorted(group) for group in groups]


def takers(taken: NDArray[np.bool_], groups: list[list[int]]) -> NDArray[np.bool_]:
    """Return which models took an exam, that is any of its benchmarks: bool, M x E.

    Args:
        taken: M x B, as for `exams`.
        groups: places of the benchmarks of each of E exams.
    """
    columns = [taken[:, group].any(axis=1) for group in groups]
    return np.column_stack(columns) if columns else np.zeros((len(taken), 0), np.bool_)
