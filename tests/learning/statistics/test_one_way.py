"""Analysis of variance: the libraries' numbers, R's, and how often it is wrong on known truth."""

import json
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import anova_oneway, confint_effectsize_oneway

from registry.learning.arrays import Reals
from registry.learning.statistics.group_pairs import group_pairs
from registry.learning.statistics.one_way import explained_share, is_constant, one_way

Groups = Sequence[Reals]


def drawn(
    seed: int = 0,
    means: Sequence[float] = (0, 0.3, 0.6, 0.4),
    deviations: Sequence[float] = (1, 0.6, 1.5, 1),
    counts: Sequence[int] = (9, 30, 14, 60),
) -> Groups:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(mean, deviation, count)
        for mean, deviation, count in zip(means, deviations, counts, strict=True)
    ]


def by_r(groups: Groups) -> dict[str, list[float]]:
    """Compute the same in R."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    values = ",".join(repr(float(each)) for group in groups for each in group)
    names = ",".join(f'"g{place}"' for place, group in enumerate(groups) for _ in group)
    script = f"""
        v <- c({values}); g <- factor(c({names})); a <- aov(v ~ g); s <- summary(a)[[1]]
        t <- TukeyHSD(a)$g; w <- oneway.test(v ~ g); k <- kruskal.test(v ~ g)
        say <- function(name, x) cat(sprintf('"%s": [%s],', name,
                                             paste(sprintf("%.15g", x), collapse = ",")))
        cat("{{"); say("aov", c(s[1, 4], s[1, 5])); say("diff", t[, 1]); say("lower", t[, 2])
        say("upper", t[, 3]); say("p", t[, 4]); say("welch", c(w$statistic, w$p.value))
        say("kruskal", c(k$statistic, k$p.value))
        cat('"end": []}}')"""
    found = subprocess.run(
        ["Rscript", "-"], input=script, capture_output=True, text=True, check=True
    ).stdout
    result: dict[str, list[float]] = json.loads(found)
    return result


def test_each_number_is_that_of_the_library() -> None:
    groups = drawn()
    found = one_way(groups)
    names = np.repeat(np.arange(4), [len(each) for each in groups])
    frame = pd.DataFrame({"v": np.concatenate(groups), "g": names})
    table = anova_lm(ols("v ~ C(g)", frame).fit())
    assert (found.f, found.p) == pytest.approx((table["F"].iloc[0], table["PR(>F)"].iloc[0]))
    assert (found.df_between, found.df_within) == tuple(table["df"])
    of_groups, residual = table["sum_sq"]
    assert found.eta_squared == pytest.approx(of_groups / (of_groups + residual))
    spread = residual / found.df_within
    assert found.omega_squared == pytest.approx(
        (of_groups - 3 * spread) / (of_groups + residual + spread)
    )
    welch = anova_oneway(groups, use_var="unequal")
    assert found.welch_f == pytest.approx(welch.statistic)
    assert found.welch_df == pytest.approx(welch.df_denom)
    assert found.welch_p == pytest.approx(welch.pvalue)
    assert (found.kruskal_h, found.kruskal_p) == pytest.approx(tuple(stats.kruskal(*groups)))
    assert (found.levene, found.levene_p) == pytest.approx(
        tuple(stats.levene(*groups, center="median"))
    )
    residuals = np.concatenate([each - each.mean() for each in groups])
    assert found.skewness == pytest.approx(stats.skew(residuals))
    assert found.kurtosis == pytest.approx(stats.kurtosis(residuals))
    assert found.normality_p == pytest.approx(stats.normaltest(residuals).pvalue)


@pytest.mark.parametrize(("f", "df"), [(5.0, (3, 40)), (300.0, (5, 1178)), (900.0, (5, 5000))])
def test_interval_of_the_effect_is_that_of_statsmodels(f: float, df: tuple[int, int]) -> None:
    for level in (0.95, 0.8):
        expected = confint_effectsize_oneway(f, df, alpha=1 - level).eta2
        assert explained_share(f, *df, level=level) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("f", [5.0, 5000.0, 40000.0])
def test_ends_of_the_interval_have_the_tails_that_they_are_of(f: float) -> None:
    # Beyond noncentralities of 10,000 statsmodels repeats that bound.
    for end, below in zip(explained_share(f, 5, 5000, level=0.9), (0.95, 0.05), strict=True):
        noncentrality = end / (1 - end) * 5006
        assert stats.ncf.cdf(f, 5, 5000, noncentrality) == pytest.approx(below, abs=1e-6)


def test_no_effect_has_an_interval_from_zero() -> None:
    assert explained_share(0.9, 3, 40, level=0.95)[0] == 0
    lower, upper = explained_share(0.0, 3, 40, level=0.95)
    assert (lower, upper) == (0, 0)


def test_numbers_are_those_of_r() -> None:
    groups = drawn(3)
    theirs, found, pairs = by_r(groups), one_way(groups), group_pairs(groups)
    assert [found.f, found.p] == pytest.approx(theirs["aov"], rel=1e-6)
    assert [found.welch_f, found.welch_p] == pytest.approx(theirs["welch"], rel=1e-6)
    assert [found.kruskal_h, found.kruskal_p] == pytest.approx(theirs["kruskal"], rel=1e-6)
    # R subtracts the first group from the second.
    assert list(-pairs.difference) == pytest.approx(theirs["diff"], rel=1e-6)
    assert list(-pairs.upper) == pytest.approx(theirs["lower"], rel=1e-6)
    assert list(-pairs.lower) == pytest.approx(theirs["upper"], rel=1e-6)
    assert list(pairs.p) == pytest.approx(theirs["p"], rel=1e-6, abs=1e-9)


def test_pairs_are_those_of_scipy() -> None:
    groups, level = drawn(5), 0.8
    found = group_pairs(groups, level=level)
    assert list(zip(found.first, found.second, strict=True)) == [
        (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3),
    ]  # fmt: skip
    places = found.first, found.second
    for equal, p, lower, upper in (
        (True, found.p, found.lower, found.upper),
        (False, found.games_howell_p, found.games_howell_lower, found.games_howell_upper),
    ):
        expected = stats.tukey_hsd(*groups, equal_var=equal)
        ends = expected.confidence_interval(level)
        assert list(found.difference) == pytest.approx(list(expected.statistic[places]))
        assert list(p) == pytest.approx(list(expected.pvalue[places]), abs=1e-9)
        assert list(lower) == pytest.approx(list(ends.low[places]), rel=1e-6)
        assert list(upper) == pytest.approx(list(ends.high[places]), rel=1e-6)


def test_a_constant_group_leaves_out_what_takes_its_variance() -> None:
    groups = [np.full(6, 0.25), *drawn(1, (0, 0.1), (0.1, 0.1), (8, 8))]
    found, pairs = one_way(groups), group_pairs(groups)
    assert np.isnan([found.welch_f, found.welch_df, found.welch_p]).all()
    assert np.isfinite([found.f, found.p, found.kruskal_p, found.levene_p]).all()
    assert list(np.isnan(pairs.games_howell_p)) == [True, True, False]
    assert np.isfinite(pairs.p).all()
    # Corrected for all three groups.
    assert pairs.games_howell_p[2] > group_pairs(groups[1:]).games_howell_p[0] + 0.001


def test_groups_that_each_are_constant_have_ranks_alone() -> None:
    found = one_way([np.full(5, 0.1), np.full(5, 0.3)])
    assert np.isnan([found.f, found.p, found.eta_squared, found.welch_p, found.levene_p]).all()
    assert found.kruskal_p < 0.01


def test_normality_is_not_tested_in_few_values() -> None:
    assert np.isnan(one_way([np.arange(5.0), np.arange(6.0)]).normality_p)
    assert not np.isnan(one_way([np.arange(10.0), np.arange(10.0)]).normality_p)


def test_constant_is_what_differs_by_rounding() -> None:
    assert is_constant(np.array([0.3, 0.1 + 0.2]))
    assert is_constant(np.array([1e9, 1e9 + 1e-5]))
    assert not is_constant(np.array([0.3, 0.3001]))


def test_intervals_of_the_effect_hold_it_and_false_findings_are_rare() -> None:
    means, counts, rng = np.array([0.0, 0.3, 0.6]), (30, 40, 30), np.random.default_rng(2)
    weights = np.array(counts) / 100
    spread = float(weights @ (means - weights @ means) ** 2)
    truth, held, false = spread / (1 + spread), 0, np.zeros(3)
    for _ in range(200):
        noise = [rng.normal(size=count) for count in counts]
        moved = one_way([mean + each for mean, each in zip(means, noise, strict=True)])
        held += moved.lower <= truth <= moved.upper
        null = one_way(noise)
        false += np.array([null.p, null.welch_p, null.kruskal_p]) < 0.05
    # Two standard errors of 200 draws are 0.03.
    assert 0.92 <= held / 200 <= 0.98
    assert ((false / 200 > 0.02) & (false / 200 < 0.08)).all()


def test_two_values_say_nothing_of_variances() -> None:
    # They are equally far from their median: whatever their variances, W is without bounds.
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=2) * 3**place for place in range(4)]
    found = one_way(pairs)
    assert np.isnan([found.levene, found.levene_p]).all()
    assert found.p == pytest.approx(anova_oneway(pairs, use_var="equal").pvalue)
    more = [*pairs, *(each[:9] for each in drawn())]
    assert one_way(more).levene_p == pytest.approx(stats.levene(*more[4:]).pvalue)
    assert np.isnan(one_way([*pairs, rng.normal(size=9)]).levene)
    two_valued = [np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 3, 3])]
    assert np.isnan(one_way(two_valued).levene_p)


def test_groups_that_vary_by_rounding_have_no_robust_pair() -> None:
    rng = np.random.default_rng(0)
    near = np.array([0.3, 0.1 + 0.2, 0.3, 0.3, 0.3])
    groups = [near, near[::-1] + 0.1, rng.random(6), rng.random(6)]
    found = group_pairs(groups)
    assert np.isnan(found.games_howell_p).tolist() == [True] * 5 + [False]
    assert np.isnan(found.games_howell_upper[:5]).all()
    assert np.isnan(one_way(groups).welch_p)
