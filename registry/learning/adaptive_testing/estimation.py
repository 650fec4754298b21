"""Estimate of a whole score from a few answers, with its interval."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.adaptive_testing.item_selection import fixed_order
from registry.learning.adaptive_testing.known import KnownOutcomes, Singles
from registry.learning.adaptive_testing.neighbourhood import (
    Answers,
    Regressors,
    WeightedRegression,
    effective,
    located,
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

MOST_CENTRES = 40
"""Neighbourhoods of models that answered the same items, at most."""

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
    """Estimate a model's mean outcome over all items of each benchmark; see `estimate_alike`."""
    [found] = estimate_alike(known, answers.places, answers.outcomes[None, :], level)
    return found


def estimate_alike(
    known: KnownOutcomes, places: Places, outcomes: Reals, level: float = LEVEL
) -> list[tuple[ScoreEstimate, ...]]:
    """Estimate the mean outcomes of n models that answered the same items.

    Answered items count as they are; the mean outcome of the others is regressed on the answers.
    The interval is as wide as the errors in the neighbourhood are (conformal prediction with
    weights: Tibshirani, Barber, Candes and Ramdas, Conformal prediction under covariate shift,
    2019).

    Args:
        known: outcomes of known models.
        places: p items, no two alike.
        outcomes: n x p, in [0, 1].
        level: coverage of the intervals, in (0, 1).

    Returns:
        For each model an estimate for each benchmark.
    """
    regressors = Regressors.of(known, places, outcomes)
    groups = [
        _of_group(known, group, regressors, places=places, outcomes=outcomes, level=level)
        for group in range(known.scores.shape[1])
    ]
    return list(zip(*groups, strict=True))


def _of_group(
    known: KnownOutcomes,
    group: int,
    regressors: Regressors,
    *,
    places: Places,
    outcomes: Reals,
    level: float,
) -> list[ScoreEstimate]:
    """Return estimates for one benchmark, one a model."""
    size = int(known.sizes[group])
    inside = known.groups[places] == group
    answered = outcomes[:, inside].sum(axis=1) / size
    left = (size - int(inside.sum())) / size
    if not left:
        return [ScoreEstimate(each, 0.0, each, each) for each in answered.tolist()]
    rest, half, deviation = _rest(known, group, regressors, places[inside], level)
    # A new model may be unlike all known ones, even where these are all alike.
    half = np.maximum(half, left / (len(known.rows) + 1))
    deviation = np.maximum(deviation, left / (len(known.rows) + 1) / 2)
    if not known.is_honest:
        least = _refitted(known, group, len(places), level)
        half, deviation = np.maximum(half, least[0]), np.maximum(deviation, least[1])
    rest = np.clip(rest, 0, left)
    columns = (
        answered + rest,
        deviation,
        answered + np.maximum(rest - half, 0),
        answered + np.minimum(rest + half, left),
    )
    return [ScoreEstimate(*row) for row in zip(*(each.tolist() for each in columns), strict=True)]


def _rest(
    known: KnownOutcomes, group: int, regressors: Regressors, answered: Places, level: float
) -> tuple[Reals, Reals, Reals]:
    """Predict what the other items add to the scores of n models.

    Returns:
        Predictions, half widths of their intervals, and standard deviations of their errors.
    """
    rest, half, deviation = np.zeros((3, len(regressors.own)))
    for rows, weights in _neighbourhoods(known.scores[:, group], regressors):
        fitted = _of_the_rest(known, group, answered, regressors, weights)
        own = regressors.own[rows]
        rest[rows] = fitted.predict(own)
        exact = _error(fitted, known.calibrating, level)
        half[rows], deviation[rows] = widened(exact, fitted.spread(own))
    return rest, half, deviation


def widened(exact: tuple[float, float], spread: Reals) -> tuple[Reals, Reals]:
    """Return half widths of intervals and standard deviations of errors of n predictions.

    Args:
        exact: both, where a prediction is exact.
        spread: n, factors of `WeightedRegression.spread`: the less is known of the slopes that an
            answer takes, the larger.
    """
    width, error = exact
    return width * spread, error * spread


def _neighbourhoods(scores: Singles, regressors: Regressors) -> Iterator[tuple[Places, Reals]]:
    """Yield models in one neighbourhood, and the weights of the known models there.

    Each model has its own, unless there are many: then those at about the same place share one.
    """
    count = len(regressors.own)
    if not regressors.count:
        yield np.arange(count), uniform(len(scores))
        return
    scale, at = located(regressors, scores)
    centres = at if count <= MOST_CENTRES else np.quantile(at, np.linspace(0, 1, MOST_CENTRES))
    nearest = np.abs(at[:, None] - centres).argmin(axis=1)
    for place in np.unique(nearest).tolist():
        yield np.flatnonzero(nearest == place), scale.near(float(centres[place]))


def _of_the_rest(
    known: KnownOutcomes, group: int, answered: Places, regressors: Regressors, weights: Reals
) -> WeightedRegression:
    """Regress what the items of a benchmark that are not answered add to its score."""
    sums = known.values[:, answered].sum(axis=1) / np.float32(known.sizes[group])
    return regress(regressors.known, known.scores[:, group] - sums, weights)


def _error(
    fitted: WeightedRegression, calibrating: NDArray[np.bool_], level: float
) -> tuple[float, float]:
    """Return the quantile of errors, and their standard deviation, where a prediction is exact."""
    weights = np.where(calibrating[fitted.rows], fitted.weights, 0)
    if not weights.any():
        weights = fitted.weights
    weights = weights / weights.sum()
    errors = np.abs(fitted.left_out) / np.sqrt(fitted.extents)
    return weighted_quantile(errors, weights, level), float(np.sqrt(weights @ errors**2))


def weighted_quantile(errors: Reals, weights: Reals, level: float) -> float:
    """Return the error that a new one does not exceed with a probability.

    The new error counts as one more, the largest; between two errors it is interpolated.

    Args:
        errors: n, at least 0.
        weights: n, whose sum is 1; the new error has the weight that equal ones would have.
        level: the probability.
    """
    order = np.argsort(errors)
    order = order[weights[order] > 0]
    reached = np.cumsum(weights[order]) / (1 + 1 / effective(weights))
    return float(np.interp(level, reached, errors[order]))


def _refitted(known: KnownOutcomes, group: int, count: int, level: float) -> tuple[float, float]:
    """Return what `_error` does, of models that had no say in the choice of items.

    Where all models choose and calibrate, their errors are too small for items that were chosen by
    them. So items are chosen again without some of the models, and those are predicted.
    """
    scores = known.scores[:, group].astype(np.float64)
    errors = np.zeros(len(scores))
    fold_of = np.arange(len(scores)) % FOLDS
    for fold in range(FOLDS):
        others, out = known.part(np.flatnonzero(fold_of != fold)), fold_of == fold
        places = fixed_order(others, min(count, MOST_REFITTED))
        inside = places[known.groups[places] == group]
        values = known.values[out].astype(np.float64)
        regressors = Regressors.of(others, places, values[:, places])
        rest, _, _ = _rest(others, group, regressors, inside, level)
        answered = values[:, inside].sum(axis=1) / known.sizes[group]
        errors[out] = np.abs(answered + rest - scores[out])
    quantile = weighted_quantile(errors, uniform(len(errors)), level)
    return quantile, float(np.sqrt(np.mean(errors**2)))


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
    regressors = Regressors.of_known(known, places)
    scores = known.scores[:, group]
    bands = [uniform(len(scores))]
    if regressors.count:
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
