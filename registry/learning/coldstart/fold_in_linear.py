"""Vectors of models with a few outcomes: what was believed of them, corrected by what was seen.

A linear-Gaussian update in the space of components against frozen item factors (Bishop, Pattern
Recognition and Machine Learning, 2006, section 2.3.3); METHODS.md section 2, fold-in. The noise of
an outcome is what components leave over of its item, as the share of p (1 - p): what a strong model
gets right tells little. So the update is made again with the chances that it found.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.coldstart.gp import Guess
from registry.learning.coldstart.pca import LEAST, Components, Reals

LEAST_VARIANCE = 1e-9

ROUNDS = 3
"""Updates: one with the items' mean noise, the others with that of the model's own chances."""

SUREST = 0.15
"""Least chance, and greatest chance of failure, that the noise of an outcome is taken at."""


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Vectors after outcomes were seen.

    Attributes:
        mean: float64, n x r.
        covariance: float64, n x r x r.
        counts: int64, n: outcomes that each was fitted to; 0 leaves the guess as it was.
    """

    mean: Reals
    covariance: Reals
    counts: NDArray[np.int64]

    @property
    def variance(self) -> Reals:
        """Return float64, n x r, of each dimension by itself."""
        return np.asarray(np.diagonal(self.covariance, axis1=1, axis2=2))


@dataclass(frozen=True, slots=True, eq=False)
class Accuracy:
    """Mean outcome of n models over some items.

    Attributes:
        mean: float64, n, in [0, 1].
        deviation: float64, n: standard deviation of what would be observed on those items.
    """

    mean: Reals
    deviation: Reals


def fold(guess: Guess, components: Components, outcomes: NDArray[np.floating[Any]]) -> Folded:
    """Return vectors of n models after some outcomes; linear in the number of outcomes.

    Args:
        guess: what is believed without them, of n models.
        components: of N items.
        outcomes: n x N, in [0, 1]; nan where not observed.

    Raises:
        UsageError: when an outcome is out of range.
        ValueError: when shapes differ.
    """
    if outcomes.shape != (len(guess.mean), len(components.means)):
        raise ValueError(f"There are outcomes {outcomes.shape} for other models or items.")
    seen = ~np.isnan(outcomes)
    if seen.any() and not (outcomes[seen].min() >= 0 and outcomes[seen].max() <= 1):
        raise UsageError("Outcomes must be within 0 and 1.")
    mean = guess.mean.copy()
    variance = np.maximum(guess.variance, LEAST_VARIANCE)
    covariance = unfolded(guess).covariance
    for model in np.flatnonzero(seen.any(axis=1)):
        items = np.flatnonzero(seen[model])
        some, told = components.only(items), outcomes[model, items].astype(np.float64)
        mean[model], covariance[model] = _updated(mean[model], variance[model], some, told)
    return Folded(mean, covariance, seen.sum(axis=1))


def _updated(
    before: Reals, variance: Reals, components: Components, told: Reals
) -> tuple[Reals, Reals]:
    """Return mean, r, and covariance, r x r, after all outcomes of one model were seen."""
    loadings = components.loadings
    noise: Reals = components.noise
    surprise = told - components.means - loadings @ before
    after: Reals = before
    covariance: Reals = np.diag(variance)
    for _ in range(ROUNDS):
        weighted = loadings / noise[:, None]
        precision = np.diag(1 / variance) + weighted.T @ loadings
        covariance = np.asarray(np.linalg.inv(precision), np.float64)
        after = before + covariance @ (weighted.T @ surprise)
        chances = np.clip(components.means + loadings @ after, SUREST, 1 - SUREST)
        noise = np.asarray(components.share * chances * (1 - chances), np.float64)
    return after, covariance


def unfolded(guess: Guess) -> Folded:
    """Return a guess as vectors that have seen no outcome."""
    shape = (*guess.mean.shape, guess.mean.shape[1])
    covariance = np.zeros(shape)
    every = np.arange(shape[1])
    covariance[:, every, every] = guess.variance
    return Folded(guess.mean, covariance, np.zeros(shape[0], np.int64))


def accuracy(
    vectors: Folded, components: Components, outcomes: NDArray[np.floating[Any]]
) -> Accuracy:
    """Return the mean outcome over all N items, those that were observed as they are.

    Args:
        vectors: of n models.
        components: of N items; take `Components.only` for those of one benchmark.
        outcomes: n x N; nan where not observed.
    """
    seen = ~np.isnan(outcomes)
    if not seen.shape[1]:
        raise UsageError("There is no item to be right on.")
    believed = np.clip(components.probabilities(vectors.mean), LEAST, 1 - LEAST)
    mean = np.where(seen, outcomes, believed).mean(axis=1)
    unseen = (~seen).astype(np.float64) / seen.shape[1]
    towards = unseen @ components.loadings
    spread = np.einsum("nr,nrs,ns->n", towards, vectors.covariance, towards)
    noise = components.share * believed * (1 - believed)
    deviation = np.sqrt(spread + (unseen**2 * noise).sum(axis=1))
    return Accuracy(np.asarray(mean, np.float64), np.asarray(deviation, np.float64))
