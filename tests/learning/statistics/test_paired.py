"""Paired comparisons: as kept libraries compute them, and with the errors that they state."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from registry.learning.statistics import paired
from registry.learning.statistics.paired import compare

Floats = NDArray[np.float32]


def outcomes(models: int, items: int, *, seed: int = 0, holes: float = 0.1) -> Floats:
    rng = np.random.default_rng(seed)
    values = (rng.random((models, items)) < rng.uniform(0.3, 0.7, items)).astype(np.float32)
    values[rng.random(values.shape) < holes] = np.nan
    return values


def test_independent_items_are_the_paired_t_test() -> None:
    values = outcomes(6, 90)
    found = compare(values[0], values[1:], level=0.9)
    for place, other in enumerate(values[1:]):
        both = ~np.isnan(values[0]) & ~np.isnan(other)
        first, second = values[0][both].astype(float), other[both].astype(float)
        test = stats.ttest_rel(first, second)
        interval = test.confidence_interval(0.9)
        assert found.items[place] == found.clusters[place] == both.sum()
        assert found.score[place] == pytest.approx(first.mean())
        assert found.other[place] == pytest.approx(second.mean())
        assert found.difference[place] == pytest.approx(first.mean() - second.mean())
        assert found.error[place] == pytest.approx(stats.sem(first - second))
        assert found.p[place] == pytest.approx(test.pvalue)
        assert found.lower[place] == pytest.approx(interval.low)
        assert found.upper[place] == pytest.approx(interval.high)
        table = [[((first == one) & (second == two)).sum() for two in (1, 0)] for one in (1, 0)]
        assert (found.only_first[place], found.only_second[place]) == (table[0][1], table[1][0])
        assert found.mcnemar[place] == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_clusters_are_those_of_a_regression_on_nothing() -> None:
    values = outcomes(4, 120)
    clusters = np.random.default_rng(1).integers(14, size=120) * 3
    found = compare(values[0], values[1:], clusters)
    for place, other in enumerate(values[1:]):
        both = ~np.isnan(values[0]) & ~np.isnan(other)
        left = (values[0] - other)[both].astype(float)
        fit = sm.OLS(left, np.ones(len(left))).fit(
            cov_type="cluster", cov_kwds={"groups": clusters[both]}, use_t=True
        )
        assert found.clusters[place] == 14
        assert found.error[place] == pytest.approx(fit.bse[0])
        assert found.p[place] == pytest.approx(fit.pvalues[0])
        assert [found.lower[place], found.upper[place]] == pytest.approx(fit.conf_int()[0])


def test_clusters_without_a_common_item_do_not_count() -> None:
    rng = np.random.default_rng(4)
    clusters = np.arange(60) % 6
    others = (rng.random((2, 60)) < 0.5).astype(np.float32)
    others[0, clusters == 2] = np.nan
    first = (rng.random(60) < 0.5).astype(np.float32)
    assert list(compare(first, others, clusters).clusters) == [5, 6]
    without = compare(first[clusters != 2], others[:1, clusters != 2], clusters[clusters != 2])
    assert compare(first, others, clusters).error[0] == pytest.approx(without.error[0])


def test_graded_outcomes_have_no_counts() -> None:
    rng = np.random.default_rng(2)
    values = rng.random((3, 40)).astype(np.float32)
    found = compare(values[0], values[1:])
    assert found.only_first.tolist() == found.only_second.tolist() == [-1, -1]
    assert np.isnan(found.mcnemar).all()
    assert found.p[0] == pytest.approx(stats.ttest_rel(values[0], values[1]).pvalue, rel=1e-5)


def test_items_of_one_model_alone_do_not_count() -> None:
    first = np.array([1, 0, 1, np.nan, 0, 1], np.float32)
    others = np.array([[1, 1, np.nan, 1, 0, 0], [np.nan] * 6, [np.nan] * 5 + [0]], np.float32)
    found = compare(first, others)
    assert found.items.tolist() == [4, 0, 1]
    assert found.score[0] == 0.5
    assert found.difference[0] == 0
    assert np.isnan(found.difference[1])
    # One item says nothing of its error.
    assert found.difference[2] == 1
    for part in (found.error, found.lower, found.upper, found.p, found.detectable):
        assert np.isnan(part[1:]).all()


def test_models_that_never_differ_may_still_differ() -> None:
    first = np.ones(100, np.float32)
    found = compare(first, np.stack([first, 1 - first]))
    assert found.difference.tolist() == [0, 1]
    unseen = 1 - 0.05 ** (1 / 100)
    assert [found.lower[0], found.upper[0]] == pytest.approx([-unseen, unseen])
    assert [found.lower[1], found.upper[1]] == pytest.approx([1 - unseen, 1])
    assert found.p[0] == found.mcnemar[0] == 1
    assert found.p[1] == pytest.approx(found.mcnemar[1])
    assert found.detectable[0] == pytest.approx(unseen)


def test_a_detectable_difference_is_found_as_often_as_stated() -> None:
    rng = np.random.default_rng(3)
    items, trials = 400, 2_000
    base = 0.5
    first = (rng.random((trials, items)) < base + 0.05).astype(np.float32)
    second = (rng.random((trials, items)) < base - 0.05).astype(np.float32)
    found = [compare(one, two[None]) for one, two in zip(first, second, strict=True)]
    share = np.mean([each.p[0] < 0.05 for each in found])
    detectable = np.mean([each.detectable[0] for each in found])
    # The true difference is 0.1, about what 400 items of two independent models can tell.
    assert detectable == pytest.approx(0.0986, abs=0.002)
    assert share == pytest.approx(0.80, abs=0.03)


@pytest.mark.parametrize("level", [0.95, 0.5])
@pytest.mark.parametrize("clusters", [2, 5, 8, 300])
def test_detectable_is_by_the_level_and_the_number_of_clusters(clusters: int, level: float) -> None:
    found = compare(*_alternating(clusters), np.arange(2 * clusters) // 2, level=level)
    limit = stats.t.ppf((1 + level) / 2, clusters - 1)
    power = stats.nct.sf(limit, clusters - 1, found.detectable[0] / found.error[0])
    assert power == pytest.approx(0.8, abs=1e-6)


def _alternating(clusters: int) -> tuple[Floats, Floats]:
    first = (np.arange(2 * clusters) % 5 == 0).astype(np.float32)
    return first, np.zeros((1, 2 * clusters), np.float32)


def test_differences_that_are_alike_but_for_rounding() -> None:
    first = np.array([0.7, 0.4, 0.9, 0.6, 0.5, 0.8], np.float32)
    others = np.stack([(first.astype(float) - shift).astype(np.float32) for shift in (0.2, 3e-8)])
    unseen = 1 - 0.05 ** (1 / 6)
    for clusters in (None, np.arange(6)):
        found = compare(first, others, clusters)
        assert found.error.tolist() == [0, 0]
        assert found.p == pytest.approx([0.5**5, 1])
        assert found.detectable == pytest.approx([unseen] * 2)
        assert (found.upper - found.difference) == pytest.approx([unseen] * 2)
    paired_up = compare(first, others, np.arange(6) // 2)
    assert paired_up.p == pytest.approx([0.25, 1])


def test_a_small_difference_on_one_of_many_items_is_no_rounding() -> None:
    first = np.full(10_000, 0.5, np.float32)
    other = first.copy()
    other[7] -= np.float32(3e-5)
    found = compare(first, other[None])
    assert found.error[0] > 0
    assert found.p[0] == pytest.approx(stats.ttest_rel(first, other).pvalue, rel=1e-3)


@pytest.mark.parametrize("clusters", [0, 20, 50])
def test_intervals_hold_what_they_state(clusters: int) -> None:
    rng = np.random.default_rng(4)
    items, trials, effect = 200, 2_000, 0.08
    of_items = np.arange(items) % clusters if clusters else None
    within = []
    for _ in range(trials):
        shared = rng.normal(size=clusters)[of_items] * 0.15 if clusters else np.zeros(items)
        chance = (
            np.clip(0.5 + effect / 2 + shared, 0, 1),
            np.clip(0.5 - effect / 2 - shared, 0, 1),
        )
        first, second = (rng.random(items) < each for each in chance)
        found = compare(first.astype(np.float32), second.astype(np.float32)[None], of_items)
        within.append(found.lower[0] <= effect <= found.upper[0])
    assert 0.93 <= np.mean(within) <= 0.97
    if clusters:
        plain = compare(first.astype(np.float32), second.astype(np.float32)[None])
        assert found.error[0] > plain.error[0]


def test_parts_of_many_models_are_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = outcomes(9, 50)
    whole = compare(values[0], values)
    monkeypatch.setattr(paired, "AT_ONCE", 120)
    parts = compare(values[0], values)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other, equal_nan=True)
    assert len(compare(values[0], values[:0]).items) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros((2, 4))), "of 3 items"),
        ((np.zeros(3), np.zeros(3)), "of 3 items"),
        ((np.zeros(3), np.zeros((1, 3)), np.zeros(2, np.intp)), "clusters"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    arguments: tuple[NDArray[np.float32], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        compare(np.zeros(3, np.float32), np.zeros((1, 3), np.float32), level=level)
