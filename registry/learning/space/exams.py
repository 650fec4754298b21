"""Exams: groups of benchmarks that mostly the same models took."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from registry.learning.factorization.problem import Columns, Problem

SHARED = 0.3
"""Least ratio of shared to all models of two benchmarks of one exam: as matrices of an exam are
dense, it bounds the share of cells without an outcome."""

LEAST_MODELS = 5
"""Models of an exam, at least; a smaller one joins the largest."""


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Models and items of an exam.

    Attributes:
        rows: indices of the models that took it, rising.
        columns: indices of its items, rising.
    """

    rows: Columns
    columns: Columns


@dataclass(frozen=True, slots=True, eq=False)
class Unlinked:
    """Benchmarks of an exam whose models took no other benchmark of it.

    Attributes:
        groups: numbers of the benchmarks, as in `Problem.groups`.
        rows: indices of the models, rising.
    """

    groups: Columns
    rows: Columns


def exams_of(problem: Problem) -> list[Exam]:
    """Return the exams of a problem, the one of most models first.

    Each item is in one exam, each model with outcomes in at least one. Benchmarks without an
    outcome, and exams that are too small to learn from, join the largest exam.
    """
    groups = problem.groups
    if groups is None:
        return [Exam(_observed_rows(problem, None), np.arange(problem.outcomes.shape[1]))]
    numbers, index = np.unique(groups, return_inverse=True)
    took = np.stack(
        [_took(problem, np.flatnonzero(index == number)) for number in range(len(numbers))], axis=1
    )
    labels = _joined(took)
    # The largest first; of equal ones, that of the first benchmark.
    order = sorted(
        set(labels.tolist()), key=lambda label: (-took[:, labels == label].any(1).sum(), label)
    )
    large = [label for label in order if _learnable(problem, took, labels == label, index)]
    first = large[0] if large else order[0]
    labels = np.where(np.isin(labels, large), labels, first)
    return [
        Exam(_observed_rows(problem, columns), columns)
        for label in (large or [first])
        for columns in (np.flatnonzero(labels[index] == label),)
    ]


def unlinked(problem: Problem, exam: Exam) -> list[Unlinked]:
    """Return the parts of an exam that share no model with the rest, but for the largest part.

    Benchmarks that are too small for an exam of their own are learned with the largest one, whether
    or not a model took both.
    """
    if problem.groups is None:
        return []
    own = problem.groups[exam.columns]
    numbers = np.unique(own)
    took = np.stack([_took(problem, exam.columns[own == number]) for number in numbers], axis=1)
    counts = took.astype(np.float64)
    _, labels = connected_components(csr_array(counts.T @ counts > 0))
    parts = [
        Unlinked(numbers[labels == label], np.flatnonzero(took[:, labels == label].any(axis=1)))
        for label in np.unique(labels)
    ]
    parts = sorted((each for each in parts if len(each.rows)), key=lambda each: -len(each.rows))
    return parts[1:]


def _joined(took: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return a label of each benchmark, equal for those of one exam."""
    counts = took.astype(np.float64)
    both = counts.T @ counts
    alone = both.diagonal()
    union = alone[:, None] + alone - both
    _, labels = connected_components(csr_array(both >= SHARED * np.maximum(union, 1)))
    return np.asarray(labels, np.intp)


def _learnable(
    problem: Problem,
    took: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    index: NDArray[np.intp],
) -> bool:
    """Return whether benchmarks have enough models, items, and outcomes that differ."""
    rows, columns = took[:, chosen].any(1), np.flatnonzero(chosen[index])
    if rows.sum() < LEAST_MODELS or len(columns) < 2:  # noqa: PLR2004
        return False
    values = problem.outcomes[np.ix_(np.flatnonzero(rows), columns)]
    return bool(np.nanmin(values) < np.nanmax(values))


def _took(problem: Problem, columns: Columns) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(problem.outcomes[:, columns]).all(axis=1))


def _observed_rows(problem: Problem, columns: Columns | None) -> Columns:
    values = problem.outcomes if columns is None else problem.outcomes[:, columns]
    return np.flatnonzero(~np.isnan(values).all(axis=1))
