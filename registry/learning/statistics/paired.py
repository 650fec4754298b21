"""Paired comparison of models: differences of their outcomes on the items that both answered.

Differences on the same items vary less than two scores do, and items of one subject or passage are
answered alike: standard errors are of differences, clustered (Miller 2024, Adding Error Bars to
Evals, sections 3.1 and 4.2). With one item a cluster they are those of independent items.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import Matrix

LEVEL = 0.95
"""Share of intervals that hold the difference."""

POWER = 0.8
"""Probability that a minimum detectable difference is found at level `LEVEL`."""

ROUNDING = 1e-6
"""Differences of outcomes in [0, 1] as float32 below which they are rounding, of 1.2e-7 at most."""

AT_ONCE = 1 << 23
"""Differences in memory at a time: 64 MB."""


class PairedDifferences(NamedTuple):
    """Differences of a model's mean outcome from those of M others, of common items; M each.

    Where two models have no common item, or one cluster alone, errors and what follows from them
    are nan. Where all differences are alike but for rounding, their variance says nothing: the
    interval leaves open what happens so seldom that it is unseen in as many clusters, and p is that
    of the sign test.

    Attributes:
        items: common items.
        clusters: clusters of those items.
        score: float64, mean outcome of the model on them.
        other: float64, of the other model.
        difference: float64, the first minus the second.
        error: float64, its standard error, clustered.
        lower: float64, end of its interval.
        upper: float64, likewise.
        p: float64, of no difference, by Student's t with one degree of freedom less than clusters.
        only_first: items that the first alone answered rightly; -1 where outcomes are graded.
        only_second: items that the second alone did, likewise.
        mcnemar: float64, p of equal chances by the exact test of these two numbers; nan where
            outcomes are graded.
        detectable: float64, least difference that one test at the level would find, with its sign,
            with probability `POWER`.
    """

    items: Places
    clusters: Places
    score: Reals
    other: Reals
    difference: Reals
    error: Reals
    lower: Reals
    upper: Reals
    p: Reals
    only_first: Places
    only_second: Places
    mcnemar: Reals
    detectable: Reals


def compare(
    first: Matrix, others: Matrix, clusters: Places | None = None, *, level: float = LEVEL
) -> PairedDifferences:
    """Compare a model with others on the items that both have outcomes on.

    Args:
        first: float32, N: outcomes in [0, 1]; nan where not observed.
        others: float32, M x N.
        clusters: intp, N: cluster of each item, from 0; None where each item is one.
        level: share of intervals that hold the difference, in (0, 1); tests are at 1 minus it.

    Raises:
        ValueError: for shapes that do not fit, or another level.
    """
    items = len(first)
    if others.ndim != 2 or others.shape[1] != items:  # noqa: PLR2004
        raise ValueError(f"outcomes of others are to be of {items} items")
    if clusters is not None and len(clusters) != items:
        raise ValueError(f"clusters are to be of {items} items")
    if not 0 < level < 1:
        raise ValueError(f"level is to be between 0 and 1, not {level:g}")
    own = np.arange(items) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    step = max(1, AT_ONCE // max(items, 1))
    parts = [
        _compared(first.astype(np.float64), others[start : start + step], own, level)
        for start in range(0, max(len(others), 1), step)
    ]
    return PairedDifferences(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _compared(first: Reals, others: Matrix, clusters: Places, level: float) -> PairedDifferences:
    common = ~(np.isnan(first) | np.isnan(others))
    count = common.sum(axis=1)
    second = np.where(common, others, 0).astype(np.float64)
    of_first = np.where(common, first, 0)
    with np.errstate(invalid="ignore"):
        means = of_first.sum(axis=1) / count, second.sum(axis=1) / count
    difference = means[0] - means[1]
    left = np.where(common, of_first - second - difference[:, None], 0)
    size = int(clusters.max(initial=-1)) + 1
    groups, error, alike = _clustered(left, common, clusters, size, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = groups - 1.0
        p = 2 * stats.t.sf(np.abs(difference) / error, freedom)
        half = stats.t.ppf((1 + level) / 2, freedom) * error
    # All differences are alike: what is not seen in n clusters happens in less than this share.
    unseen = 1 - (1 - level) ** (1 / np.maximum(groups, 1))
    half = np.where(alike, unseen, half)
    p = np.where(alike, np.where(np.abs(difference) <= ROUNDING, 1.0, 0.5 ** (groups - 1.0)), p)
    only = _discordant(of_first, second, common)
    return PairedDifferences(
        count,
        groups,
        *means,
        difference,
        error,
        np.maximum(difference - half, -1),
        np.minimum(difference + half, 1),
        p,
        *only,
        _mcnemar(*only),
        np.where(alike, unseen, found_at(groups, level) * error),
    )


def found_at(clusters: Places, level: float) -> Reals:
    """Return the difference, in standard errors, that the t test finds with probability `POWER`.

    By the noncentral t (Cohen 1988, Statistical Power Analysis, section 2.2): with few clusters the
    error is uncertain itself, and the normal distribution's 2.80 at level 0.95 is too little.

    Args:
        clusters: intp, M; nan is returned for fewer than two.
        level: of the interval, in (0, 1); of the two directions the right one counts.
    """
    sizes, places = np.unique(clusters, return_inverse=True)
    freedom = np.where(sizes > 1, sizes - 1.0, np.nan)
    limit = stats.t.ppf((1 + level) / 2, freedom)
    shift = special.nctdtrinc(freedom, 1 - POWER, limit)
    # The search ends at 1e-8 of the probability: two of Newton's steps go on.
    for _ in range(2):
        step = 1e-4 * shift
        ends = [special.nctdtr(freedom, shift + way * step, limit) for way in (-1, 1)]
        off = special.nctdtr(freedom, shift, limit) - (1 - POWER)
        shift = shift - off * 2 * step / (ends[1] - ends[0])
    return np.asarray(shift, np.float64)[places]


def _clustered(
    left: Reals, common: NDArray[np.bool_], clusters: Places, size: int, count: Places
) -> tuple[Places, Reals, NDArray[np.bool_]]:
    """Return clusters of each pair, their standard error, and whether all differ alike, M each."""
    if size == len(clusters):
        sums, groups, largest = left, count, np.ones(1)
    else:
        onto = np.zeros((len(clusters), size))
        onto[np.arange(len(clusters)), clusters] = 1
        sums = left @ onto
        largest = onto.sum(axis=0)
        # A product, but where each model has each item.
        groups = (
            np.full(len(count), size)
            if common.all() and size
            else ((common.astype(np.float64) @ onto) > 0).sum(axis=1)
        )
    squares = np.square(sums).sum(axis=1)
    alike = (np.abs(sums) <= ROUNDING * largest).all(axis=1) & (groups > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(alike, 0, np.sqrt(squares * groups / (groups - 1.0)) / count)
    return groups, np.where(groups > 1, error, np.nan), alike


def _discordant(first: Reals, second: Reals, common: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return the items that one model alone answered rightly, M each; -1 where graded."""
    plain = np.logical_and(*(((each == 0) | (each == 1)).all(axis=1) for each in (first, second)))
    of_first = (common & (first == 1) & (second == 0)).sum(axis=1)
    of_second = (common & (first == 0) & (second == 1)).sum(axis=1)
    return np.where(plain, of_first, -1), np.where(plain, of_second, -1)


def _mcnemar(first: Places, second: Places) -> Reals:
    """Return p of the exact test that either model is the better one on an item, M."""
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(first, second), first + second, 0.5))
    return np.where(first < 0, np.nan, p)
