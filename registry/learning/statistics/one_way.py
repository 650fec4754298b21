"""One-way analysis of variance: whether groups of scores differ, by the classic and robust tests.

Beside the classic test, which takes equal variances and normal residuals for granted, those that do
not: Welch's of means (Welch 1951), that of Kruskal and Wallis of ranks (1952). Numbers are by
statsmodels and scipy; nan where a test is not defined.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals

LEAST_FOR_NORMALITY = 20
"""Residuals from which on the test of their normality holds (D'Agostino and Pearson 1973)."""

LEAST_FOR_VARIANCES = 3
"""Values of a group from which on its deviations from the median vary."""

CONSTANT = 1e-12
"""Spread of values, relative to the largest, below which they are one value."""


class OneWay(NamedTuple):
    """Tests of whether k groups of n values in all have one mean.

    Attributes:
        f: ratio of the variance between groups to that within.
        df_between: k - 1.
        df_within: n - k.
        p: of f.
        eta_squared: share of the variance that groups explain, in [0, 1]; too high in few values.
        omega_squared: estimate of the same in the population; below 0 where groups explain nothing.
        lower: end of the interval of that share in the population.
        upper: likewise.
        welch_f: Welch's ratio.
        welch_df: its degrees of freedom within.
        welch_p: of it.
        kruskal_h: statistic of Kruskal and Wallis, with ties corrected.
        kruskal_p: of it.
        levene: statistic of equal variances, by deviations from the median (Brown, Forsythe 1974);
            of the groups of three values or more, as two are equally far from theirs. nan where
            fewer than two are left, or deviations vary within none.
        levene_p: of it.
        skewness: of the residuals; 0 if normal.
        kurtosis: of the residuals, in excess of the normal's 3.
        normality_p: of normal residuals.
    """

    f: float
    df_between: int
    df_within: int
    p: float
    eta_squared: float
    omega_squared: float
    lower: float
    upper: float
    welch_f: float
    welch_df: float
    welch_p: float
    kruskal_h: float
    kruskal_p: float
    levene: float
    levene_p: float
    skewness: float
    kurtosis: float
    normality_p: float


def is_constant(values: Reals) -> bool:
    """Return whether values differ by rounding at most."""
    return float(np.ptp(values)) <= CONSTANT * max(1.0, float(np.abs(values).max()))


def one_way(groups: Sequence[Reals], *, level: float = 0.95) -> OneWay:
    """Test whether groups have one mean.

    Args:
        groups: k >= 2, each of two finite values or more, that are not all alike.
        level: share of intervals that hold the effect, in (0, 1).
    """
    from scipy import stats  # noqa: PLC0415 - slow to import, as the next
    from statsmodels.stats.oneway import anova_oneway  # noqa: PLC0415

    constant = [is_constant(each) for each in groups]
    residuals = np.concatenate([each - each.mean() for each in groups])
    count, df_between = len(residuals), len(groups) - 1
    df_within = count - len(groups)
    f = p = eta = omega = lower = upper = np.nan
    welch = (np.nan, np.nan, np.nan)
    levene, levene_p, normality_p = np.nan, np.nan, np.nan
    skewness = kurtosis = np.nan
    if not all(constant):
        classic = anova_oneway(list(groups), use_var="equal")
        f, p = float(classic.statistic), float(classic.pvalue)
        explained = f * df_between / df_within
        eta = explained / (1 + explained)
        omega = (f - 1) / (f + (df_within + 1) / df_between)
        lower, upper = explained_share(f, df_between, df_within, level=level)
        levene, levene_p = _equal_variances(groups)
        skewness, kurtosis = float(stats.skew(residuals)), float(stats.kurtosis(residuals))
        if count >= LEAST_FOR_NORMALITY:
            normality_p = float(stats.normaltest(residuals).pvalue)
    if not any(constant):
        robust = anova_oneway(list(groups), use_var="unequal")
        welch = float(robust.statistic), float(robust.df_denom), float(robust.pvalue)
    kruskal = stats.kruskal(*groups)
    return OneWay(
        f, df_between, df_within, p, eta, omega, lower, upper, *welch,
        float(kruskal.statistic), float(kruskal.pvalue), levene, levene_p,
        skewness, kurtosis, normality_p,
    )  # fmt: skip


def _equal_variances(groups: Sequence[Reals]) -> tuple[float, float]:
    """Return the statistic of equal variances and its p; nan where they are not defined."""
    from scipy import stats  # noqa: PLC0415

    large = [each for each in groups if len(each) >= LEAST_FOR_VARIANCES]
    if len(large) < 2 or all(is_constant(np.abs(each - np.median(each))) for each in large):  # noqa: PLR2004
        return np.nan, np.nan
    statistic, p = stats.levene(*large, center="median")
    return float(statistic), float(p)


def explained_share(
    f: float, df_between: int, df_within: int, *, level: float
) -> tuple[float, float]:
    """Return the interval of the share of variance that groups explain in the population.

    It holds the shares by which a ratio as extreme as `f` is not too rare: the noncentrality of F
    is varied until it is, and divided by the number of values (Steiger 2004, Beyond the F test).
    statsmodels gives no noncentrality above 10,000, and nothing where the interval ends at 0.
    """
    from scipy import optimize, stats  # noqa: PLC0415

    def excess(noncentrality: float, below: float) -> float:
        return float(stats.ncf.cdf(f, df_between, df_within, noncentrality)) - below

    def noncentrality(below: float) -> float:
        if stats.f.cdf(f, df_between, df_within) <= below:
            return 0.0
        high = f * df_between + 1
        while excess(high, below) > 0:
            high *= 2
        return float(optimize.brentq(excess, 0, high, (below,), xtol=1e-9 * high))

    count = df_between + df_within + 1
    ends = [noncentrality((1 + level) / 2), noncentrality((1 - level) / 2)]
    return ends[0] / (ends[0] + count), ends[1] / (ends[1] + count)
