"""Influence of known models on a prediction.

The mean of a Gaussian process is a weighted sum over the known models (Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, section 2.6, the equivalent kernel). Each dimension
has its own weights; reported is their mean, weighted by the explained variance of each dimension.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Reals

STRONGEST = 5
"""Known models reported for each prediction."""

TOGETHER = 32
"""Known models in a group, whose largest weight decides whether it is searched."""

LEAST_SHRINKAGE = 0.01
"""Shrinkage factor below which a feature is left out: most are noise, and cost time."""


class Strongest(NamedTuple):
    """The known models with the largest weights in each of n predictions, largest first.

    Attributes:
        places: int64, n x k: indices of the known models.
        weights: float32, n x k: change of the prediction when that model's vector changes by 1;
            it may be negative.
    """

    places: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """Weighted kernel features of M known models.

    Attributes:
        kept: int64, g: indices, of f, of the features that are used.
        features: float32, g x M: those of the known models, times their weights.
    """

    kept: NDArray[np.int64]
    features: NDArray[np.float32]

    @classmethod
    def of(
        cls, features: NDArray[np.floating[Any]], spread: Reals, slopes: Reals, noise: Reals
    ) -> "Influence":
        """Return the influence of known models.

        Args:
            features: M x f, orthogonal, of the known models.
            spread: f, sums of their squares.
            slopes: f x r, inner products with the vectors.
            noise: r, ratio to the signal; inf where there is none.
        """
        weights = 1 / (spread[:, None] + noise)
        explained = (slopes**2 * weights).sum(0)
        mean = weights @ (explained / max(float(explained.sum()), 1e-30))
        # `mean * spread` is the shrinkage factor of each feature, from 0 to 1.
        kept = np.flatnonzero(mean * spread >= LEAST_SHRINKAGE)
        weighted = features[:, kept] * mean[kept]
        return cls(kept.astype(np.int64), np.asarray(weighted.T, np.float32, order="C"))

    def strongest(self, features: NDArray[np.float32]) -> Strongest:
        """Return the known models with the largest weights.

        Args:
            features: float32, n x f, of the predicted models.
        """
        weights = features[:, self.kept] @ self.features
        most = min(STRONGEST, weights.shape[1])
        size = np.abs(weights)
        places = _largest(size, most)
        order = np.argsort(-np.take_along_axis(size, places, axis=1), axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        return Strongest(places.astype(np.int64), np.take_along_axis(weights, places, axis=1))


def _largest(size: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Return the indices of the largest entries of each row, n x most.

    They are in the groups with the largest maxima, so hardly a tenth of all entries are ranked.
    """
    rows, columns = size.shape
    groups = -(-columns // TOGETHER)
    if groups <= 2 * most:
        return np.argpartition(size, -most, axis=1)[:, -most:]
    padded = np.full((rows, groups * TOGETHER), -1, np.float32)
    padded[:, :columns] = size
    # A group is strided, every `groups`-th model, so that its maximum is over whole rows.
    grouped = padded.reshape(rows, TOGETHER, groups)
    chosen = np.argpartition(grouped.max(axis=1), -most, axis=1)[:, -most:]
    candidates = np.take_along_axis(grouped, chosen[:, None], axis=2).reshape(rows, -1)
    inside = np.argpartition(candidates, -most, axis=1)[:, -most:]
    group = np.take_along_axis(chosen, inside % most, axis=1)
    return np.asarray(inside // most * groups + group, np.intp)
