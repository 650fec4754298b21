"""Local part of the prior of abilities: what the most similar models with scores have in common.

Features of bounded number are smooth: they say little of two merges of the same parents. Beside the
linear function of features, a Gaussian process with a short length explains what is left of the
abilities, from each model's nearest neighbours (Vecchia's approximation: Datta et al. 2016,
Hierarchical Nearest-Neighbor Gaussian Process Models for Large Geostatistical Datasets).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Places, Reals

NEIGHBOURS = 16
"""Nearest models, at most."""

LENGTHS = (0.1, 0.2, 0.4)
"""Candidate lengths of the process, in units of the features' root mean square length."""

SHARES = (0.3, 0.6, 0.85, 0.95, 0.99)
"""Candidate shares of the variance around the linear function that the process explains."""

TRIED_ON = 800
"""Models on which length and share are chosen."""

AT_ONCE = 1024
"""Models compared with all others at a time: bounds memory."""

LEAST_MODELS = 30
"""Models with scores, from which on neighbours are used."""

LEAST_LEFT = 0.25
"""Least share of the variance around the linear function that any neighbours leave."""

LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class LocalPrior:
    """Process of what a linear function of features leaves of n vectors of d dimensions.

    Attributes:
        features: float64, n x f.
        left: float64, n x d: the vectors minus the linear function.
        uncertain: float64, n x d: their posterior variances.
        noise: float64, d: variance around the linear function.
        lengths: float64, d.
        shares: float64, d: of `noise` that the process explains; 0 turns a dimension off.
    """

    features: Reals
    left: Reals
    uncertain: Reals
    noise: Reals
    lengths: Reals
    shares: Reals

    @classmethod
    def of(
        cls, features: Reals, left: Reals, uncertain: Reals, noise: Reals, errors: Reals
    ) -> Self:
        """Choose length and share of each dimension by absolute leave-one-out errors.

        Args:
            features: n x f.
            left: n x d, vectors minus the linear function.
            uncertain: n x d, their variances.
            noise: d, variance around the linear function.
            errors: n x d, vectors minus the linear function that leaves each of them out.
        """
        count, size = left.shape
        prior = cls(features, left, uncertain, noise, np.ones(size), np.zeros(size))
        scale = float((features**2).sum(axis=1).mean())
        if count < LEAST_MODELS or scale < LEAST**2:
            return prior
        tried = np.sort(np.random.default_rng(0).permutation(count)[:TRIED_ON])
        near, squared = prior._neighbours(features[tried], tried)
        weights = 1 / np.sqrt(noise + uncertain[tried])
        least = (weights * np.abs(errors[tried])).sum(axis=0)
        for length in np.sqrt(scale) * np.array(LENGTHS):
            for share in SHARES:
                fixed = cls(
                    features, left, uncertain, noise, np.full(size, length), np.full(size, share)
                )
                mean, _ = fixed._process(near, squared)
                error = (weights * np.abs(errors[tried] - mean)).sum(axis=0)
                better = error < least
                least = np.where(better, error, least)
                prior.lengths[better], prior.shares[better] = length, share
        return prior

    def others(self) -> tuple[Reals, Reals]:
        """Return what neighbours add to each known vector's mean and take off its variance."""
        return self._predicted(self.features, np.arange(len(self.features)))

    def predict(self, features: Reals) -> tuple[Reals, Reals]:
        """Return what neighbours add to the means of n rows and take off their variances, n x d.

        Args:
            features: n x f.
        """
        return self._predicted(features, np.full(len(features), -1))

    def weights(self, features: Reals, own: int = -1) -> Reals:
        """Return the weights of the known vectors in what neighbours add to one row, n x d.

        Args:
            features: f.
            own: the known vector that is the row's own and left out; -1 for none.
        """
        weights = np.zeros_like(self.left)
        if self.shares.any():
            near, squared = self._neighbours(features[None], np.array([own]))
            for dimension in np.flatnonzero(self.shares):
                weights[near[0], dimension] = self._solved(near, squared, int(dimension))[0][0]
        return weights

    def near(self, features: Reals, own: Places, worth: Reals) -> tuple[Places, Reals]:
        """Return the neighbours of n rows, n x s, and their weights over dimensions, n x s.

        Args:
            features: n x f.
            own: n, the known vector that is the row's own and left out; -1 for none.
            worth: d, weights of the dimensions.
        """
        near = np.zeros((len(features), 0), np.intp)
        weights = np.zeros(near.shape)
        if self.shares.any():
            near, squared = self._neighbours(features, own)
            weights = np.zeros(near.shape)
            for dimension in np.flatnonzero(self.shares):
                weights += worth[dimension] * self._solved(near, squared, int(dimension))[0]
        return near, weights

    def _predicted(self, features: Reals, own: Places) -> tuple[Reals, Reals]:
        mean, taken = np.zeros((2, len(features), self.left.shape[1]))
        if not self.shares.any():
            return mean, taken
        for start in range(0, len(features), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            near, squared = self._neighbours(features[part], own[part])
            mean[part], taken[part] = self._process(near, squared)
        return mean, taken

    def _neighbours(self, features: Reals, own: Places) -> tuple[Places, tuple[Reals, Reals]]:
        """Return the nearest known models, and squared distances to them and among them."""
        # Single precision: twice as fast, and exact enough for distances.
        known, rows = self.features.astype(np.float32), features.astype(np.float32)
        lengths = (known**2).sum(axis=1)
        near = np.empty((len(rows), min(NEIGHBOURS, len(known) - 1)), np.intp)
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            distance = lengths - 2 * (rows[part] @ known.T)
            itself = np.flatnonzero(own[part] >= 0)
            distance[itself, own[part][itself]] = np.inf
            near[part] = np.argpartition(distance, near.shape[1] - 1, axis=1)[:, : near.shape[1]]
        around = known[near] - rows[:, None]
        products = (around @ around.transpose(0, 2, 1)).astype(np.float64)
        towards = np.einsum("nii->ni", products)
        among = towards[:, :, None] + towards[:, None] - 2 * products
        return near, (towards, np.maximum(among, 0))

    def _process(self, near: Places, squared: tuple[Reals, Reals]) -> tuple[Reals, Reals]:
        mean, taken = np.zeros((2, len(near), self.left.shape[1]))
        for dimension in np.flatnonzero(self.shares):
            weights, kernel = self._solved(near, squared, int(dimension))
            mean[:, dimension] = (weights * self.left[near, dimension]).sum(axis=1)
            explained = (weights * kernel).sum(axis=1)
            most = self.noise[dimension] * (1 - LEAST_LEFT)
            taken[:, dimension] = np.minimum(explained, most)
        return mean, taken

    def _solved(
        self, near: Places, squared: tuple[Reals, Reals], dimension: int
    ) -> tuple[Reals, Reals]:
        """Return the weights of the neighbours, and their covariances with the row."""
        signal = self.noise[dimension] * self.shares[dimension]
        scale = 2 * self.lengths[dimension] ** 2
        kernel, among = (signal * np.exp(-each / scale) for each in squared)
        diagonal = np.arange(near.shape[1])
        own = self.noise[dimension] - signal + self.uncertain[near, dimension] + LEAST
        among[:, diagonal, diagonal] += own
        return np.linalg.solve(among, kernel[:, :, None])[:, :, 0], kernel
