"""Which known models a guess rests on.

The mean of a Gaussian process is a weighted sum over the known models (Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, section 2.6, the equivalent kernel). Each dimension
has weights of its own; told is their mean, by how much of each dimension is explained.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.coldstart.pca import Reals

STRONGEST = 5
"""Known models told of each guess."""

TOGETHER = 32
"""Known models whose largest weight tells whether one of them can be among the strongest."""

LEAST_BELIEVED = 0.01
"""Share of a feature that has to be believed for it to count: most are noise, and cost time."""


class Strongest(NamedTuple):
    """The known models that weigh most in each of n guesses, heaviest first.

    Attributes:
        places: int64, n x k: of the known models.
        weights: float32, n x k: by how much the guess moves when that model's vector moves by 1;
            below 0 where it counters another one.
    """

    places: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """What it takes to tell the weights of M known models.

    Attributes:
        kept: int64, g: places, of f, of the features that weigh anything.
        features: float32, g x M: those of the known models, by their weight.
    """

    kept: NDArray[np.int64]
    features: NDArray[np.float32]

    @classmethod
    def of(
        cls, features: NDArray[np.floating[Any]], spread: Reals, slopes: Reals, noise: Reals
    ) -> "Influence":
        """Return the influence of models.

        Args:
            features: M x f, independent, of the known models.
            spread: f, sums of their squares.
            slopes: f x r, inner products with the vectors.
            noise: r, ratio to the signal; inf where features tell nothing.
        """
        weights = 1 / (spread[:, None] + noise)
        explained = (slopes**2 * weights).sum(0)
        mean = weights @ (explained / max(float(explained.sum()), 1e-30))
        # By how much of itself each feature is believed, from 0 to 1.
        kept = np.flatnonzero(mean * spread >= LEAST_BELIEVED)
        told = features[:, kept] * mean[kept]
        return cls(kept.astype(np.int64), np.asarray(told.T, np.float32, order="C"))

    def strongest(self, features: NDArray[np.float32]) -> Strongest:
        """Return the known models that weigh most.

        Args:
            features: float32, n x f, of the models that were guessed.
        """
        weights = features[:, self.kept] @ self.features
        most = min(STRONGEST, weights.shape[1])
        size = np.abs(weights)
        places = _largest(size, most)
        order = np.argsort(-np.take_along_axis(size, places, axis=1), axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        return Strongest(places.astype(np.int64), np.take_along_axis(weights, places, axis=1))


def _largest(size: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Return the places of the largest of each row, n x most.

    They are in those groups whose own largest are: hardly a tenth of all need be ranked.
    """
    rows, columns = size.shape
    groups = -(-columns // TOGETHER)
    if groups <= 2 * most:
        return np.argpartition(size, -most, axis=1)[:, -most:]
    padded = np.full((rows, groups * TOGETHER), -1, np.float32)
    padded[:, :columns] = size
    # A group is every so manieth model: its largest is then taken of whole rows at once.
    grouped = padded.reshape(rows, TOGETHER, groups)
    chosen = np.argpartition(grouped.max(axis=1), -most, axis=1)[:, -most:]
    some = np.take_along_axis(grouped, chosen[:, None], axis=2).reshape(rows, -1)
    inside = np.argpartition(some, -most, axis=1)[:, -most:]
    group = np.take_along_axis(chosen, inside % most, axis=1)
    return np.asarray(inside // most * groups + group, np.intp)
