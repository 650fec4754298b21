"""Scaling curves: the libraries' numbers, bands that hold new scores, and models held out."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit
from statsmodels.api import OLS, add_constant

from registry.learning.arrays import Reals
from registry.learning.statistics.scaling import (
    OtherModels,
    fit_curve,
    hold_out,
    larger_ones,
    predict,
    slope_test,
)

SIZES = np.log10(np.array([0.1, 0.4, 1.0, 1.4, 2.8, 6.9, 12.0, 30.0, 70.0]) * 1e9)


def curve(x: Reals, middle: float, slope: float) -> Reals:
    return np.asarray(0.25 + 0.75 * expit(slope * (x - middle)))


def noisy(rng: np.random.Generator, x: Reals, sd: float = 0.02) -> Reals:
    return np.asarray(curve(x, 9.8, 2.0) + sd * rng.normal(size=len(x)))


def test_a_logistic_curve_is_that_of_scipy() -> None:
    y = noisy(np.random.default_rng(0), SIZES)
    found = fit_curve(SIZES, y, floor=0.25)
    assert found is not None
    (middle, slope), covariance = curve_fit(curve, SIZES, y, p0=(9.5, 1.0))
    assert found.coefficients[1] == pytest.approx(slope, rel=1e-4)
    band = predict(found, SIZES, level=0.9)
    assert band.mean == pytest.approx(curve(SIZES, middle, slope), abs=1e-5)
    residuals = y - curve(SIZES, middle, slope)
    assert found.variance == pytest.approx(residuals @ residuals / 7, rel=1e-4)
    assert found.r_squared == pytest.approx(1 - residuals @ residuals / (9 * y.var()), rel=1e-4)
    error = np.sqrt(covariance[1, 1])
    said = slope_test(found, level=0.9)
    assert said[2] - said[0] == pytest.approx(1.894579 * error, rel=1e-3)
    assert said[0] - said[1] == pytest.approx(said[2] - said[0])
    assert said[3] < 1e-4
    far = predict(found, np.array([2.0, 20.0]))
    assert (far.lower >= 0).all()
    assert (far.upper <= 1).all()


def test_a_line_is_that_of_statsmodels() -> None:
    y = 1000 + 40 * SIZES + np.random.default_rng(1).normal(size=9)
    found = fit_curve(SIZES, y, floor=None)
    assert found is not None
    direct = OLS(y, add_constant(SIZES)).fit()
    new = np.array([8.0, 12.0])
    frame = direct.get_prediction(add_constant(new)).summary_frame(0.1)
    band = predict(found, new, level=0.9)
    assert band.mean == pytest.approx(frame["mean"].to_numpy())
    assert band.lower == pytest.approx(frame["obs_ci_lower"].to_numpy())
    assert band.upper == pytest.approx(frame["obs_ci_upper"].to_numpy())
    assert found.r_squared == pytest.approx(direct.rsquared)
    slope, lower, upper, p = slope_test(found)
    assert (slope, p) == pytest.approx((direct.params[1], direct.pvalues[1]))
    assert (lower, upper) == pytest.approx(tuple(direct.conf_int()[1]))


def test_bands_hold_new_scores() -> None:
    rng = np.random.default_rng(2)
    held = []
    for _ in range(150):
        found = fit_curve(SIZES, noisy(rng, SIZES), floor=0.25)
        assert found is not None
        new = rng.choice(SIZES, 4)
        band, y = predict(found, new), noisy(rng, new)
        held += list((band.lower <= y) & (y <= band.upper))
    assert 0.92 < np.mean(held) < 0.98


def test_several_features_are_fitted_together() -> None:
    rng = np.random.default_rng(3)
    abilities = rng.normal(size=(60, 2))
    y = expit(0.3 + abilities @ [1.0, -0.5]) + 0.005 * rng.normal(size=60)
    found = fit_curve(abilities, y, floor=0.0)
    assert found is not None
    assert found.coefficients[1:] == pytest.approx([1.0, -0.5], abs=0.02)


def test_what_cannot_be_fitted_is_no_curve() -> None:
    assert fit_curve(SIZES[:3], np.array([0.3, 0.4, 0.5]), floor=0.25) is None
    assert fit_curve(SIZES, np.full(9, 0.5), floor=0.25) is None
    # By chance, and above it at the last size alone: nothing says where the curve rises.
    step = np.array([0.251, 0.249, 0.25, 0.252, 0.248, 0.25, 0.251, 0.249, 0.9])
    assert fit_curve(SIZES, step, floor=0.25) is None
    assert fit_curve(np.full(9, 1.0), np.linspace(0, 1, 9), floor=0.25) is None


def test_the_largest_third_is_held_out() -> None:
    held = larger_ones(SIZES)
    assert held is not None
    assert held.tolist() == [False] * 6 + [True] * 3
    tied = larger_ones(np.array([1.0, 2, 3, 3, 4, 4, 4, 4]))
    assert tied is not None
    assert tied.tolist() == [False] * 4 + [True] * 4
    short = larger_ones(np.array([1.0, 2, 3, 4, 5]))
    assert short is not None
    assert short.tolist() == [False] * 4 + [True]
    assert larger_ones(np.array([1.0, 2, 3, 4])) is None
    assert larger_ones(np.array([1.0, 1, 2, 2, 3])) is None


def test_held_out_errors_are_those_of_fits_to_the_smaller_models() -> None:
    rng = np.random.default_rng(4)
    y = noisy(rng, SIZES, 0.005)
    lower = noisy(rng, SIZES, 0.005) - 0.1
    others = OtherModels(np.append(SIZES, 8.5), np.append(lower, 0.4), np.array([3] * 9 + [4]))
    found = hold_out(SIZES, y, floor=0.25, others=others)
    assert found is not None
    small = fit_curve(SIZES[:6], y[:6], floor=0.25)
    line = fit_curve(SIZES[:6], y[:6], floor=None)
    small_sizes = np.concatenate([SIZES[:6], SIZES[:6], [8.5]])
    both = fit_curve(small_sizes, np.concatenate([y[:6], lower[:6], [0.4]]), floor=0.25)
    # A slope for both groups, and a level for each; a group of one model has no say.
    design = np.column_stack([np.tile(SIZES[:6], 2), np.repeat([0.0, 1.0], 6)])
    shared = fit_curve(design, np.concatenate([y[:6], lower[:6]]), floor=0.25)
    assert shared is not None
    assert small is not None
    assert line is not None
    assert both is not None
    assert found.n == 3
    assert found.error == pytest.approx(np.abs(predict(small, SIZES[6:]).mean - y[6:]).mean())
    assert found.last_error == pytest.approx(np.abs(y[5] - y[6:]).mean())
    straight = np.clip(predict(line, SIZES[6:]).mean, 0, 1)
    assert found.line_error == pytest.approx(np.abs(straight - y[6:]).mean())
    assert found.pooled_error == pytest.approx(np.abs(predict(both, SIZES[6:]).mean - y[6:]).mean())
    band = predict(small, SIZES[6:])
    assert found.covered == pytest.approx(((band.lower <= y[6:]) & (y[6:] <= band.upper)).mean())
    level = predict(shared, np.column_stack([SIZES[6:], np.zeros(3)]))
    assert found.shared_error == pytest.approx(np.abs(level.mean - y[6:]).mean())
    assert found.shared_covered == pytest.approx(
        ((level.lower <= y[6:]) & (y[6:] <= level.upper)).mean()
    )
    assert found.error < found.last_error
    alone = hold_out(SIZES, y, floor=0.25)
    assert alone is not None
    assert np.isnan([alone.pooled_error, alone.shared_error, alone.shared_covered]).all()
    single = hold_out(SIZES, y, floor=0.25, others=OtherModels(SIZES[:2], y[:2], np.array([1, -1])))
    assert single is not None
    assert np.isnan(single.shared_error)
    assert single.pooled_error > 0
    assert hold_out(SIZES[:4], y[:4], floor=0.25) is None
