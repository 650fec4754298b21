"""Prior of vectors given features: ridge regression a dimension, with learned variances."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Reals

NEGLIGIBLE = 1e-9
"""Eigenvalues below this share of the largest count as zero."""

LEAST_SHARE = 1e-3
"""Least part of a row's prior variance that its own features leave open."""

LEAST_NOISE = 1e-5

PRIOR_WEIGHT = 2.0
"""Rows that the expected variances are worth."""


@dataclass(slots=True, eq=False)
class FeaturePrior:
    """Prior of n vectors of d dimensions: a mean, a linear function of features, and noise.

    Ridge regression is a Gaussian process with a linear kernel (Rasmussen and Williams 2006,
    section 2.1). Its axes are those of the features, where each dimension costs O(n f).

    Attributes:
        axes: float64, f x e: maps features to orthogonal ones.
        orthogonal: float64, n x e: orthogonal features.
        spread: float64, e: sums of squares of the orthogonal features.
        mean: float64, d.
        slopes: float64, e x d: posterior mean of the slopes.
        noise: float64, d: variance around the function.
        signal: float64, d: prior variance of a slope.
        expected: noise and signal, float64, d each, that learned ones are drawn towards.
    """

    axes: Reals
    orthogonal: Reals
    spread: Reals
    mean: Reals
    slopes: Reals
    noise: Reals
    signal: Reals
    expected: tuple[Reals, Reals]

    @classmethod
    def of(
        cls, features: Reals, noise: Reals, signal: Reals, *, expected: tuple[Reals, Reals]
    ) -> Self:
        """Return the prior before any vector is known, of mean 0.

        Args:
            features: n x f, of mean 0.
            noise: d, initial.
            signal: d, initial.
            expected: noise and signal, d each, that learned ones are drawn towards.
        """
        values, vectors = np.linalg.eigh(features.T @ features)
        kept = values > NEGLIGIBLE * max(float(values.max(initial=0)), NEGLIGIBLE)
        axes = vectors[:, kept]
        slopes = np.zeros((int(kept.sum()), len(noise)))
        return cls(
            axes,
            features @ axes,
            values[kept],
            np.zeros(len(noise)),
            slopes,
            noise.copy(),
            signal.copy(),
            expected,
        )

    @property
    def gains(self) -> Reals:
        """Inverse of the slopes' precision in units of the noise, e x d."""
        return np.asarray(1 / (self.spread[:, None] + self.noise / self.signal))

    def means(self) -> Reals:
        """Return the prior means of the n vectors, n x d, their own values included."""
        return np.asarray(self.mean + self.orthogonal @ self.slopes)

    def leverages(self) -> Reals:
        """Return the weight of each vector in its own prior mean, n x d, in [0, 1)."""
        own = self.orthogonal**2 @ self.gains
        return np.minimum(own, 1 - LEAST_SHARE)

    def others(self, vectors: Reals) -> tuple[Reals, Reals]:
        """Return mean and variance of each vector given all others, n x d each.

        The leave-one-out formulas of Rasmussen and Williams 2006, section 5.4.2.

        Args:
            vectors: n x d.
        """
        share = 1 - self.leverages()
        own = vectors - self.mean
        mean = self.mean + (self.orthogonal @ self.slopes - (1 - share) * own) / share
        return np.asarray(mean), np.asarray(self.noise / share)

    def predict(self, features: Reals) -> tuple[Reals, Reals]:
        """Return mean and variance of the vectors of n other rows, n x d each.

        Args:
            features: n x f.
        """
        orthogonal = features @ self.axes
        variance = self.noise * (1 + orthogonal**2 @ self.gains)
        return np.asarray(self.mean + orthogonal @ self.slopes), np.asarray(variance)

    def weights(self, features: Reals) -> Reals:
        """Return the weights of the n known vectors in the prior mean of one other, n x d.

        Args:
            features: f.
        """
        return np.asarray(self.orthogonal @ ((features @ self.axes)[:, None] * self.gains))

    def learn(self, vectors: Reals, variances: Reals, *, pull: Reals) -> None:
        """Update mean, slopes and variances by the vectors' posterior (expectation maximization).

        Args:
            vectors: n x d, posterior means.
            variances: n x d, posterior variances.
            pull: d, rows that a mean of 0 is worth.
        """
        count = len(vectors)
        self.mean = (vectors - self.orthogonal @ self.slopes).sum(axis=0) / (count + pull)
        centred = vectors - self.mean
        gains = self.gains
        self.slopes = gains * (self.orthogonal.T @ centred)
        noise, signal = self.expected
        size = len(self.spread)
        if size:
            squares = (self.slopes**2).sum(axis=0) + self.noise * gains.sum(axis=0)
            self.signal = (squares + PRIOR_WEIGHT * signal) / (size + PRIOR_WEIGHT)
        left = ((centred - self.orthogonal @ self.slopes) ** 2 + variances).sum(axis=0)
        left += self.noise * (self.spread @ gains)
        self.noise = np.maximum((left + PRIOR_WEIGHT * noise) / (count + PRIOR_WEIGHT), LEAST_NOISE)

    def transform(self, matrix: Reals) -> None:
        """Change to the coordinates `vectors @ matrix.T`; variances keep their diagonals.

        Args:
            matrix: d x d.
        """
        self.mean = matrix @ self.mean
        self.slopes = self.slopes @ matrix.T
        self.noise = np.maximum(matrix**2 @ self.noise, LEAST_NOISE)
        self.signal = matrix**2 @ self.signal
