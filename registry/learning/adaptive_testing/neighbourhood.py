"""Locally weighted regression of a score on a few answers, over known models that answered alike.

A ridge regression over all known models locates the model on the scale of scores; the known models
are then weighted by how near they are on it, and a second regression is fitted with these weights
(Cleveland, Robust locally weighted regression and smoothing scatterplots, 1979; Atkeson, Moore and
Schaal, Locally weighted learning, 1997, sections 3 and 6.1).

The mean of the answers is a regressor of its own, which is not penalised: what the few known models
do not say of single answers is shrunk towards a slope that all answers share.
"""

from dataclasses import dataclass

import numpy as np

from registry.learning.adaptive_testing.known import KnownOutcomes, Singles
from registry.learning.arrays import Places, Reals

RIDGE = 1.0
"""Ridge penalty of a regressor of unit variance, times regressors per effective model."""

NARROWEST = 0.1
"""Bandwidth in standard deviations of the known scores, where the location is certain."""

SPREAD = 0.5
"""Further bandwidth, in standard deviations of the error of the location."""

LEAST_NEIGHBOURS = 100
"""Effective number of models in a neighbourhood, at least; most models where there are fewer."""

WIDENED = 1.7
"""Factor on the squared bandwidth of a neighbourhood with too few models."""

LEAST_VARIANCE = 1e-3
"""Least variance of an item, of which almost all known models answer alike."""

NEGLIGIBLE = 1e-6
"""Penalty that only keeps regressors of which one follows from others solvable."""

LEAST_LEFT = 0.05
"""Least share of a model's error that its own weight in the regression leaves."""

FARTHEST = 1e-3
"""Weight, relative to the largest, below which a model is left out of a neighbourhood."""

MOST_REGRESSORS = 384
"""Answers that are regressors of their own; of more, the others count by their mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers of one model.

    Attributes:
        places: intp, p: the items, no two alike.
        outcomes: float64, p, in [0, 1].
    """

    places: Places
    outcomes: Reals


