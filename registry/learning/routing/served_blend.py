"""Blend of neighbours and kernel regression as it is stored and served: numpy alone.

Expected outcome of model m on prompt q, with l_m the model's mean outcome:

    p = l + sum over parts of [a_part mean(d_part) + b_part (d_part - mean(d_part))]
    d_part = p_part - l

where mean is over the models of the version. Weights a are of what all models have in common, how
difficult the prompt is; weights b are of what tells models apart, on which routing rests. SQL's
`registry.route_best` computes the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.routing.subjects import Subjects

LEAST, MOST = 0.01, 0.99
"""Bounds of blended probabilities: a sum of weighted parts may leave [0, 1]."""

_AT_ONCE = 1 << 22
"""Similarities in memory at a time: 16 MB."""

Matrix = NDArray[np.float32]


class BlendWeights(NamedTuple):
    """Weights of the two parts, at least 0, fitted to items that the parts were not fitted to."""

    common_neighbours: float
    common_regression: float
    apart_neighbours: float
    apart_regression: float


class BlendSettings(NamedTuple):
    """Settings of the neighbours and of vectors' parts.

    Attributes:
        k: neighbours.
        sharpness: their weights are the softmax of this times the inner product.
        subject_weight: of subjects' probabilities in vectors that neighbours are found by.
        kernel_subject_weight: in vectors of the kernel.
        width: of the kernel, as `kernel_regression.KernelRegression`.
    """

    k: int = 200
    sharpness: float = 8.0
    subject_weight: float = 1.0
    kernel_subject_weight: float = 1.0
    width: float = 1.5


class RoutedProbabilities(NamedTuple):
    """Probabilities and their standard deviations: float32, P x M each."""

    probabilities: Matrix
    deviations: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class ServedBlend:
    """All that a prompt's probabilities are computed from.

    Attributes:
        settings: of neighbours and vectors.
        weights: of the parts.
        subjects: classifier of vectors.
        levels: float32, M: mean outcomes.
        items: float32, N x (T + G): extended vectors of the items.
        outcomes: float32, N x M: expected ones where none were observed.
        seen: float32, N x M: 1 where observed, else 0; None where all are.
        landmarks: float32, L x (T + G): extended vectors.
        kernel_weights: float32, M x L.
    """

    settings: BlendSettings
    weights: BlendWeights
    subjects: Subjects
    levels: Matrix
    items: Matrix
    outcomes: Matrix
    seen: Matrix | None
    landmarks: Matrix
    kernel_weights: Matrix

    def predict(self, vectors: Matrix) -> RoutedProbabilities:
        """Return probabilities for vectors of prompts, float32, P x T, of length 1."""
        return self._in_parts(vectors, self._blended)

    def neighbours(self, vectors: Matrix) -> RoutedProbabilities:
        """Return the mean outcomes on the nearest items alone, as SQL's `route_knn`."""
        return self._in_parts(vectors, self._near)

    def _in_parts(
        self, vectors: Matrix, compute: Callable[[Matrix], RoutedProbabilities]
    ) -> RoutedProbabilities:
        step = max(1, _AT_ONCE // max(len(self.items), 1))
        starts = range(0, max(len(vectors), 1), step)
        parts = [compute(vectors[start : start + step]) for start in starts]
        return RoutedProbabilities(*map(np.concatenate, zip(*parts, strict=True)))

    def _blended(self, vectors: Matrix) -> RoutedProbabilities:
        near, counts = self._weighted(vectors)
        settings, levels = self.settings, self.levels
        regressed = self.subjects.extended(vectors, settings.kernel_subject_weight)
        cosines = regressed @ self.landmarks.T
        features = np.exp(2 * np.float32(settings.width) * (cosines - 1))
        probabilities = blended(near, levels + features @ self.kernel_weights.T, levels,
                                self.weights)  # fmt: skip
        return RoutedProbabilities(probabilities, _deviations(probabilities, counts))

    def _near(self, vectors: Matrix) -> RoutedProbabilities:
        probabilities, counts = self._weighted(vectors)
        return RoutedProbabilities(probabilities, _deviations(probabilities, counts))

    def _weighted(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        settings = self.settings
        ours = self.subjects.extended(vectors, settings.subject_weight)
        near = nearest_items(ours @ self.items.T, settings.k, settings.sharpness)
        return mean_near(near, self.outcomes, self.seen)


class NearItems(NamedTuple):
    """The nearest items of P prompts.

    Attributes:
        places: int, P x k: rows of the items, in no order.
        weights: float32, P x k; the sum is the number of items of equal weights that would say as
            much (Kish 1965).
    """

    places: NDArray[np.intp]
    weights: Matrix


def nearest_items(similarities: Matrix, k: int, sharpness: float) -> NearItems:
    """Return the k nearest items by similarities, float32, P x N.

    Weights are the softmax of sharpness times similarity, over the sum of its squares.
    """
    k = min(k, similarities.shape[1])
    places = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(similarities, places, axis=1)
    weights = np.exp(np.float32(sharpness) * (found - found.max(axis=1, keepdims=True)))
    weights *= weights.sum(axis=1, keepdims=True) / (weights**2).sum(axis=1, keepdims=True)
    return NearItems(places, weights)


def mean_near(near: NearItems, outcomes: Matrix, seen: Matrix | None) -> tuple[Matrix, Matrix]:
    """Return weighted means of outcomes of near items, and how many observed ones they rest on.

    Args:
        near: of P prompts.
        outcomes: float32, N x M: expected ones where none were observed.
        seen: float32, N x M: 1 where observed, else 0; None where all are.

    Returns:
        float32, P x M each.
    """
    totals = near.weights.sum(axis=1, keepdims=True)
    means = np.empty((len(near.places), outcomes.shape[1]), np.float32)
    counts = np.broadcast_to(totals, means.shape).copy()
    step = max(1, _AT_ONCE // max(near.places.shape[1] * outcomes.shape[1], 1))
    for start in range(0, len(means), step):
        part = slice(start, start + step)
        places, weights = near.places[part], near.weights[part, None]
        means[part] = (weights @ outcomes[places])[:, 0] / totals[part]
        if seen is not None:
            counts[part] = (weights @ seen[places])[:, 0]
    return np.clip(means, 0, 1), counts  # sums of weights are rounded


def blended(near: Matrix, regressed: Matrix, levels: Matrix, weights: BlendWeights) -> Matrix:
    """Return the weighted sum of two predictions, float32, P x M, within [LEAST, MOST]."""
    found = np.broadcast_to(levels, near.shape)
    parts = (
        (near - levels, weights.common_neighbours, weights.apart_neighbours),
        (regressed - levels, weights.common_regression, weights.apart_regression),
    )
    for part, common, apart in parts:
        mean = part.mean(axis=1, keepdims=True)
        found = found + np.float32(common) * mean + np.float32(apart) * (part - mean)
    return np.asarray(np.clip(found, LEAST, MOST), np.float32)


def _deviations(probabilities: Matrix, counts: Matrix) -> Matrix:
    """Return standard errors of means of so many outcomes and one more, about which all is open."""
    return np.asarray(np.sqrt(probabilities * (1 - probabilities) / (1 + counts)), np.float32)
