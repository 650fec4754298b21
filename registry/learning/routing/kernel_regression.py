"""Kernel regression of outcomes on prompts' vectors, over landmarks, so that SQL can serve it.

A Gaussian process for all models with one kernel, in the span of landmark items (Nystroem).
Residuals are rotated onto principal components, so that what all models have in common, an item's
difficulty, and what tells them apart each have their own ratio of signal to noise, by marginal
likelihood (Rasmussen and Williams 2006, sections 5.4 and 8.1). A prediction is an inner product of
a model's weights with the prompt's kernel to the landmarks.
"""

from dataclasses import dataclass

import numpy as np
import torch

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Matrix
from registry.learning.factorization.ridge import ridge
from registry.learning.factorization.text_gp import principal_components

LANDMARKS = 800
"""Items whose kernel functions span the regression, at most."""

WIDTH = 1.5
"""Inverse squared length scale; the squared distance of two vectors of length 1 is 0 to 4."""

_LEAST_EIGENVALUE = 1e-6
"""Of the landmarks' kernel, relative to the largest: directions below are rounding errors."""

_AT_ONCE = 1 << 22
"""Kernel values in memory at a time: 16 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class KernelRegression:
    """Fitted regression.

    Attributes:
        landmarks: float32, L x T', vectors of length 1.
        weights: float32, M x L.
        levels: float32, M: prediction far from all landmarks.
        width: of the kernel exp(width (2 cosine - 2)).
    """

    landmarks: Matrix
    weights: Matrix
    levels: Matrix
    width: float = WIDTH

    def predict(self, vectors: Matrix) -> Matrix:
        """Return expected outcomes, float32, P x M, not clipped, of vectors of length 1."""
        step = max(1, _AT_ONCE // max(len(self.landmarks), 1))
        parts = [
            kernel(vectors[start : start + step], self.landmarks, self.width) @ self.weights.T
            for start in range(0, max(len(vectors), 1), step)
        ]
        return np.asarray(np.concatenate(parts) + self.levels, np.float32)


def kernel(ours: Matrix, theirs: Matrix, width: float) -> Matrix:
    """Return exp(width (2 cosine - 2)) of vectors of length 1: float32, n x m."""
    return np.asarray(np.exp(2 * np.float32(width) * (ours @ theirs.T - 1)), np.float32)


def fit_kernel(
    vectors: Matrix, outcomes: Matrix, levels: Matrix, seed: int = 0, width: float = WIDTH
) -> KernelRegression:
    """Fit the regression.

    Args:
        vectors: float32, N x T', of length 1.
        outcomes: float32, M x N, without a NaN: expected ones where none were observed.
        levels: float32, M: mean outcomes.
        seed: of the landmarks.
        width: of the kernel.
    """
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:LANDMARKS]
    landmarks = vectors[np.sort(chosen)]
    root = _root(landmarks, width)
    features = torch.from_numpy(kernel(vectors, landmarks, width).astype(np.float64) @ root)
    residuals = outcomes.astype(np.float64) - levels[:, None]
    rotation, targets = principal_components(torch.from_numpy(residuals.T.copy()))
    weights = ridge(features, targets).numpy().astype(np.float64)
    solved = rotation.numpy() @ weights.T @ root.T
    return KernelRegression(landmarks, solved.astype(np.float32), levels, width)


def _root(landmarks: Matrix, width: float) -> Reals:
    """Return R with R R' the inverse of the landmarks' kernel, without its smallest directions."""
    values, directions = np.linalg.eigh(kernel(landmarks, landmarks, width).astype(np.float64))
    kept = values > _LEAST_EIGENVALUE * values.max()
    return np.asarray(directions[:, kept] / np.sqrt(values[kept]), np.float64)
