"""Differences of the means of every pair of groups: Tukey's and those of Games and Howell.

Both bound the probability of any false difference among the pairs. Tukey's honestly significant
difference (1949; for groups of unequal size Kramer 1956) takes equal variances for granted, that of
Games and Howell (1976) does not. Both are by statsmodels, quantiles of the studentized range by
scipy.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, cast

import numpy as np

from registry.learning.arrays import Places, Reals

NODES = 12
"""Degrees of freedom at which quantiles of the studentized range are computed; each takes a tenth
of a second. Between them they are interpolated, to nine digits."""

LEAST_INTERPOLATED = 4.0
"""Degrees of freedom from which on quantiles are interpolated; below they rise too steeply."""


class GroupPairs(NamedTuple):
    """Differences of all pairs of k groups, P = k (k - 1) / 2.

    Attributes:
        first: P, place of the first group of each pair.
        second: P, of the other.
        difference: P, mean of the first minus that of the second.
        p: P, of no difference, by Tukey; corrected for the number of pairs.
        lower: P, end of the simultaneous interval.
        upper: P, likewise.
        games_howell_p: P, of no difference, by Games and Howell; nan where a group of the pair is
            constant.
        games_howell_lower: P, likewise.
        games_howell_upper: P, likewise.
    """

    first: Places
    second: Places
    difference: Reals
    p: Reals
    lower: Reals
    upper: Reals
    games_howell_p: Reals
    games_howell_lower: Reals
    games_howell_upper: Reals


def group_pairs(groups: Sequence[Reals], *, level: float = 0.95) -> GroupPairs:
    """Compare each pair of groups.

    Args:
        groups: k >= 2, each of two finite values or more; at least one is not constant.
        level: share of families of intervals that hold all differences, in (0, 1).
    """
    # Slow to import.
    from scipy.integrate import IntegrationWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        # Of means that are almost one: the probability of less is nearly 0, p 1 to ten digits.
        warnings.simplefilter("ignore", IntegrationWarning)
        return _group_pairs(groups, level)


def _group_pairs(groups: Sequence[Reals], level: float) -> GroupPairs:
    from scipy.stats import studentized_range  # noqa: PLC0415
    from statsmodels.sandbox.stats.multicomp import tukeyhsd  # noqa: PLC0415

    means = np.array([each.mean() for each in groups])
    counts = np.array([len(each) for each in groups], np.float64)
    variances = np.array([each.var(ddof=1) for each in groups])
    variances[[np.ptp(each) == 0 for each in groups]] = 0
    within = ((counts - 1) * variances).sum() / (counts - 1).sum()
    critical = float(studentized_range.ppf(level, len(groups), (counts - 1).sum()))
    tukey = tukeyhsd(means, counts, within, alpha=1 - level, q_crit=critical)
    first, second = tukey[0]
    # statsmodels subtracts the first from the second.
    difference, interval = -tukey[2], -tukey[4]
    robust = np.full((3, len(first)), np.nan)
    varied = variances > 0
    tested = varied[first] & varied[second]
    if tested.any():
        kept = np.flatnonzero(varied)
        robust[:, tested] = _games_howell(
            means[kept], counts[kept], variances[kept], len(groups), level
        )
    return GroupPairs(
        first.astype(np.intp), second.astype(np.intp), difference,
        np.clip(tukey[8], 0, 1), interval[:, 1], interval[:, 0], *robust,
    )  # fmt: skip


def _games_howell(
    means: Reals, counts: Reals, variances: Reals, number: int, level: float
) -> Reals:
    """Return p and both ends of intervals, 3 x P, of groups that vary, of `number` in all."""
    from scipy.stats import studentized_range  # noqa: PLC0415
    from statsmodels.sandbox.stats.multicomp import tukeyhsd  # noqa: PLC0415

    # A quantile of 1 makes the intervals the differences plus and minus one error.
    found = tukeyhsd(means, counts, variances, alpha=1 - level, q_crit=1.0)
    difference, error, df, p = -found[2], found[3], np.atleast_1d(found[6]), found[8]
    if number > len(means):
        p = np.atleast_1d(studentized_range.sf(np.abs(difference) / error, number, df))
    half = error * range_quantiles(level, number, df)
    return np.stack([np.clip(p, 0, 1), difference - half, difference + half])


def range_quantiles(level: float, number: int, df: Reals) -> Reals:
    """Return quantiles of the studentized range of `number` groups, by degrees of freedom.

    Args:
        level: probability below the quantile.
        number: of groups.
        df: P, degrees of freedom, above 0.
    """
    from scipy.stats import studentized_range  # noqa: PLC0415

    smooth = df >= LEAST_INTERPOLATED
    found = np.empty(len(df))
    found[~smooth] = studentized_range.ppf(level, number, df[~smooth])
    if smooth.any():
        found[smooth] = np.exp(_interpolated(level, number)(np.log1p(1 / df[smooth])))
    return found


@cache
def _interpolated(level: float, number: int) -> Callable[[Reals], Reals]:
    """Return the logarithm of quantiles as a function of log(1 + 1 / df), which is smooth.

    At Chebyshev's nodes, between which the error of a polynomial stays small.
    """
    from scipy.interpolate import BarycentricInterpolator  # noqa: PLC0415
    from scipy.stats import studentized_range  # noqa: PLC0415

    nodes = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    at = np.log1p(1 / LEAST_INTERPOLATED) * (nodes + 1) / 2
    known = np.log(studentized_range.ppf(level, number, 1 / np.expm1(at)))
    return cast("Callable[[Reals], Reals]", BarycentricInterpolator(at, known))
