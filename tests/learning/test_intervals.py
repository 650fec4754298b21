"""Intervals of outcomes and of mean outcomes, against draws."""

import numpy as np
import pytest
from scipy.special import expit

from registry.learning.intervals import ends, expected, half_width, mean_outcome

RNG = np.random.default_rng(0)
SIDES = RNG.normal(size=(200, 3)) + np.array([1.0, 0.0, 0.5])
LOGITS = RNG.normal(size=200) + 1
VARIANCES = np.array([0.5, 0.05, 0.2])


def test_probabilities_are_means_and_quantiles_of_draws() -> None:
    draws = expit(0.8 + 1.5 * RNG.normal(size=200_000))
    assert expected(np.array(0.8), np.array(2.25)) == pytest.approx(draws.mean(), abs=0.01)
    low, high = ends(np.array(0.8), np.array(2.25))
    assert np.mean((draws > low) & (draws < high)) == pytest.approx(0.9, abs=0.005)
    low, high = ends(np.array(0.8), np.array(2.25), level=0.5)
    assert np.mean((draws > low) & (draws < high)) == pytest.approx(0.5, abs=0.005)
    assert half_width(0.9) == pytest.approx(1.6448536269514722)


@pytest.mark.parametrize("item_variance", [0.0, 1.5])
@pytest.mark.parametrize("items", [8, 200])
def test_intervals_of_means_hold_their_share_of_draws(item_variance: float, items: int) -> None:
    predicted = mean_outcome(LOGITS[:items], SIDES[:items], VARIANCES, item_variance)
    errors = RNG.normal(size=(4_000, 3)) * np.sqrt(VARIANCES)
    own = RNG.normal(size=(4_000, items)) * np.sqrt(item_variance)
    p = expit(LOGITS[:items] + errors @ SIDES[:items].T + own)
    means = (RNG.random(p.shape) < p).mean(axis=1)
    low, high = predicted.interval()
    assert predicted.mean == pytest.approx(means.mean(), abs=0.01)
    assert np.mean((means >= low) & (means <= high)) == pytest.approx(0.9, abs=0.035)
    # Without the vector's uncertainty, the interval of many items holds far fewer; that of few is
    # as wide as outcomes are few.
    sure = mean_outcome(LOGITS[:items], SIDES[:items], VARIANCES * 0, item_variance)
    low, high = sure.interval()
    share = np.mean((means >= low) & (means <= high))
    assert share < (0.6 if items > 100 else 0.95)


def test_the_excess_is_the_factor_that_moves_the_end_to_the_observed_mean() -> None:
    predicted = mean_outcome(LOGITS, SIDES, VARIANCES, 0.3)
    low, high = predicted.interval()
    assert predicted.excess(low) == pytest.approx(1)
    assert predicted.excess(high) == pytest.approx(1)
    assert predicted.excess((predicted.mean + high) / 2) < 1
    assert predicted.excess(predicted.mean) < 0
    assert predicted.excess(min(high + 0.05, 1.0)) > 1
    assert predicted.excess(max(low - 0.05, 0.0)) > 1
    sure = mean_outcome(LOGITS, SIDES, VARIANCES * 0)
    assert sure.excess(sure.mean) == -np.inf
    assert sure.excess(0.0) == np.inf


def test_ends_stay_within_0_and_1_and_a_side_near_1_is_shorter() -> None:
    near = mean_outcome(LOGITS[:5] + 6, SIDES[:5], VARIANCES * 20)
    low, high = near.interval()
    assert 0 <= low < near.mean < high <= 1
    assert near.above < near.below
    assert mean_outcome(LOGITS[:2] - 9, SIDES[:2], VARIANCES * 20).interval()[0] == 0