NO_ANSWERS = Answers(np.zeros(0, np.intp), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class Regressors:
    """Answers as regressors.

    Attributes:
        known: float32, M x p, of the known models.
        own: float64, n x p, of n models that answered the same items.
    """

    known: Singles
    own: Reals

    @classmethod
    def of(cls, known: KnownOutcomes, places: Places, outcomes: Reals) -> "Regressors":
        """Return the regressors that the answers of n models to the same items, n x p, are."""
        values = known.values[:, places]
        if len(places) <= MOST_REGRESSORS:
            return cls(values, outcomes)
        level = known.scores.mean(axis=1)
        covariances = (level - level.mean()) @ values / len(level)
        said = covariances**2 / np.maximum(values.var(axis=0), LEAST_VARIANCE)
        order = np.argsort(-said, kind="stable")
        single, joined = order[:MOST_REGRESSORS], order[MOST_REGRESSORS:]
        return cls(
            np.column_stack([values[:, single], values[:, joined].mean(axis=1)]),
            np.column_stack([outcomes[:, single], outcomes[:, joined].mean(axis=1)]),
        )

    @classmethod
    def of_known(cls, known: KnownOutcomes, places: Places) -> "Regressors":
        """Return the regressors of items that no model has answered yet."""
        return cls.of(known, places, np.zeros((0, len(places))))

    @property
    def count(self) -> int:
        """Number of regressors."""
        return int(self.known.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class WeightedRegression:
    """Ridge regression over weighted models.

    Attributes:
        means: float64, r, of the regressors: the mean of the answers, and p answers.
        slopes: float64, r.
        centre: mean of the target.
        rows: intp, m: models with a weight.
        weights: float64, m, whose sum is 1.
        left_out: float64, m: errors of the predictions of each model without itself.
        extents: float64, m: variance of such an error, in residual variances.
        inverse: float64, r x r: of the penalised covariance of the regressors.
    """

    means: Reals
    slopes: Reals
    centre: float
    rows: Places
    weights: Reals
    left_out: Reals
    extents: Reals
    inverse: Reals

    def predict(self, answers: Reals) -> Reals:
        """Return predictions for n models, by their answers, n x p."""
        return np.asarray(self.centre + (with_mean(answers) - self.means) @ self.slopes)

    def spread(self, answers: Reals) -> Reals:
        """Return standard deviations of errors of predictions, in residual ones.

        Args:
            answers: of n models, n x p.
        """
        away = with_mean(answers) - self.means
        shares = 1 + ((away @ self.inverse) * away).sum(axis=1)
        return np.asarray(np.sqrt(1 + (self.weights @ self.weights) * shares))


def with_mean(answers: Reals) -> Reals:
    """Return answers, n x p, with their mean before them; without answers, none."""
    if not answers.shape[1]:
        return answers
    return np.column_stack([answers.mean(axis=1), answers])


def regress(answers: Singles, targets: Singles, weights: Reals) -> WeightedRegression:
    """Fit a ridge regression to weighted models.

    Args:
        answers: M x p.
        targets: M.
        weights: M, at least 0.
    """
    rows = np.flatnonzero(weights > FARTHEST * weights.max())
    kept = weights[rows] / weights[rows].sum()
    values, wanted = with_mean(answers[rows].astype(np.float64)), targets[rows].astype(np.float64)
    means, centre = kept @ values, float(kept @ wanted)
    away, errors = values - means, wanted - centre
    covariance = (away * kept[:, None]).T @ away
    inverse = np.linalg.inv(covariance + penalty(covariance.diagonal(), kept))
    slopes = inverse @ (away.T @ (kept * errors))
    shares = 1 + ((away @ inverse) * away).sum(axis=1)
    left_out = (errors - away @ slopes) / np.maximum(1 - kept * shares, LEAST_LEFT)
    extents = 1 + (kept @ kept) * shares
    return WeightedRegression(means, slopes, centre, rows, kept, left_out, extents, inverse)


def penalty(variances: Reals, weights: Reals) -> Reals:
    """Return the ridge penalty of regressors, float64, r x r, by their variances, r.

    That of the first one, the mean of the answers, is negligible.
    """
    share = RIDGE * (len(variances) - 1) / effective(weights)
    penalties = np.maximum(variances, LEAST_VARIANCE) * share
    penalties[:1] = NEGLIGIBLE
    return np.asarray(np.diag(penalties + NEGLIGIBLE))


def effective(weights: Reals) -> float:
    """Return the effective number of weighted models, whose weights have sum 1 (Kish 1965)."""
    return float(1 / (weights @ weights))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreScale:
    """The known models on the scale of a score, by a regression on the answers.

    Attributes:
        known: float64, M: their predicted scores.
        error: standard deviation of the predictions' errors.
        spread: standard deviation of the scores.
    """

    known: Reals
    error: float
    spread: float

    def near(self, at: float) -> Reals:
        """Return weights of the known models near a score, float64, M, whose sum is 1."""
        distances = (self.known - at) ** 2
        distances -= distances.min()
        squared = max((NARROWEST * self.spread) ** 2 + (SPREAD * self.error) ** 2, 1e-9)
        least = min(LEAST_NEIGHBOURS, 0.9 * len(distances))
        while True:
            weights = np.exp(-distances / (2 * squared))
            weights /= weights.sum()
            if effective(weights) >= least:
                return np.asarray(weights)
            squared *= WIDENED


def located(regressors: Regressors, scores: Singles) -> tuple[ScoreScale, Reals]:
    """Return the scale of a score, and the places of the n models on it.

    Args:
        regressors: at least one.
        scores: of the known models, float32, M.
    """
    fitted = regress(regressors.known, scores, uniform(len(scores)))
    known = fitted.predict(regressors.known.astype(np.float64))
    error = float(np.sqrt(np.mean(fitted.left_out**2)))
    scale = ScoreScale(known, error, float(np.std(scores.astype(np.float64))))
    return scale, fitted.predict(regressors.own)


def uniform(count: int) -> Reals:
    """Return equal weights, float64, whose sum is 1."""
    return np.full(count, 1 / count)
