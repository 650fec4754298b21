"""Prior of vectors given features: ridge regression a dimension, with learned variances."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Places, Reals

LEAST_SHARE = 1e-3
"""Least part of a row's prior variance that its own features leave open."""

LEAST_VARIANCE = 1e-5


@dataclass(slots=True, eq=False)
class FeaturePrior:
    """Prior of n vectors of d dimensions: a mean, a linear function of features, and noise.

    Ridge regression is a Gaussian process with a linear kernel (Rasmussen and Williams 2006,
    section 2.1). Features are of g groups, whose slopes have variances of their own in each
    dimension: weights of kernels, learned.

    Attributes:
        features: float64, n x f.
        groups: intp, f: group of each feature, from 0.
        products: float64, f x f: inner products of features.
        mean: float64, d.
        slopes: float64, f x d: posterior mean of the slopes.
        inverses: float64, d x f x f: posterior covariances of slopes, in units of the noise.
        noise: float64, d: variance around the function.
        signal: float64, g x d: prior variance of a slope.
        expected: noise, d, and signal, g x d, that learned ones are drawn towards.
        weight: rows, or features, that the expected variances are worth.
    """

    features: Reals
    groups: Places
    products: Reals
    mean: Reals
    slopes: Reals
    inverses: Reals
    noise: Reals
    signal: Reals
    expected: tuple[Reals, Reals]
    weight: float

    @classmethod
    def of(
        cls,
        features: Reals,
        noise: Reals,
        signal: Reals,
        *,
        expected: tuple[Reals, Reals],
        groups: Places | None = None,
        weight: float = 1.0,
    ) -> Self:
        """Return the prior before any vector is known, of mean 0.

        Args:
            features: n x f, of mean 0.
            noise: d, initial.
            signal: d, initial, of all groups together.
            expected: noise and signal, d each, that learned ones are drawn towards.
            groups: f; None for one group.
            weight: rows, or features, that the expected variances are worth.
        """
        width, size = features.shape[1], len(noise)
        groups = np.zeros(width, np.intp) if groups is None else groups
        count = int(groups.max(initial=-1)) + 1
        several = np.ones((count, 1)) / max(count, 1)
        prior = cls(
            features,
            groups,
            features.T @ features,
            np.zeros(size),
            np.zeros((width, size)),
            np.zeros((size, width, width)),
            noise.copy(),
            several * signal,
            (expected[0], several * expected[1]),
            weight,
        )
        prior._invert()
        return prior

    def means(self) -> Reals:
        """Return the prior means of the n vectors, n x d, their own values included."""
        return np.asarray(self.mean + self.features @ self.slopes)

    def leverages(self) -> Reals:
        """Return the weight of each vector in its own prior mean, n x d, in [0, 1)."""
        return np.minimum(self._spreads(self.features), 1 - LEAST_SHARE)

    def others(self, vectors: Reals) -> tuple[Reals, Reals]:
        """Return mean and variance of each vector given all others, n x d each.

        The leave-one-out formulas of Rasmussen and Williams 2006, section 5.4.2.

        Args:
            vectors: n x d.
        """
        share = 1 - self.leverages()
        own = vectors - self.mean
        mean = self.mean + (self.features @ self.slopes - (1 - share) * own) / share
        return np.asarray(mean), np.asarray(self.noise / share)

    def predict(self, features: Reals) -> tuple[Reals, Reals]:
        """Return mean and variance of the vectors of n other rows, n x d each.

        Args:
            features: n x f.
        """
        variance = self.noise * (1 + self._spreads(features))
        return np.asarray(self.mean + features @ self.slopes), np.asarray(variance)

    def weights(self, features: Reals) -> Reals:
        """Return the weights of the n known vectors in the function at one other row, n x d.

        Args:
            features: f x d, of the row, in each dimension.
        """
        found = np.einsum("dij,jd->id", self.inverses, features)
        return np.asarray(self.features @ found)

    def learn(self, vectors: Reals, *, pull: Reals) -> None:
        """Update mean and slopes by the vectors' posterior means.

        Args:
            vectors: n x d, posterior means.
            pull: d, rows that a mean of 0 is worth.
        """
        left = vectors - self.features @ self.slopes
        self.mean = left.sum(axis=0) / (len(vectors) + pull)
        products = self.features.T @ (vectors - self.mean)
        self.slopes = np.einsum("dij,jd->id", self.inverses, products)

    def learn_variances(self, vectors: Reals, variances: Reals) -> None:
        """Update the variances by the vectors' posterior (expectation maximization).

        Args:
            vectors: n x d, posterior means.
            variances: n x d, posterior variances.
        """
        expected_noise, expected_signal = self.expected
        squares = self.slopes**2 + self.noise * np.einsum("dii->id", self.inverses)
        for group in range(len(self.signal)):
            own = self.groups == group
            total = squares[own].sum(axis=0) + self.weight * expected_signal[group]
            self.signal[group] = total / (own.sum() + self.weight)
        left = ((vectors - self.means()) ** 2 + variances).sum(axis=0)
        left += self.noise * np.einsum("dij,ij->d", self.inverses, self.products)
        left += self.weight * expected_noise
        self.noise = np.maximum(left / (len(vectors) + self.weight), LEAST_VARIANCE)
        self._invert()

    def transform(self, matrix: Reals) -> None:
        """Change to the coordinates `vectors @ matrix.T`; variances keep their diagonals.

        Args:
            matrix: d x d.
        """
        self.mean = matrix @ self.mean
        self.slopes = self.slopes @ matrix.T
        self.noise = np.maximum(matrix**2 @ self.noise, LEAST_VARIANCE)
        self.signal = self.signal @ (matrix**2).T

    def _spreads(self, features: Reals) -> Reals:
        """Return the posterior variance of the function, in units of the noise, n x d."""
        return np.stack(
            [np.einsum("ni,ni->n", features @ inverse, features) for inverse in self.inverses],
            axis=1,
        )

    def _invert(self) -> None:
        """Compute the inverses for the present variances."""
        width = len(self.groups)
        diagonal = np.arange(width)
        for dimension, noise in enumerate(self.noise):
            matrix = self.products.copy()
            signal = np.maximum(self.signal[self.groups, dimension], LEAST_VARIANCE**2)
            matrix[diagonal, diagonal] += noise / signal
            self.inverses[dimension] = np.linalg.inv(matrix)
