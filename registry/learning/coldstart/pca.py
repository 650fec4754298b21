"""Outcomes as vectors and back: the principal components of what outcomes leave over item means.

P(m is right on i) = mean_i + z_m . loading_i, a linear factor model (Tipping and Bishop,
Probabilistic Principal Component Analysis, 1999). Linear, so that the mean over models of what is
predicted is the prediction of the mean: where a vector is a guess among many, a logistic model
needs the whole distribution for that.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError

Reals: TypeAlias = NDArray[np.float64]
Outcomes: TypeAlias = NDArray[np.floating[Any]]

LEAST = 0.005
"""Least probability that is predicted; the greatest is 1 less it."""

RANK = 24
"""Components kept: more tell nothing of another model, and cost fold-in."""

LEAST_NOISE = 2e-3
"""Least variance of an outcome beside what its components tell."""

FILLINGS = 8
"""Rounds in which what was not observed is filled from what was (Mazumder et al. 2010)."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Factors of N items.

    Attributes:
        means: float64, N: share of models that are right.
        loadings: float64, N x r, orthonormal columns, by falling variance.
        noise: float64, N: variance of an outcome around what the components tell.
    """

    means: Reals
    loadings: Reals
    noise: Reals

    @property
    def share(self) -> Reals:
        """Return the share of p (1 - p) that the noise of an outcome is, float64, N, up to 1."""
        whole = np.maximum(self.means * (1 - self.means), LEAST)
        return np.minimum(self.noise / whole, 1.0)

    def probabilities(self, vectors: Reals) -> Reals:
        """Return probabilities, n x N, of models by their vectors, n x r."""
        found: Reals = np.clip(self.means + vectors @ self.loadings.T, LEAST, 1 - LEAST)
        return found

    def only(self, items: NDArray[np.intp]) -> "Components":
        """Return the factors of some items; their loadings are no longer orthonormal."""
        return Components(self.means[items], self.loadings[items], self.noise[items])


def decompose(outcomes: Outcomes, rank: int = RANK) -> tuple[Components, Reals]:
    """Return components of items, and vectors of models, float64, M x r.

    Args:
        outcomes: M x N, in [0, 1]; nan where not observed. Those are filled by item means and
            model levels at first, then by the components themselves.
        rank: r; at most a third of the models and no more than there are items.

    Raises:
        UsageError: where nothing was observed, or numbers are out of range.
    """
    seen = ~np.isnan(outcomes)
    if not seen.any():
        raise UsageError("There are no outcomes to take components of.")
    told = np.where(seen, outcomes, 0).astype(np.float64)
    if told.min() < 0 or told.max() > 1:
        raise UsageError("Outcomes must be within 0 and 1.")
    rank = max(1, min(rank, len(outcomes) // 3, outcomes.shape[1]))
    overall = told.sum() / seen.sum()
    # An item with few outcomes is believed to be like all items.
    means = (told.sum(0) + overall) / (seen.sum(0) + 1)
    if seen.all():
        means = told.mean(0)
    rest = np.where(seen, told - means, 0)
    levels = rest.sum(1, keepdims=True) / (seen.sum(1, keepdims=True) + 1)
    filled = np.where(seen, rest, levels)
    vectors, loadings = _principal(filled, rank)
    for _ in range(0 if seen.all() else FILLINGS):
        filled = np.where(seen, rest, vectors @ loadings.T)
        vectors, loadings = _principal(filled, rank)
    left = np.where(seen, rest - vectors @ loadings.T, 0)
    # Components were fitted to the very outcomes; what is left over understates the noise.
    free = max(len(outcomes) / max(len(outcomes) - rank, 1), 1.0)
    noise = (left**2).sum(0) / np.maximum(seen.sum(0), 1) * free
    return Components(means, loadings, np.maximum(noise, LEAST_NOISE)), vectors


def _principal(rest: Reals, rank: int) -> tuple[Reals, Reals]:
    left, values, right = np.linalg.svd(rest, full_matrices=False)
    return left[:, :rank] * values[:rank], right[:rank].T
