"""Differences of the means of every pair of groups: Tukey's and those of Games and Howell.

Both bound the probability of any false difference among the pairs. Tukey's honestly significant
difference (1949; for groups of unequal size Kramer 1956) takes equal variances for granted, that of
Games and Howell (1976) does not. Standard errors are by statsmodels; its and scipy's integrals take
too long for many pairs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.statistics.one_way import is_constant
from registry.learning.statistics.studentized_range import (
    studentized_range_isf,
    studentized_range_sf,
)


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
    from statsmodels.sandbox.stats.multicomp import (  # noqa: PLC0415
        varcorrection_pairs_unbalanced,
        varcorrection_pairs_unequal,
    )

    means = np.array([each.mean() for each in groups])
    counts = np.array([len(each) for each in groups], np.float64)
    variances = np.array([each.var(ddof=1) for each in groups])
    constant = np.array([is_constant(each) for each in groups])
    variances[constant] = 0
    freedom = counts - 1
    first, second = np.triu_indices(len(groups), 1)
    difference = means[first] - means[second]
    within = (freedom * variances).sum() / freedom.sum()
    squares = within * varcorrection_pairs_unbalanced(counts, srange=True)[first, second]
    classic = _tested(
        difference, np.sqrt(squares), np.full(len(first), freedom.sum()), len(groups), level
    )
    robust = np.full((3, len(first)), np.nan)
    tested = ~(constant[first] | constant[second])
    if tested.any():
        pairs = first[tested], second[tested]
        with np.errstate(invalid="ignore", divide="ignore"):
            # Of two constant groups the degrees of freedom are not defined.
            of_sums, df = varcorrection_pairs_unequal(variances, counts, freedom)
        # The variance of a sum is that of a difference, twice that of a studentized mean.
        error = np.sqrt(of_sums[pairs] / 2)
        robust[:, tested] = _tested(difference[tested], error, df[pairs], len(groups), level)
    return GroupPairs(first, second, difference, *classic, *robust)


def _tested(difference: Reals, error: Reals, df: Reals, number: int, level: float) -> Reals:
    """Return p and both ends of intervals, 3 x P, of differences among `number` means."""
    p = studentized_range_sf(np.abs(difference) / error, number, df)
    half = error * studentized_range_isf(1 - level, number, df)
    return np.stack([p, difference - half, difference + half])
