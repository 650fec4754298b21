"""Estimate of a whole score from a few answers, with its interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.adaptive_testing.item_selection import fixed_order
from registry.learning.adaptive_testing.known import KnownOutcomes
from registry.learning.adaptive_testing.neighbourhood import (
    Answers,
    Regressors,
    WeightedRegression,
    located,
    neighbourhood,
    regress,
    uniform,
)
from registry.learning.arrays import Places, Reals

LEVEL = 0.9
"""Coverage of intervals, unless another is asked for."""

FOLDS = 5
"""Parts of few known models, each of which is predicted by the others."""

MOST_REFITTED = 100
"""Items that are chosen again without a part of few known models: errors by more are smaller."""

BANDS = 5
"""Places of the scale at which the widths of intervals are expected."""


@dataclass(frozen=True, slots=True)
class ScoreEstimate:
    """Estimated mean outcome of a model over all items of a benchmark.

    Attributes:
        mean: in [0, 1].
        deviation: standard deviation of its error; 0 where all items are answered.
        lower: lower end of the interval.
        upper: upper end.
    """

    mean: float
    deviation: float
    lower: float
    upper: float

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.upper - self.lower


def estimate(
    known: KnownOutcomes, answers: Answers, level: float = LEVEL
) -> tuple[ScoreEstimate, ...]:
    """Estimate a model's mean outcome over all items of each benchmark.

    Answered items count as they are; the mean outcome of the others is regressed on the answers.
    The interval is as wide as the errors in the neighbourhood are (conformal prediction with
    weights: Tibshirani, Barber, Candes and Ramdas, Conformal prediction under covariate shift,
    2019).

    Args:
        known: outcomes of known models.
        answers: of the model.
        level: coverage of the intervals, in (0, 1).
    """
    regressors = Regressors.of(known, answers)
    return tuple(
        _score(known, group, regressors, answers, level) for group in range(known.scores.shape[1])
    )


def _score(
    known: KnownOutcomes, group: int, regressors: Regressors, answers: Answers, level: float
) -> ScoreEstimate:
    size = int(known.sizes[group])
    inside = known.groups[answers.places] == group
    answered = float(answers.outcomes[inside].sum()) / size
    left = (size - int(inside.sum())) / size
    if not left:
        return ScoreEstimate(answered, 0.0, answered, answered)
    weights = neighbourhood(known, group, regressors)
    fitted = _of_the_rest(known, group, answers.places[inside], regressors, weights)
    rest = float(np.clip(fitted.predict(regressors.own[None, :])[0], 0, left))
    half, deviation = _error(fitted, known.calibrating, level)
    extent = float(np.sqrt(fitted.extent(regressors.own)))
    half, deviation = half * extent, deviation * extent
    if not known.is_honest:
        refitted = _refitted(known, group, len(answers.places), level)
        half, deviation = max(half, refitted[0]), max(deviation, refitted[1])
    return ScoreEstimate(
        mean=answered + rest,
        deviation=deviation,
        lower=answered + max(rest - half, 0),
        upper=answered + min(rest + half, left),
    )


def _of_the_rest(
    known: KnownOutcomes, group: int, places: Places, regressors: Regressors, weights: Reals
) -> WeightedRegression:
    """Regress what the items of a benchmark that are not answered add to its score."""
    answered = known.values[:, places].sum(axis=1) / np.float32(known.sizes[group])
    return regress(regressors.known, known.scores[:, group] - answered, weights)


def _error(
    fitted: WeightedRegression, calibrating: NDArray[np.bool_], level: float
) -> tuple[float, float]:
    """Return half the width of an interval, and the standard deviation of errors.

    Both are of an error with extent 1.
    """
    weights = np.where(calibrating[fitted.rows], fitted.weights, 0)
    if not weights.any():
        weights = fitted.weights
    weights = weights / weights.sum()
    errors = np.abs(fitted.left_out) / np.sqrt(fitted.extents)
    order = np.argsort(errors)
    # The model itself counts as one more neighbour, with the largest error.
    reached = np.cumsum(weights[order]) / (1 + weights.max())
    place = min(int(np.searchsorted(reached, level)), len(order) - 1)
    return float(errors[order[place]]), float(np.sqrt(weights @ errors**2))


def _refitted(known: KnownOutcomes, group: int, count: int, level: float) -> tuple[float, float]:
    """Return what `_error` does, of models that had no say in the choice of items.

    Where all models choose and calibrate, their errors are too small for items that were chosen by
    them. So items are chosen again without some of the models, and those are predicted.
    """
    errors = np.zeros(len(known.values))
    of = np.arange(len(errors)) % min(FOLDS, len(errors))
    for fold in range(int(of.max()) + 1):
        others, out = known.part(np.flatnonzero(of != fold)), np.flatnonzero(of == fold)
        places = fixed_order(others, min(count, MOST_REFITTED))
        values = known.values[np.ix_(out, places)].astype(np.float64)
        for row, outcomes in zip(out.tolist(), values, strict=True):
            answers = Answers(places, outcomes)
            errors[row] = _mean(others, group, answers) - known.scores[row, group]
    ranked = np.sort(np.abs(errors))
    place = min(int(np.ceil(level * (len(ranked) + 1))), len(ranked)) - 1
    return float(ranked[place]), float(np.sqrt(np.mean(errors**2)))


def _mean(known: KnownOutcomes, group: int, answers: Answers) -> float:
    """Return the estimated mean outcome, without an interval."""
    inside = known.groups[answers.places] == group
    regressors = Regressors.of(known, answers)
    weights = neighbourhood(known, group, regressors)
    fitted = _of_the_rest(known, group, answers.places[inside], regressors, weights)
    size = int(known.sizes[group])
    rest = np.clip(fitted.predict(regressors.own[None, :])[0], 0, 1 - inside.sum() / size)
    return float(answers.outcomes[inside].sum() / size + rest)


def expected_width(
    known: KnownOutcomes, places: Places, group: int = 0, level: float = LEVEL
) -> float:
    """Return the width of the interval that answers to some items are expected to give.

    It is the mean over the known models' scale.

    Args:
        known: outcomes of known models.
        places: items that would be answered.
        group: the benchmark.
        level: coverage of the interval.
    """
    inside = places[known.groups[places] == group]
    if len(inside) == known.sizes[group]:
        return 0.0
    regressors = Regressors.of(known, Answers(places, np.full(len(places), 0.5)))
    scores = known.scores[:, group]
    bands = [uniform(len(scores))]
    if len(regressors.own):
        scale, _ = located(regressors, scores)
        places_of = np.quantile(scale.known, (np.arange(BANDS) + 0.5) / BANDS)
        bands = [scale.near(float(at)) for at in places_of]
    widths = []
    for weights in bands:
        fitted = _of_the_rest(known, group, inside, regressors, weights)
        half, _ = _error(fitted, known.calibrating, level)
        widths.append(2 * half * float(np.sqrt(fitted.weights @ fitted.extents)))
    width = float(np.mean(widths))
    if not known.is_honest:
        width = max(width, 2 * _refitted(known, group, len(places), level)[0])
    return min(width, 1.0)
