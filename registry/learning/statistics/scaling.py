"""Scaling curves: scores against the logarithm of size, of tokens or of compute.

Where scores are shares the curve is a logistic function of the logarithm above the score of chance,
as in observational scaling laws (Ruan, Maddison and Hashimoto 2024, section 3); else it is a line.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals

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

    The interval of a line is exact for normal residuals; that of a logistic curve is by the delta
    method, and does not leave [0, 1].

    Args:
        fit: the curve.
        features: m, or m x K.
        level: share of intervals that hold a new score, in (0, 1).
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    rows = np.asarray(features, np.float64).reshape(-1, len(fit.centre))
    design = np.column_stack([np.ones(len(rows)), rows - fit.centre])
    mean = _means(design, fit.coefficients, fit.floor)
    slopes = design if fit.floor is None else _slopes(design, fit.coefficients, fit.floor)
    variances = fit.variance + np.einsum("ij,jk,ik->i", slopes, fit.covariance, slopes)
    half = float(stats.t.isf((1 - level) / 2, fit.df)) * np.sqrt(variances)
    lower, upper = mean - half, mean + half
    if fit.floor is not None:
        lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)
    return Band(mean, lower, upper)


def slope_test(fit: ScalingFit, *, level: float = 0.95) -> tuple[float, float, float, float]:
    """Return the slope on the first feature, its interval, and p of none."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    slope, error = float(fit.coefficients[1]), float(np.sqrt(fit.covariance[1, 1]))
    half = float(stats.t.isf((1 - level) / 2, fit.df)) * error
    p = float(2 * stats.t.sf(abs(slope) / error, fit.df)) if error else np.nan
    return slope, slope - half, slope + half, p


Mask = NDArray[np.bool_]


class OtherModels(NamedTuple):
    """Models of other groups.

    Attributes:
        sizes: n, logarithms.
        scores: n.
        codes: n, the group of each; -1 for none.
    """

    sizes: Reals
    scores: Reals
    codes: Places

    def part(self, below: float) -> "OtherModels":
        """Return the models of smaller sizes."""
        small = self.sizes < below
        return OtherModels(self.sizes[small], self.scores[small], self.codes[small])


class LargerModels(NamedTuple):
    """Scores of the largest models, predicted from the smaller ones; errors are absolute means.

    Attributes:
        n: held out.
        error: of the curve.
        last_error: of the mean score at the largest size that is not held out.
        line_error: of a line.
        pooled_error: of one curve through the smaller models of all groups; nan without others.
        shared_error: of a curve with a level of its own and the slope of all groups; likewise.
        covered: share of scores that the interval of the curve holds.
        shared_covered: likewise, of the curve with a shared slope.
    """

    n: int
    error: float
    last_error: float
    line_error: float
    pooled_error: float
    shared_error: float
    covered: float
    shared_covered: float


def larger_ones(sizes: Reals) -> Mask | None:
    """Return which models are held out: about the largest third; None where too few remain.

    Models of one size are on one side.
    """
    for size in np.unique(sizes)[:0:-1]:
        rest = sizes < size
        if rest.sum() < LEAST or len(np.unique(sizes[rest])) < LEAST_SIZES:
            return None
        if 3 * (~rest).sum() >= len(sizes) or _next_takes_too_many(sizes, size):
            return np.asarray(~rest, np.bool_)
    return None


def _next_takes_too_many(sizes: Reals, size: float) -> bool:
    rest = sizes[sizes < size]
    smaller = rest[rest < rest.max()]
    return len(smaller) < LEAST or len(np.unique(smaller)) < LEAST_SIZES


def hold_out(
    sizes: Reals,
    scores: Reals,
    *,
    floor: float | None,
    level: float = 0.95,
    others: OtherModels | None = None,
) -> LargerModels | None:
    """Predict scores of the largest models from those of the smaller ones.

    Args:
        sizes: n, logarithms.
        scores: n.
        floor: as in `fit_curve`.
        level: of the intervals.
        others: models of other groups; those of the sizes that are held out are left out.
    """
    held = larger_ones(sizes)
    if held is None:
        return None
    fit = fit_curve(sizes[~held], scores[~held], floor=floor)
    line = fit_curve(sizes[~held], scores[~held], floor=None)
    if fit is None or line is None:
        return None
    truth, rest = scores[held], ~held
    band = predict(fit, sizes[held], level=level)
    straight = predict(line, sizes[held]).mean
    last = float(scores[rest][sizes[rest] == sizes[rest].max()].mean())
    pooled = shared = shared_covered = np.nan
    if others is not None:
        small = others.part(sizes[held].min())
        pooled = _pooled(sizes, scores, held, small, floor)
        shared, shared_covered = _shared(sizes, scores, held, small, floor, level=level)
    return LargerModels(
        int(held.sum()),
        float(np.abs(band.mean - truth).mean()),
        float(np.abs(last - truth).mean()),
        float(np.abs((np.clip(straight, 0, 1) if floor is not None else straight) - truth).mean()),
        pooled,
        shared,
        _covered(band, truth),
        shared_covered,
    )


def _covered(band: Band, truth: Reals) -> float:
    return float(((band.lower <= truth) & (truth <= band.upper)).mean())


def _pooled(
    sizes: Reals, scores: Reals, held: Mask, others: OtherModels, floor: float | None
) -> float:
    """Return the error of one curve through the smaller models of all groups."""
    if not len(others.sizes):
        return np.nan
    fit = fit_curve(
        np.concatenate([sizes[~held], others.sizes]),
        np.concatenate([scores[~held], others.scores]),
        floor=floor,
    )
    if fit is None:
        return np.nan
    return float(np.abs(predict(fit, sizes[held]).mean - scores[held]).mean())


def _shared(
    sizes: Reals,
    scores: Reals,
    held: Mask,
    others: OtherModels,
    floor: float | None,
    *,
    level: float,
) -> tuple[float, float]:
    """Return error and coverage of a curve with the slope of all groups, each at its own level.

    The first group is this one; each other one has an indicator. A single model has no slope.
    """
    codes, counts = np.unique(others.codes[others.codes >= 0], return_counts=True)
    codes = codes[counts > 1]
    rows = np.isin(others.codes, codes)
    if not rows.any():
        return np.nan, np.nan
    x = np.concatenate([sizes[~held], others.sizes[rows]])
    groups = np.concatenate([np.full((~held).sum(), -1), others.codes[rows]])
    fit = fit_curve(
        np.column_stack([x, groups[:, None] == codes]).astype(np.float64),
        np.concatenate([scores[~held], others.scores[rows]]),
        floor=floor,
    )
    if fit is None:
        return np.nan, np.nan
    own = np.column_stack([sizes[held], np.zeros((held.sum(), len(codes)))])
    band = predict(fit, own, level=level)
    return float(np.abs(band.mean - scores[held]).mean()), _covered(band, scores[held])


def _means(design: Reals, coefficients: Reals, floor: float | None) -> Reals:
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    linear = design @ coefficients
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
