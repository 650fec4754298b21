"""Larger models predicted from smaller ones: how far curves miss them, beside plainer guesses."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.statistics.scaling import (
    LEAST,
    LEAST_SIZES,
    Band,
    CurveDrift,
    ScalingFit,
    fit_curve,
    predict,
    predict_beyond,
)

LEAST_GROUPS = 3
"""Groups with larger models from which on it is known how far these are from curves."""


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
        shared_covered: share of scores that the interval of the curve with a shared slope holds.
        missed: what the curve missed them by, and how far they are.
    """

    n: int
    error: float
    last_error: float
    line_error: float
    pooled_error: float
    shared_error: float
    shared_covered: float
    missed: "MissedScores"


class MissedScores(NamedTuple):
    """Scores of n larger models, beside a curve through smaller ones.

    Attributes:
        fit: the curve.
        largest: logarithm of the largest size that it was fitted to.
        sizes: n, logarithms.
        scores: n.
    """

    fit: ScalingFit
    largest: float
    sizes: Reals
    scores: Reals

    def covered(self, drift: CurveDrift, *, level: float = 0.95) -> float:
        """Return the share of scores that intervals hold; nan where the drift is not known.

        Args:
            drift: of other curves, as in `predict_beyond`.
            level: of the intervals.
        """
        if np.isnan(drift.deviation):
            return np.nan
        band = predict_beyond(self.fit, self.sizes, largest=self.largest, drift=drift, level=level)
        return _covered(band, self.scores)


def drift_of(missed: Sequence[MissedScores]) -> CurveDrift:
    """Return how far larger models of several groups are from curves through smaller ones.

    The root of the mean square of what was missed, less the variance that scores have about the
    curve anyway, over the mean square of how far the models are beyond the curve. Each group counts
    once, more where its models are far beyond: what is missed of one group has a common cause. So
    the degrees of freedom are at most the number of groups (Satterthwaite 1946).

    Args:
        missed: scores of each group, beside its curve.

    Returns:
        nan of fewer groups than `LEAST_GROUPS`.
    """
    if len(missed) < LEAST_GROUPS:
        return CurveDrift(np.nan, np.nan)
    far = np.array([((each.sizes - each.largest) ** 2).mean() for each in missed])
    squares = np.array([
        ((each.scores - predict(each.fit, each.sizes).mean) ** 2).mean() - each.fit.variance
        for each in missed
    ])  # fmt: skip
    deviation = np.sqrt(np.maximum(squares, 0).sum() / far.sum())
    return CurveDrift(float(deviation), float(far.sum() ** 2 / (far**2).sum()))


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
    mean = predict(fit, sizes[held]).mean
    straight = predict(line, sizes[held]).mean
    last = float(scores[rest][sizes[rest] == sizes[rest].max()].mean())
    pooled = shared = shared_covered = np.nan
    if others is not None:
        small = others.part(sizes[held].min())
        pooled = _pooled(sizes, scores, held, small, floor)
        shared, shared_covered = _shared(sizes, scores, held, small, floor, level=level)
    return LargerModels(
        int(held.sum()),
        float(np.abs(mean - truth).mean()),
        float(np.abs(last - truth).mean()),
        float(np.abs((np.clip(straight, 0, 1) if floor is not None else straight) - truth).mean()),
        pooled,
        shared,
        shared_covered,
        MissedScores(fit, float(sizes[rest].max()), sizes[held], truth),
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
