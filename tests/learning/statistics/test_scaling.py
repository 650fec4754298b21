"""Scaling curves: the libraries' numbers, bands that hold new scores, and models held out."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit
from statsmodels.api import OLS, add_constant

from registry.learning.arrays import Reals
from registry.learning.statistics.larger_models import (
    MissedScores,
    OtherModels,
    drift_of,
    hold_out,
    larger_ones,
)
from registry.learning.statistics.scaling import (
    CurveDrift,
    ScalingFit,
    fit_curve,
    predict,
    predict_beyond,
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
    assert found.missed.fit == small._replace(**found.missed.fit._asdict())
    assert found.missed.largest == SIZES[5]
    assert (found.missed.sizes.tolist(), found.missed.scores.tolist()) == (
        SIZES[6:].tolist(), y[6:].tolist(),
    )  # fmt: skip
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


def fitted(floor: float | None = None) -> ScalingFit:
    scores = noisy(np.random.default_rng(5), SIZES)
    found = fit_curve(SIZES, scores if floor is not None else 100 * scores, floor=floor)
    assert found is not None
    return found


def test_bands_of_a_curve_are_those_of_log_odds_and_of_residuals() -> None:
    fit, t = fitted(0.25), 2.364624
    at = np.array([8.0, 9.8, 12.0])
    design = np.column_stack([np.ones(3), at - fit.centre])
    odds = design @ fit.coefficients
    error = np.sqrt(np.diag(design @ fit.covariance @ design.T))
    band = predict(fit, at)
    low, high = (0.25 + 0.75 * expit(odds + sign * t * error) for sign in (-1, 1))
    noise = t * np.sqrt(fit.variance)
    upper = band.mean + np.sqrt((high - band.mean) ** 2 + noise**2)
    lower = band.mean - np.sqrt((low - band.mean) ** 2 + noise**2)
    assert band.lower == pytest.approx(lower, rel=1e-5)
    assert band.upper == pytest.approx(np.minimum(upper, 1), rel=1e-5)


def test_bands_beyond_are_as_wide_as_larger_models_were_from_curves() -> None:
    for floor in (0.25, None):
        fit, largest = fitted(floor), float(SIZES[-1])
        at = np.array([largest - 1, largest, largest + 0.5, largest + 1])
        plain = predict(fit, at, level=0.9)
        band = predict_beyond(fit, at, largest=largest, drift=CurveDrift(0.05, 4), level=0.9)
        assert band.mean.tolist() == plain.mean.tolist()
        added = 2.131847 * 0.05 * np.array([0, 0, 0.5, 1])
        lower = plain.mean - np.sqrt((plain.mean - plain.lower) ** 2 + added**2)
        upper = plain.mean + np.sqrt((plain.upper - plain.mean) ** 2 + added**2)
        if floor is not None:
            upper = np.minimum(upper, 1)
        assert band.lower == pytest.approx(lower)
        assert band.upper == pytest.approx(upper)
        unknown = predict_beyond(fit, at, largest=largest, drift=drift_of([]), level=0.9)
        assert np.isnan(unknown.lower).tolist() == [False, False, True, True]
        assert np.isnan(unknown.upper).tolist() == [False, False, True, True]
        assert unknown.lower[:2].tolist() == plain.lower[:2].tolist()


def test_the_drift_is_what_curves_miss_larger_models_by() -> None:
    line = fit_curve(np.array([1.0, 2, 3, 4]), np.array([1.0, 2.1, 2.9, 4]), floor=None)
    assert line is not None
    far = np.array([4.5, 5.0])
    near = MissedScores(line, 4.0, far, predict(line, far).mean + np.array([0.3, -0.4]))
    further = MissedScores(line, 4.0, far + 1, predict(line, far + 1).mean + np.array([1.0, 0.2]))
    # As near to the curve as the scores that it was fitted to: nothing is missed.
    one = MissedScores(line, 4.0, far[:1], predict(line, far[:1]).mean)
    squares = (0.3**2 + 0.4**2) / 2 + (1.0 + 0.2**2) / 2 - 2 * line.variance
    distances = np.array([(0.5**2 + 1) / 2, (1.5**2 + 2.0**2) / 2, 0.5**2])
    found = drift_of([near, further, one])
    assert found.deviation == pytest.approx(np.sqrt(squares / distances.sum()))
    assert found.df == pytest.approx(distances.sum() ** 2 / (distances**2).sum())
    # Each group counts once, whatever its number of models; two groups are too few.
    twice = MissedScores(line, 4.0, np.tile(far, 2), np.tile(near.scores, 2))
    assert drift_of([twice, further, one]) == pytest.approx(found)
    assert drift_of([one] * 3) == pytest.approx((0, 3))
    assert np.isnan(drift_of([near, further])).all()
    assert np.isnan(near.covered(drift_of([])))
    wide, narrow = near.covered(CurveDrift(0.5, 99)), near.covered(CurveDrift(1e-9, 99))
    band = predict(line, far)
    assert wide == 1
    assert narrow == np.mean((band.lower <= near.scores) & (near.scores <= band.upper))
    drift = CurveDrift(0.35, 99)
    assert (near.covered(drift, level=0.95), near.covered(drift, level=0.5)) == (1, 0)


def test_bands_beyond_hold_larger_models_where_curves_bend() -> None:
    """Slopes beyond differ by group, as the bands take them to: few groups widen the bands."""
    rng = np.random.default_rng(6)
    sizes, far = np.linspace(0, 2, 8), np.array([2.3, 2.6, 3.0])

    def missed() -> MissedScores:
        fit = fit_curve(sizes, sizes + 0.05 * rng.normal(size=8), floor=None)
        assert fit is not None
        bend = 0.3 * rng.normal()
        return MissedScores(fit, 2.0, far, far + bend * (far - 2) + 0.05 * rng.normal(size=3))

    for groups in (3, 8):
        held = [missed().covered(drift_of([missed() for _ in range(groups)])) for _ in range(150)]
        assert 0.92 < np.mean(held) < 0.985
