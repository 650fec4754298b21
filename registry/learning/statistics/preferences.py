"""Ratings from preferences: Bradley and Terry's model of pairwise comparisons, by evalica.

On an item that two models answered, the one with the higher outcome is preferred; equal outcomes
are a tie, half a win for either. A model's strength s is such that it is preferred to another with
probability s / (s + s'), and is written on Elo's scale: 400 points are odds of ten to one (Bradley
and Terry 1952; Newman 2023, JMLR 24). Intervals are over resampled items, all pairs of an item
together (Chiang et al. 2024, Chatbot Arena, section 4).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import Mask, Matrix
from registry.workers import Progress, no_progress

MEAN = 1000.0
"""Mean rating of the models that are rated."""

_TIE = 1e-9
"""Difference of outcomes below which they are equal."""

_EQUAL = 1e-3
"""Points below which two ratings are equal: they are fitted to less."""

_CELLS = 1 << 26
"""Comparisons in memory at a time."""

_PAIRS = 1 << 23
"""Pairs of models in memory at a time, over the resamples."""


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceRatings:
    """Ratings of M models.

    Attributes:
        ratings: float64, M, on Elo's scale with mean 1000; NaN of a model that is apart.
        lower: float64, M: lower ends of intervals; NaN where the rating is.
        upper: float64, M: upper ends.
        ranks: int, M, from 1, of the models that are rated; 0 of others.
        best_ranks: int, M: rank if all whose interval is not wholly above are below; 0 likewise.
        worst_ranks: int, M: rank if all whose interval is not wholly below are above.
        wins, ties, losses: int, M: comparisons.
        items: int, M: items with a comparison.
        resamples: number of resamples that intervals are of; others leave models incomparable.
    """

    ratings: Reals
    lower: Reals
    upper: Reals
    ranks: Places
    best_ranks: Places
    worst_ranks: Places
    wins: Places
    ties: Places
    losses: Places
    items: Places
    resamples: int


def rate(
    outcomes: Matrix,
    *,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
    on_progress: Progress = no_progress,
) -> PreferenceRatings:
    """Rate models by their outcomes on the same items.

    The rated models are the largest set of which each is preferred to each other, directly or by
    way of others: one that always wins, or that shares no item with the rest, has no finite rating.
    Of several sets as large it is that of the first model.

    Args:
        outcomes: float32, M x N, higher is better; NaN where not observed.
        replicates: resamples of the items.
        level: share of intervals that hold the rating, in (0, 1).
        seed: of the resampling.
        on_progress: receives the progress, in resamples.

    Raises:
        ValueError: an outcome is infinite.
    """
    count, items = outcomes.shape
    if np.isinf(outcomes).any():
        raise ValueError("outcomes are to be finite, or NaN where not observed")
    wins, ties = (numbers[0] for numbers in _counted(outcomes, np.ones((1, items))))
    rated = _together(wins + ties / 2)
    ratings, lower, upper = np.full((3, count), np.nan)
    resampled = np.zeros((0, 0))
    if len(rated):
        ratings[rated] = _fitted(wins[np.ix_(rated, rated)], ties[np.ix_(rated, rated)])
        resampled = _resampled(outcomes[rated], replicates, seed, on_progress)
        if len(resampled):
            ends = ((1 - level) / 2, (1 + level) / 2)
            lower[rated], upper[rated] = np.quantile(resampled, ends, axis=0)
    observed = ~np.isnan(outcomes)
    shared = observed & (observed.sum(axis=0) > 1)
    ranks, best, worst = _ranks(ratings, lower, upper)
    return PreferenceRatings(
        ratings=ratings,
        lower=lower,
        upper=upper,
        ranks=ranks,
        best_ranks=best,
        worst_ranks=worst,
        wins=_whole(wins.sum(axis=1)),
        ties=_whole(ties.sum(axis=1)),
        losses=_whole(wins.sum(axis=0)),
        items=_whole(shared.sum(axis=1)),
        resamples=len(resampled),
    )


def _resampled(outcomes: Matrix, replicates: int, seed: int, on_progress: Progress) -> Reals:
    """Return ratings by resampled items: float64, R x m, without those that tie not all."""
    count, items = outcomes.shape
    rng = np.random.default_rng(seed)
    at_once = max(1, _PAIRS // count**2)
    found = []
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn = rng.multinomial(items, np.full(items, 1 / items), size=size).astype(np.float64)
        for place, (won, tied) in enumerate(zip(*_counted(outcomes, drawn), strict=True)):
            on_progress("rating models", start + place, replicates)
            if _all_together(won + tied / 2):
                found.append(_fitted(won, tied))
    on_progress("rating models", replicates, replicates)
    return np.array(found)


def _whole(numbers: Reals | Places) -> Places:
    return np.rint(numbers).astype(np.intp)


def _counted(outcomes: Matrix, weights: Reals) -> tuple[Reals, Reals]:
    """Return weighted numbers of wins of row over column, and of ties: float64, R x M x M each."""
    count, items = outcomes.shape
    wins, ties = np.zeros((2, len(weights), count, count))
    step = max(1, _CELLS // max(count * count, 1))
    for start in range(0, items, step):
        part = outcomes[:, start : start + step].astype(np.float64)
        differences = part[:, None] - part[None]
        share = weights[:, start : start + step]
        with np.errstate(invalid="ignore"):
            won, tied = differences > _TIE, np.abs(differences) <= _TIE
        wins += np.tensordot(share, won.astype(np.float64), (1, 2))
        ties += np.tensordot(share, tied.astype(np.float64), (1, 2))
    ties[:, np.arange(count), np.arange(count)] = 0
    return wins, ties


def _together(preferred: Reals) -> Places:
    """Return the largest set of models each of which is preferred to each other by some way."""
    if not len(preferred):
        return np.zeros(0, np.intp)
    labels = connected_components(csr_array(preferred > 0), connection="strong")[1]
    sizes = np.bincount(labels)
    found: Places = np.flatnonzero(labels == labels[sizes[labels].argmax()])
    return found if len(found) > 1 else np.zeros(0, np.intp)


def _all_together(preferred: Reals) -> bool:
    return len(_together(preferred)) == len(preferred)


def _fitted(wins: Reals, ties: Reals) -> Reals:
    """Return ratings of models that are tied together: float64, m, with mean 1000."""
    import evalica  # noqa: PLC0415 - of the extra `stats`

    count = len(wins)
    if not count:
        return np.zeros(0)
    pairs = list(combinations(range(count), 2))
    first, second = np.array(pairs).T
    parts = (
        (wins[first, second], evalica.Winner.X),
        (wins[second, first], evalica.Winner.Y),
        (ties[first, second], evalica.Winner.Draw),
    )
    found = evalica.bradley_terry(
        np.tile(first, 3).tolist(),
        np.tile(second, 3).tolist(),
        [winner for _, winner in parts for _ in pairs],
        weights=np.concatenate([numbers for numbers, _ in parts]).tolist(),
        tie_weight=0.5,
        tolerance=1e-10,
        limit=10_000,
    )
    strengths = found.scores.reindex(range(count)).to_numpy(np.float64)
    ratings = 400 * np.log10(np.maximum(strengths, 1e-300))
    return np.asarray(ratings - ratings.mean() + MEAN, np.float64)


def _ranks(ratings: Reals, lower: Reals, upper: Reals) -> tuple[Places, Places, Places]:
    """Return ranks, and the range of ranks that intervals allow, as Chatbot Arena does."""
    known: Mask = ~np.isnan(ratings)
    with np.errstate(invalid="ignore"):
        ranks = 1 + (ratings[None] > ratings[:, None] + _EQUAL).sum(axis=1)
        best = 1 + (lower[None] > upper[:, None]).sum(axis=1)
        worst = known.sum() - (upper[None] < lower[:, None]).sum(axis=1)
    return (
        np.where(known, ranks, 0).astype(np.intp),
        np.where(known, best, 0).astype(np.intp),
        np.where(known, worst, 0).astype(np.intp),
    )
