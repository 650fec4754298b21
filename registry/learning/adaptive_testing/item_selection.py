"""Choice of the items that say most of a score: a fixed order, or the next ones after some answers.

Greedy: each item is the one that most reduces the variance of the score that is left, under the
normal distribution of a neighbourhood's outcomes, given the items before it (A-optimal design; the
greedy order of a Gaussian process: Krause, Singh and Guestrin, Near-optimal sensor placements,
2008). An adaptive choice uses the neighbourhood of the answers so far; a fixed order is for models
of all levels, and so for the mean reduction over bands of the scale.
"""

from collections.abc import Sequence

import numpy as np

from registry.learning.adaptive_testing.known import KnownOutcomes, Singles
from registry.learning.adaptive_testing.neighbourhood import (
    FARTHEST,
    LEAST_VARIANCE,
    RIDGE,
    Answers,
    Regressors,
    ScoreScale,
    effective,
    located,
    uniform,
)
from registry.learning.arrays import Places, Reals

BANDS = 6
"""Bands of the scale that a fixed order is for."""

STAGES = (1, 3, 6, 12, 24, 48, 96)
"""Lengths of a fixed order at which the bands are drawn again, by the items so far."""

MOST_SCORES = 8
"""Benchmarks whose scores count one by one; of more, their mean counts."""

NOISE = 0.01
"""Variance of an outcome that no other outcome says anything of."""

MOST_CANDIDATES = 1536
"""Items that are compared at each step; of more, those that say most by themselves."""


class View:
    """What weighted models say of the items and a score, given some of the items.

    Args:
        known: outcomes.
        scores: M, the score that counts.
        weights: M, of the known models.
        regressors: those that are given.
        candidates: items that may be chosen.
    """

    def __init__(
        self,
        known: KnownOutcomes,
        scores: Singles,
        weights: Reals,
        regressors: Regressors,
        candidates: Places,
    ) -> None:
        weights = np.where(known.choosing, weights, 0)
        rows = np.flatnonzero(weights > FARTHEST * weights.max())
        self._weights = (weights[rows] / weights[rows].sum()).astype(np.float32)
        values = known.values[np.ix_(rows, candidates)]
        self._centred = values - self._weights @ values
        self._near = effective(self._weights.astype(np.float64))
        off = scores[rows] - self._weights @ scores[rows]
        errors = self._weights * off
        self.whole = float(errors @ off)
        self._spread = self._weights @ self._centred**2
        self.variance, self.covariance = self._spread.copy(), errors @ self._centred
        given = regressors.known[rows]
        given = given - self._weights @ given
        self._given = given.shape[1]
        self._factors: list[Singles] = []
        if self._given:
            self._condition(given, errors)

    def _condition(self, given: Singles, errors: Singles) -> None:
        weighted = given * self._weights[:, None]
        own = weighted.T @ given
        own[np.diag_indices_from(own)] += self._penalty(own.diagonal(), self._given)
        lower = np.linalg.cholesky(own.astype(np.float64))
        factors = np.linalg.solve(lower, weighted.T @ self._centred).astype(np.float32)
        slopes = np.linalg.solve(lower, given.T @ errors).astype(np.float32)
        self.variance -= (factors**2).sum(axis=0)
        self.covariance -= slopes @ factors
        self._factors = list(factors)

    def _penalty(self, variances: Singles, count: int) -> Singles:
        share = RIDGE * count / self._near
        return np.asarray(np.maximum(variances, LEAST_VARIANCE) * share, np.float32)

    def gains(self) -> Singles:
        """Return the share of the score's variance that each candidate would remove."""
        gains = self.covariance**2 / (np.maximum(self.variance, 0) + NOISE)
        return np.asarray(gains / max(self.whole, 1e-9))

    def take(self, place: int) -> None:
        """Take a candidate as given."""
        weighted = self._weights * self._centred[:, place]
        column = weighted @ self._centred
        if self._factors:
            factors = np.stack(self._factors)
            column = column - factors[:, place] @ factors
        noise = self._penalty(self._spread[place : place + 1], len(self._factors) + 1)[0]
        left = max(float(column[place]), 0.0) + noise
        self.covariance = self.covariance - column * (self.covariance[place] / left)
        self.variance = self.variance - column**2 / left
        self._factors.append((column / np.sqrt(left)).astype(np.float32))


