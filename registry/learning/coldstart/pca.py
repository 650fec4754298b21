"""Principal components of outcomes: model vectors and item loadings of a linear factor model.

P(m is right on i) = mean_i + z_m . loading_i (Tipping and Bishop, Probabilistic Principal Component
Analysis, 1999). The model is linear, so the expected outcome of an uncertain vector is the outcome
of its mean; a logistic model would need the vector's whole distribution.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Reals

Outcomes: TypeAlias = NDArray[np.floating[Any]]

LEAST = 0.005
"""Least predicted probability; the greatest is 1 minus it."""

RANK = 24
"""Components at most: more do not help to predict another model, and make fold-in slower."""

LEAST_NOISE = 2e-3
"""Least residual variance of an outcome, given the components."""

IMPUTATIONS = 8
"""Rounds in which unobserved outcomes are imputed by the components (Mazumder et al. 2010)."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Linear factors of N items.

    Attributes:
        means: float64, N: mean outcome over the models.
        loadings: float64, N x r, orthonormal columns, by falling variance.
        noise: float64, N: residual variance of an outcome, given the components.
    """

    means: Reals
    loadings: Reals
    noise: Reals

    @property
    def share(self) -> Reals:
        """Return the noise of an outcome as a share of p (1 - p), float64, N, up to 1."""
        total = np.maximum(self.means * (1 - self.means), LEAST)
        return np.minimum(self.noise / total, 1.0)

    def probabilities(self, vectors: Reals) -> Reals:
        """Return probabilities, n x N, of models by their vectors, n x r."""
        linear = self.means + vectors @ self.loadings.T
        probabilities: Reals = np.clip(linear, LEAST, 1 - LEAST)
        return probabilities

    def only(self, items: NDArray[np.intp]) -> "Components":
        """Return the factors of a subset of items; their loadings are no longer orthonormal."""
        return Components(self.means[items], self.loadings[items], self.noise[items])


def decompose(outcomes: Outcomes, rank: int = RANK) -> tuple[Components, Reals]:
    """Return components of items, and vectors of models, float64, M x r.

    Args:
        outcomes: M x N, in [0, 1]; nan where not observed. Unobserved ones are imputed by item
            means and model levels first, then by the components.
        rank: r; reduced to a third of the models, and to the number of items.

    Raises:
        UsageError: where nothing is observed, or an outcome is out of range.
    """
    observed = ~np.isnan(outcomes)
    if not observed.any():
        raise UsageError("There are no outcomes to take components of.")
    values = np.where(observed, outcomes, 0).astype(np.float64)
    if values.min() < 0 or values.max() > 1:
        raise UsageError("Outcomes must be within 0 and 1.")
    rank = max(1, min(rank, len(outcomes) // 3, outcomes.shape[1]))
    overall = values.sum() / observed.sum()
    # The mean of an item with few outcomes is shrunk towards that of all items.
    means = (values.sum(0) + overall) / (observed.sum(0) + 1)
    if observed.all():
        means = values.mean(0)
    centred = np.where(observed, values - means, 0)
    levels = centred.sum(1, keepdims=True) / (observed.sum(1, keepdims=True) + 1)
    filled = np.where(observed, centred, levels)
    vectors, loadings = _principal(filled, rank)
    for _ in range(0 if observed.all() else IMPUTATIONS):
        filled = np.where(observed, centred, vectors @ loadings.T)
        vectors, loadings = _principal(filled, rank)
    residuals = np.where(observed, centred - vectors @ loadings.T, 0)
    # The components are fitted to these outcomes: their residuals understate the noise.
    correction = max(len(outcomes) / max(len(outcomes) - rank, 1), 1.0)
    noise = (residuals**2).sum(0) / np.maximum(observed.sum(0), 1) * correction
    return Components(means, loadings, np.maximum(noise, LEAST_NOISE)), vectors


def _principal(centred: Reals, rank: int) -> tuple[Reals, Reals]:
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    return left[:, :rank] * values[:rank], right[:rank].T
