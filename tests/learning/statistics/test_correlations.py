"""Correlations: the libraries' numbers, and intervals that hold the truth."""

import numpy as np
import pytest
from scipy import stats

from registry.learning.arrays import Reals
from registry.learning.statistics.correlations import partial, partial_spearman, pearson, spearman


def pair(count: int, correlation: float, seed: int = 0) -> tuple[Reals, Reals]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return x, correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=count)


@pytest.mark.parametrize("level", [0.95, 0.7])
def test_pearson_and_spearman_are_those_of_scipy(level: float) -> None:
    x, y = pair(40, 0.6)
    found, expected = pearson(x, y, level=level), stats.pearsonr(x, y)
    assert (found.n, found.r, found.p) == (40, expected.statistic, expected.pvalue)
    assert (found.lower, found.upper) == tuple(expected.confidence_interval(level))
    ranks = spearman(x, y, level=level)
    assert (ranks.n, ranks.r, ranks.p) == (40, *stats.spearmanr(x, y))
    half = stats.norm.isf((1 - level) / 2) * np.sqrt((1 + ranks.r**2 / 2) / 37)
    assert np.arctanh(ranks.upper) == pytest.approx(np.arctanh(ranks.r) + half)
    assert np.arctanh(ranks.lower) == pytest.approx(np.arctanh(ranks.r) - half)


def test_partial_is_the_correlation_of_what_regressions_leave() -> None:
    rng = np.random.default_rng(4)
    size = rng.normal(size=60)
    x, y = 2 * size + rng.normal(size=60), -size + rng.normal(size=60)
    left = [each - np.polyval(np.polyfit(size, each, 1), size) for each in (x, y)]
    r = stats.pearsonr(*left).statistic
    found = partial(x, y, size)
    assert found.r == pytest.approx(r)
    t = r * np.sqrt(57 / (1 - r * r))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 57))
    half = stats.norm.isf(0.025) / np.sqrt(56)
    assert [found.lower, found.upper] == pytest.approx(
        [np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)]
    )
    ranks = [stats.rankdata(each) for each in (x, y, size)]
    of_ranks = partial_spearman(x, y, size)
    assert of_ranks.r == pytest.approx(partial(*ranks).r)
    assert of_ranks.upper > partial(*ranks).upper


def test_size_alone_behind_two_leaves_no_correlation() -> None:
    rng = np.random.default_rng(9)
    size = rng.normal(size=4000)
    x, y = size + rng.normal(size=4000), size + rng.normal(size=4000)
    assert pearson(x, y).r > 0.45
    assert abs(partial(x, y, size).r) < 0.05


def test_nothing_is_left_of_what_follows_from_size() -> None:
    size = np.arange(20.0)
    noise = np.random.default_rng(1).normal(size=20)
    assert np.isnan(partial(3 * size + 1, noise, size)[1:]).all()
    assert np.isnan(partial(noise, 3 * size + 1, size)[1:]).all()


def test_a_line_has_no_interval() -> None:
    x = np.arange(20.0)
    for found in (pearson(x, 2 * x), spearman(x, x**3)):
        assert found.r == pytest.approx(1)
        assert np.isnan([found.lower, found.upper]).all()
    assert partial(x**2, x**2, x).r == pytest.approx(1)


def test_tied_values_share_ranks() -> None:
    x, y = np.array([1.0, 1, 2, 3, 3, 4]), np.array([2.0, 1, 3, 3, 5, 4])
    ranks = stats.pearsonr(stats.rankdata(x), stats.rankdata(y)).statistic
    assert spearman(x, y).r == pytest.approx(ranks)


def test_intervals_hold_the_truth() -> None:
    rho = 0.6
    ranked = 6 / np.pi * np.arcsin(rho / 2)
    held = np.zeros(3)
    rng = np.random.default_rng(3)
    for seed in range(500):
        x, y = pair(60, rho, seed)
        plain, ranks = pearson(x, y), spearman(x, y)
        size = rng.normal(size=60)
        given = partial(x + size, y - size, size)
        for place, (found, truth) in enumerate(((plain, rho), (ranks, ranked), (given, rho))):
            held[place] += found.lower <= truth <= found.upper
    assert ((held / 500 >= 0.93) & (held / 500 <= 0.97)).all(), held
