"""Scaling curves: scores against the logarithm of size, of tokens or of compute.

Where scores are shares the curve is a logistic function of the logarithm above the score of chance,
as in observational scaling laws (Ruan, Maddison and Hashimoto 2024, section 3); else it is a line.
"""

import warnings
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals

LEAST, LEAST_SIZES = 4, 3
"""Scores, and different sizes, that a curve takes."""

STEPS = 2_000
"""Evaluations of a logistic curve at most."""


UNKNOWN = 1e4
"""Variance of coefficients, in squared log odds, from which on they say nothing."""


class ScalingFit(NamedTuple):
    """A curve through n scores, by K features.

    Attributes:
        n: scores.
        floor: score of chance, from which a logistic curve rises to 1; None for a line.
        coefficients: 1 + K, the intercept first, of the centred features.
        covariance: (1 + K) x (1 + K), of the coefficients.
        centre: K, the means of the features.
        variance: of scores about the curve.
        r_squared: share of the variance of the scores that the curve explains.
    """

    n: int
    floor: float | None
    coefficients: Reals
    covariance: Reals
    centre: Reals
    variance: float
    r_squared: float

    @property
    def df(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.n - len(self.coefficients)


class Band(NamedTuple):
    """Predicted scores with the intervals that hold a new score each."""

    mean: Reals
    lower: Reals
    upper: Reals


def fit_curve(features: Reals, scores: Reals, *, floor: float | None) -> ScalingFit | None:
    """Fit a curve by least squares; None where it cannot be fitted.

    Args:
        features: n, or n x K, such as logarithms of sizes.
        scores: n; shares if there is a floor.
        floor: score of chance, in [0, 1), for a logistic curve; None for a line.
    """
    rows = np.asarray(features, np.float64).reshape(len(scores), -1)
    if len(scores) < rows.shape[1] + 3 or np.ptp(scores) == 0:
        return None
    centre = rows.mean(axis=0)
    design = np.column_stack([np.ones(len(rows)), rows - centre])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    found = _line(design, scores) if floor is None else _logistic(design, scores, floor)
    if found is None:
        return None
    coefficients, covariance = found
    residuals = scores - _means(design, coefficients, floor)
    variance = float(residuals @ residuals) / (len(scores) - design.shape[1])
    explained = 1 - float(residuals @ residuals) / float(((scores - scores.mean()) ** 2).sum())
    return ScalingFit(len(scores), floor, coefficients, covariance, centre, variance, explained)


def predict(fit: ScalingFit, features: Reals, *, level: float = 0.95) -> Band:
    """Return predicted scores, with intervals that hold a new model's score.

    The interval of a line is exact for normal residuals. That of a logistic curve is as wide as the
    interval of the curve, which is one of log odds, and that of the residuals, which is one of
    scores, at right angles; it does not leave [0, 1]. Both take the curve to be true, also where no
    model was seen: `predict_beyond` does not.

    Args:
        fit: the curve.
        features: m, or m x K.
        level: share of intervals that hold a new score, in (0, 1).
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    rows = np.asarray(features, np.float64).reshape(-1, len(fit.centre))
    design = np.column_stack([np.ones(len(rows)), rows - fit.centre])
    linear = design @ fit.coefficients
    t = float(stats.t.isf((1 - level) / 2, fit.df))
    errors = t * np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance, design))
    mean, low, high = (
        _scores(each, fit.floor) for each in (linear, linear - errors, linear + errors)
    )
    noise = t * np.sqrt(fit.variance)
    lower, upper = mean - np.hypot(mean - low, noise), mean + np.hypot(high - mean, noise)
    if fit.floor is not None:
        lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)
    return Band(mean, lower, upper)


class CurveDrift(NamedTuple):
    """How far scores are from curves beyond the models that these were fitted to.

    Attributes:
        deviation: standard, by factor of ten; nan where it is not known.
        df: degrees of freedom that it is known with.
    """

    deviation: float
    df: float

    def half(self, beyond: Reals, level: float) -> Reals:
        """Return half the width of intervals, 0 for what is not beyond.

        Args:
            beyond: m, powers of ten.
            level: share of intervals that hold a new score, in (0, 1).
        """
        from scipy import stats  # noqa: PLC0415 - slow to import

        t = float(stats.t.isf((1 - level) / 2, self.df))
        return np.where(beyond > 0, t * self.deviation * np.maximum(beyond, 0), 0)


def predict_beyond(
    fit: ScalingFit, sizes: Reals, *, largest: float, drift: CurveDrift, level: float = 0.95
) -> Band:
    """Return predicted scores, with intervals that know that curves do not go on as they were.

    Args:
        fit: the curve, of one feature.
        sizes: m, logarithms.
        largest: logarithm of the largest size that the curve was fitted to.
        drift: of such curves, as from `drift_of`; where it is not known, neither are intervals
            beyond.
        level: share of intervals that hold a new score, in (0, 1).
    """
    band = predict(fit, sizes, level=level)
    missed = drift.half(sizes - largest, level)
    lower = band.mean - np.hypot(band.mean - band.lower, missed)
    upper = band.mean + np.hypot(band.upper - band.mean, missed)
    if fit.floor is not None:
        lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)
    return Band(band.mean, lower, upper)


def slope_test(fit: ScalingFit, *, level: float = 0.95) -> tuple[float, float, float, float]:
    """Return the slope on the first feature, its interval, and p of none."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    slope, error = float(fit.coefficients[1]), float(np.sqrt(fit.covariance[1, 1]))
    half = float(stats.t.isf((1 - level) / 2, fit.df)) * error
    p = float(2 * stats.t.sf(abs(slope) / error, fit.df)) if error else np.nan
    return slope, slope - half, slope + half, p


def _means(design: Reals, coefficients: Reals, floor: float | None) -> Reals:
    return _scores(design @ coefficients, floor)


def _scores(linear: Reals, floor: float | None) -> Reals:
    """Return the scores of log odds above chance; as they are without a floor."""
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    return np.asarray(linear if floor is None else floor + (1 - floor) * expit(linear), np.float64)


def _slopes(design: Reals, coefficients: Reals, floor: float) -> Reals:
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    share = expit(design @ coefficients)
    return np.asarray((1 - floor) * (share * (1 - share))[:, None] * design, np.float64)


def _line(design: Reals, scores: Reals) -> tuple[Reals, Reals]:
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415 - slow to import

    fitted = OLS(scores, design).fit()
    return np.asarray(fitted.params), np.asarray(fitted.cov_params())


def _logistic(design: Reals, scores: Reals, floor: float) -> tuple[Reals, Reals] | None:
    from scipy.optimize import OptimizeWarning, curve_fit  # noqa: PLC0415 - slow to import

    def curve(_: Reals, *coefficients: float) -> Reals:
        return _means(design, np.array(coefficients), floor)

    def slopes(_: Reals, *coefficients: float) -> Reals:
        return _slopes(design, np.array(coefficients), floor)

    shares = np.clip((scores - floor) / (1 - floor), 0.02, 0.98)
    begin = np.linalg.lstsq(design, np.log(shares / (1 - shares)), rcond=None)[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            coefficients, covariance = curve_fit(
                curve, design, scores, p0=begin, jac=slopes, maxfev=STEPS
            )
    except (RuntimeError, OptimizeWarning, ValueError):
        return None
    # Beyond it the curve is a step, or flat: the scores do not say where.
    if not (np.isfinite(coefficients).all() and np.trace(covariance) < UNKNOWN):
        return None
    return np.asarray(coefficients), np.asarray(covariance)
