"""Saturation: noise of items, pairs told apart, and verdicts."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from registry.learning.statistics.saturation import (
    Saturation,
    sampling_errors,
    saturation,
    saturation_verdict,
)

NONE = np.array([np.nan])


def test_errors_are_stated_or_of_so_many_items() -> None:
    assert sampling_errors(np.array([0.5]), np.array([0.03]), np.array([100.0])) == [0.03]
    assert np.isnan(sampling_errors(np.array([0.5]), NONE, NONE))
    found = sampling_errors(np.array([0.3]), NONE, np.array([100.0]))[0]
    lower, upper = proportion_confint(30, 100, method="agresti_coull")
    assert found == pytest.approx((upper - lower) / 2 / 1.96, rel=1e-3)
    for score in (0.0, 1.0):
        found = sampling_errors(np.array([score]), NONE, np.array([100.0]))[0]
        assert found == pytest.approx(np.sqrt(2 * 102 / 104**3))
    assert sampling_errors(np.array([0.5]), np.array([0.0]), np.array([100.0])) == pytest.approx(
        0.5 / np.sqrt(104)
    )


def test_pairs_are_told_apart_beyond_noise() -> None:
    scores = np.array([0.50, 0.80, 0.79, 0.70])
    errors = np.full(4, 0.02)
    found = saturation(scores, errors)
    z = stats.norm.isf(0.025)
    assert found.best == 0.8
    assert found.headroom == pytest.approx(0.2)
    assert found.noise == pytest.approx(z * 0.02)
    # Differences beyond 0.055: all but that of the two best.
    assert found.separated == pytest.approx(5 / 6)
    assert found.pairs == 6
    assert found.near_best == 0.5
    assert saturation(scores, errors, level=0.5).separated == pytest.approx(5 / 6)
    assert saturation(scores, np.full(4, 0.04), level=0.95).separated == pytest.approx(3 / 6)
    assert saturation(np.linspace(0, 1, 12), np.full(12, 1e-6)).pairs == 45
    part = saturation(scores, np.array([0.02, 0.02, np.nan, 0.02]))
    assert part.pairs == 3
    assert part.near_best == pytest.approx(1 / 3)
    unknown = saturation(scores, np.full(4, np.nan))
    assert np.isnan([unknown.noise, unknown.near_best, unknown.separated]).all()
    assert saturation(np.array([0.4]), np.array([0.1])).pairs == 0


def test_verdicts() -> None:
    def said(headroom: float, noise: float, separated: float) -> str:
        found = Saturation(1 - headroom, headroom, noise, 0.5, separated, 45)
        return saturation_verdict(found, separated)

    assert said(0.3, 0.02, 0.5) == "separates"
    assert said(0.3, 0.02, 0.49) == said(0.3, 0.02, 0.05) == "separates little"
    assert said(0.02, 0.02, 0.9) == "saturated"
    assert said(0.09, 0.02, 0.09) == "saturated"
    assert said(0.09, 0.02, 0.1) == said(0.1, 0.02, 0.09) == "separates little"
    assert said(0.3, np.nan, 0.5) == said(0.3, 0.02, np.nan) == "unknown"
