"""Correlations of two variables, as they are and given a third."""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals

LEAST = 4
"""Pairs of values from which on a correlation has an interval."""

LINE = 1 - 1e-12
"""Correlation from which on values are on a line, but for rounding: no interval follows from it."""


class Correlation(NamedTuple):
    """A correlation of n pairs; nan where it is not defined.

    Attributes:
        n: pairs of values.
        r: in [-1, 1].
        lower: end of its interval.
        upper: likewise.
        p: of none.
    """

    n: int
    r: float
    lower: float
    upper: float
    p: float


def pearson(x: Reals, y: Reals, *, level: float = 0.95) -> Correlation:
    """Return the linear correlation, with Fisher's interval (1921).

    Args:
        x: n finite values, not all alike; n >= `LEAST`.
        y: likewise.
        level: share of intervals that hold the correlation, in (0, 1).
    """
    from scipy import stats  # noqa: PLC0415 - slow to import, as all below

    found = stats.pearsonr(x, y)
    lower, upper = found.confidence_interval(level)
    r = float(found.statistic)
    if abs(r) >= LINE:
        lower = upper = np.nan
    return Correlation(len(x), r, float(lower), float(upper), float(found.pvalue))


def spearman(x: Reals, y: Reals, *, level: float = 0.95) -> Correlation:
    """Return the correlation of ranks, tied values sharing theirs.

    The interval is Fisher's, with the variance of Bonett and Wright (2000, Sample size requirements
    for estimating Pearson, Kendall and Spearman correlations). Arguments are as in `pearson`.
    """
    from scipy import stats  # noqa: PLC0415

    found = stats.spearmanr(x, y)
    r = float(found.statistic)
    ends = _interval(r, (1 + r * r / 2) / (len(x) - 3), level)
    return Correlation(len(x), r, *ends, float(found.pvalue))


def partial(x: Reals, y: Reals, given: Reals, *, level: float = 0.95) -> Correlation:
    """Return the linear correlation of what a third variable leaves of two.

    From the t of one in the regression of the other on both, which is its test too; Fisher's
    interval, with one value fewer. Arguments are as in `pearson`, n >= 5. Where one of two follows
    from the third alone, nothing is left to correlate, and all numbers are nan.

    Args:
        x: n finite values.
        y: likewise.
        given: likewise.
        level: as in `pearson`.
    """
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415

    third = np.column_stack([np.ones(len(x)), _standard(given)])
    if any(_explained(each, third) for each in (x, y)):
        return Correlation(len(x), *(np.nan,) * 4)
    fitted = OLS(_standard(y), np.column_stack([third, _standard(x)])).fit()
    df = len(x) - 3
    t, p = float(fitted.tvalues[2]), float(fitted.pvalues[2])
    r = float(np.sign(t)) if np.isinf(t) else t / np.sqrt(t * t + df)
    return Correlation(len(x), float(r), *_interval(float(r), 1 / (len(x) - 4), level), p)


def partial_spearman(x: Reals, y: Reals, given: Reals, *, level: float = 0.95) -> Correlation:
    """Return the correlation of ranks given a third variable's, as `partial` of ranks.

    The interval has the variance of `spearman`.
    """
    from scipy import stats  # noqa: PLC0415

    found = partial(*(stats.rankdata(each) for each in (x, y, given)), level=level)
    if np.isnan(found.r):
        return found
    ends = _interval(found.r, (1 + found.r**2 / 2) / (len(x) - 4), level)
    return Correlation(found.n, found.r, *ends, found.p)


def _interval(r: float, variance: float, level: float) -> tuple[float, float]:
    """Return the ends of an interval that is symmetric on the scale of Fisher's z."""
    from scipy import stats  # noqa: PLC0415

    if abs(r) >= 1 - 1e-12:
        return np.nan, np.nan
    half = float(stats.norm.isf((1 - level) / 2)) * np.sqrt(variance)
    middle = np.arctanh(r)
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


def _standard(values: Reals) -> Reals:
    return np.asarray((values - values.mean()) / values.std(), np.float64)


def _explained(values: Reals, by: Reals) -> bool:
    """Return whether a regression leaves nothing of values but rounding."""
    scaled = _standard(values)
    residuals = scaled - by @ np.linalg.lstsq(by, scaled, rcond=None)[0]
    return bool(np.abs(residuals).max() < 1e-9)  # noqa: PLR2004
