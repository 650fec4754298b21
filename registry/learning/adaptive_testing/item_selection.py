"""Choice of the items that say most of a score: a fixed order, or the next ones after some answers.

Greedy: each item is the one that most reduces the variance of the score that is left, under the
normal distribution of a neighbourhood's outcomes, given the items before it (A-optimal design; the
greedy order of a Gaussian process: Krause, Singh and Guestrin, Near-optimal sensor placements,
2008). An adaptive choice uses the neighbourhood of the answers so far, a fixed order all known
models: bands of the scale, whose mean reduction counts, gave no better one.
"""

from collections.abc import Sequence

import numpy as np

from registry.learning.adaptive_testing.known import KnownOutcomes, Singles
from registry.learning.adaptive_testing.neighbourhood import (
    FARTHEST,
    LEAST_VARIANCE,
    NO_ANSWERS,
    RIDGE,
    Answers,
    Regressors,
    effective,
    located,
    uniform,
)
from registry.learning.arrays import Places, Reals

MOST_GREEDY = 512
"""Items that are taken one after another; more are taken at once, by what each still says."""

MOST_SCORES = 8
"""Benchmarks whose scores count one by one; of more, their mean counts."""

NOISE = 0.01
"""Variance of an outcome that no other outcome says anything of."""

MOST_CANDIDATES = 1536
"""Items of which a fixed order is made; of more, those that say most by themselves."""


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
    every = np.arange(known.values.shape[1])
    views = []
    for scores in _scores(known):
        weights = uniform(len(scores))
        if regressors.count:
            scale, at = located(regressors, scores)
            weights = scale.near(float(at[0]))
        views.append(View(known, scores, weights, regressors, every))
    return _greedy(known, views, candidates=every, taken=answers.places, count=count, costs=costs)


def fixed_order(known: KnownOutcomes, count: int, costs: Reals | None = None) -> Places:
    """Return items in the order to ask them of any model; the first n are a choice of n.

    Args:
        known: outcomes of known models.
        count: of items; fewer where there are no more.
        costs: as of `next_items`.
    """
    none, weights = Regressors.of_known(known, NO_ANSWERS.places), uniform(len(known.values))
    every, several = np.arange(known.values.shape[1]), _scores(known)
    candidates = every
    if len(every) > MOST_CANDIDATES:
        views = [View(known, scores, weights, none, every) for scores in several]
        gains = np.sum([view.gains() for view in views], axis=0)
        gains = np.where(known.askable, gains if costs is None else gains / costs, -1)
        candidates = np.sort(np.argsort(-gains, kind="stable")[: max(MOST_CANDIDATES, count)])
    views = [View(known, scores, weights, none, candidates) for scores in several]
    taken = NO_ANSWERS.places
    return _greedy(known, views, candidates=candidates, taken=taken, count=count, costs=costs)


def _scores(known: KnownOutcomes) -> list[Singles]:
    """Return the scores that count, each M: those of the benchmarks, of many their mean."""
    if known.scores.shape[1] > MOST_SCORES:
        return [known.scores.mean(axis=1)]
    return list(known.scores.T)


def _greedy(
    known: KnownOutcomes,
    views: Sequence[View],
    *,
    candidates: Places,
    taken: Places,
    count: int,
    costs: Reals | None,
) -> Places:
    """Take items one after another; views of several scores count alike."""
    open_ = known.askable[candidates] & ~np.isin(candidates, taken)
    count = min(count, int(open_.sum()))
    chosen: list[int] = []

    def worth() -> Reals:
        gains = np.sum([view.gains() for view in views], axis=0)
        gains = gains if costs is None else gains / costs[candidates]
        return np.where(open_, gains, -np.inf)

    for _ in range(min(count, MOST_GREEDY)):
        place = int(worth().argmax())
        open_[place] = False
        chosen.append(int(candidates[place]))
        for view in views:
            view.take(place)
    rest = np.argsort(-worth(), kind="stable")[: count - len(chosen)]
    return np.concatenate([np.array(chosen, np.intp), candidates[rest]])
