"""Fold-in in the space of principal components, and the mean outcome that it predicts.

A linear-Gaussian update with frozen item factors (Bishop, Pattern Recognition and Machine Learning,
2006, section 2.3.3; METHODS.md section 2, fold-in). The noise of an outcome is the residual share
of its item times p (1 - p): an easy item says little about a strong model. So the update is
repeated with the probabilities of the last one.

`fold_in` is what placement uses. This module and the calibration of its intervals serve the
prediction of mean outcomes with intervals, which only tests and benchmarks call so far.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.pca import LEAST, Components

LEAST_VARIANCE = 1e-9

ROUNDS = 3
"""Updates: the first with the items' mean noise, the others with that of the model's own p."""

SUREST = 0.15
"""Bound of p, and of 1 - p, in the noise of an outcome."""


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Posterior of n model vectors.

    Attributes:
        mean: float64, n x r.
        covariance: float64, n x r x r.
        counts: int64, n: outcomes of each model; with 0 the posterior is the prior.
    """

    mean: Reals
    covariance: Reals
    counts: NDArray[np.int64]

    @property
    def variance(self) -> Reals:
        """Return the marginal variances, float64, n x r."""
        return np.asarray(np.diagonal(self.covariance, axis1=1, axis2=2))


@dataclass(frozen=True, slots=True, eq=False)
class Accuracy:
    """Predicted mean outcome of n models over a set of items.

    Attributes:
        mean: float64, n, in [0, 1].
        deviation: float64, n: standard deviation of the mean outcome that would be observed.
    """

    mean: Reals
    deviation: Reals


def fold(
    prior: VectorEstimate, components: Components, outcomes: NDArray[np.floating[Any]]
) -> Folded:
    """Return the posterior of n models' vectors; the cost is linear in the outcomes.

    Args:
        prior: predicted vectors of n models.
        components: of N items.
        outcomes: n x N, in [0, 1]; nan where not observed.

    Raises:
        UsageError: for an outcome out of range.
        ValueError: for shapes that differ.
    """
    if outcomes.shape != (len(prior.mean), len(components.means)):
        raise ValueError(f"There are outcomes {outcomes.shape} for other models or items.")
    observed = ~np.isnan(outcomes)
    if observed.any() and not (outcomes[observed].min() >= 0 and outcomes[observed].max() <= 1):
        raise UsageError("Outcomes must be within 0 and 1.")
    mean = prior.mean.copy()
    variance = np.maximum(prior.variance, LEAST_VARIANCE)
    covariance = unfolded(prior).covariance
    for model in np.flatnonzero(observed.any(axis=1)):
        items = np.flatnonzero(observed[model])
        mean[model], covariance[model] = _updated(
            mean[model],
            variance[model],
            components.only(items),
            outcomes[model, items].astype(np.float64),
        )
    return Folded(mean, covariance, observed.sum(axis=1))


def _updated(
    centre: Reals, variance: Reals, components: Components, outcomes: Reals
) -> tuple[Reals, Reals]:
    """Return mean, r, and covariance, r x r, of one model's posterior."""
    loadings = components.loadings
    noise: Reals = components.noise
    innovation = outcomes - components.means - loadings @ centre
    mean: Reals = centre
    covariance: Reals = np.diag(variance)
    for _ in range(ROUNDS):
        weighted = loadings / noise[:, None]
        precision = np.diag(1 / variance) + weighted.T @ loadings
        covariance = np.asarray(np.linalg.inv(precision), np.float64)
        mean = centre + covariance @ (weighted.T @ innovation)
        p = np.clip(components.means + loadings @ mean, SUREST, 1 - SUREST)
        noise = np.asarray(components.share * p * (1 - p), np.float64)
    return mean, covariance


def unfolded(prior: VectorEstimate) -> Folded:
    """Return predicted vectors as a posterior without outcomes."""
    shape = (*prior.mean.shape, prior.mean.shape[1])
    covariance = np.zeros(shape)
    diagonal = np.arange(shape[1])
    covariance[:, diagonal, diagonal] = prior.variance
    return Folded(prior.mean, covariance, np.zeros(shape[0], np.int64))


def accuracy(
    vectors: Folded, components: Components, outcomes: NDArray[np.floating[Any]]
) -> Accuracy:
    """Predict the mean outcome over N items, of which observed outcomes count as they are.

    Args:
        vectors: of n models.
        components: of N items; `Components.only` gives those of one benchmark.
        outcomes: n x N; nan where not observed.
    """
    observed = ~np.isnan(outcomes)
    if not observed.shape[1]:
        raise UsageError("There is no item to be right on.")
    p = np.clip(components.probabilities(vectors.mean), LEAST, 1 - LEAST)
    mean = np.where(observed, outcomes, p).mean(axis=1)
    weights = (~observed).astype(np.float64) / observed.shape[1]
    direction = weights @ components.loadings
    variance = np.einsum("nr,nrs,ns->n", direction, vectors.covariance, direction)
    noise = components.share * p * (1 - p)
    deviation = np.sqrt(variance + (weights**2 * noise).sum(axis=1))
    return Accuracy(np.asarray(mean, np.float64), np.asarray(deviation, np.float64))