def next_items(
    known: KnownOutcomes, answers: Answers, count: int, costs: Reals | None = None
) -> Places:
    """Return the items to ask next of a model, in order, given its answers so far.

    Args:
        known: outcomes of known models.
        answers: of the model.
        count: of items; fewer where there are no more.
        costs: float64, N, above 0; items are chosen by information per cost. None for equal ones.
    """
    regressors = Regressors.of(known, answers.places, answers.outcomes[None, :])
    candidates = _candidates(known, answers.places)
    views = []
    for scores in _scores(known):
        weights = uniform(len(scores))
        if regressors.count:
            scale, at = located(regressors, scores)
            weights = scale.near(float(at[0]))
        views.append(View(known, scores, weights, regressors, candidates))
    return _greedy(views, candidates, answers.places, count, costs)


def fixed_order(known: KnownOutcomes, count: int, costs: Reals | None = None) -> Places:
    """Return items in the order to ask them of any model; the first n are a choice of n.

    Args:
        known: outcomes of known models.
        count: of items; fewer where there are no more.
        costs: as of `next_items`.
    """
    chosen = np.zeros(0, np.intp)
    count = min(count, known.values.shape[1])
    candidates = _candidates(known, chosen)
    for stage in (*(each for each in STAGES if each < count), count):
        regressors = Regressors.of_known(known, chosen)
        views = [
            View(known, scores, weights, regressors, candidates)
            for scores in _scores(known)
            for weights in _bands(regressors, scores)
        ]
        more = _greedy(views, candidates, chosen, stage - len(chosen), costs)
        chosen = np.concatenate([chosen, more])
    return chosen


def _scores(known: KnownOutcomes) -> list[Singles]:
    """Return the scores that count, each M: those of the benchmarks, of many their mean."""
    if known.scores.shape[1] > MOST_SCORES:
        return [known.scores.mean(axis=1)]
    return list(known.scores.T)


def _bands(regressors: Regressors, scores: Singles) -> list[Reals]:
    """Return weights of the known models near some places of the scale of scores."""
    if not regressors.count:
        return [uniform(len(scores))]
    return _spread(located(regressors, scores)[0])


def _candidates(known: KnownOutcomes, chosen: Places) -> Places:
    """Return the items that may be chosen, in order: of many, those that say most by themselves.

    They are as many of each band of the scale: a hard item says little of most models.
    """
    count, several = known.values.shape[1], _scores(known)
    if count <= MOST_CANDIDATES:
        return np.arange(count)
    none, every = Regressors.of_known(known, chosen[:0]), np.arange(count)
    best = [chosen]
    for scores in several:
        for weights in _bands_of_scores(scores):
            gains = View(known, scores, weights, none, every).gains()
            most = MOST_CANDIDATES // (BANDS * len(several))
            best.append(np.argsort(-gains, kind="stable")[: max(most, 1)])
    return np.unique(np.concatenate(best)).astype(np.intp)


def _bands_of_scores(scores: Singles) -> list[Reals]:
    """Return weights of the known models near some places of the scale, by their true scores."""
    known = scores.astype(np.float64)
    return _spread(ScoreScale(known, 0.0, float(np.std(known))))


def _spread(scale: ScoreScale) -> list[Reals]:
    places = np.quantile(scale.known, (np.arange(BANDS) + 0.5) / BANDS)
    return [scale.near(float(at)) for at in places]


def _greedy(
    views: Sequence[View],
    candidates: Places,
    taken: Places,
    count: int,
    costs: Reals | None,
) -> Places:
    """Take items one after another; views of several bands and scores count alike."""
    open_ = ~np.isin(candidates, taken)
    chosen: list[int] = []
    for _ in range(min(count, int(open_.sum()))):
        gains = np.sum([view.gains() for view in views], axis=0)
        if costs is not None:
            gains = gains / costs[candidates]
        place = int(np.where(open_, gains, -np.inf).argmax())
        open_[place] = False
        chosen.append(int(candidates[place]))
        for view in views:
            view.take(place)
    return np.array(chosen, np.intp)
