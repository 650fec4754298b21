"""Baselines that need no training: mean outcomes on similar items, and in clusters of them."""

from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Places
from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem

_AT_ONCE = 1 << 22
"""Similarities in memory at a time: 16 MB."""

PRIOR = 1e-3
"""Outcomes at the model's mean, beside those of similar items: so few that they only break ties."""


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """Mean outcome on the k nearest items (METHODS.md section 3; Shnitzer et al. 2023).

    Attributes:
        k: number of items.
        sharpness: weights are the softmax of this times the cosine; 0 weighs all equally.
    """

    k: int = 100
    sharpness: float = 0.0

    @property
    def name(self) -> str:
        """Name of the method."""
        return "weighted-neighbours" if self.sharpness else "neighbours"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "_Neighbourhoods":
        """Keep the items and their outcomes."""
        del context
        return _Neighbourhoods(self, *_filled(problem), problem.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbourhoods:
    method: SimilarItems
    outcomes: Matrix
    seen: Matrix
    means: Matrix
    vectors: Matrix

    def predict(self, vectors: Matrix) -> RoutePredictions:
        step = max(1, _AT_ONCE // max(len(self.vectors), 1))
        parts = [
            self._part(vectors[start : start + step]) for start in range(0, len(vectors), step)
        ]
        return RoutePredictions(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _part(self, vectors: Matrix) -> tuple[Matrix, Matrix]:
        similarities = vectors @ self.vectors.T
        k = min(self.method.k, similarities.shape[1])
        nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
        cosines = np.take_along_axis(similarities, nearest, axis=1)
        weights = np.exp(self.method.sharpness * (cosines - cosines.max(axis=1, keepdims=True)))
        # The weights of a prompt sum to the number of items that would say as much if equal.
        weights *= weights.sum(axis=1, keepdims=True) / (weights**2).sum(axis=1, keepdims=True)
        spread = np.zeros_like(similarities)
        np.put_along_axis(spread, nearest, weights, axis=1)
        return _smoothed(spread @ self.outcomes, spread @ self.seen, self.means)


@dataclass(frozen=True, slots=True)
class ItemClusters:
    """Mean outcome in the nearest clusters of items: Avengers-Pro (arXiv 2508.12631).

    Items are clustered by k-means of their vectors; costs are weighed against the accuracy in the
    nearest clusters when a model is picked.

    Attributes:
        clusters: number of clusters, at most that of items; Avengers-Pro has 25 to 64.
        nearest: clusters whose items count together for a prompt.
    """

    clusters: int = 32
    nearest: int = 1

    @property
    def name(self) -> str:
        """Name of the method."""
        return "avengers-pro"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "_Clusters":
        """Cluster the items."""
        from sklearn.cluster import KMeans  # noqa: PLC0415 - heavy, and of the extra `train`

        outcomes, seen, means = _filled(problem)
        count = min(self.clusters, len(problem.vectors))
        found = KMeans(count, n_init=3, random_state=context.seed).fit(problem.vectors)
        members: Places = np.asarray(found.labels_, np.intp)
        sums = np.zeros((count, len(means)), np.float32)
        counts = np.zeros_like(sums)
        np.add.at(sums, members, outcomes)
        np.add.at(counts, members, seen)
        centres = np.asarray(found.cluster_centers_, np.float32)
        return _Clusters(self.nearest, centres, sums, counts, means)


@dataclass(frozen=True, slots=True, eq=False)
class _Clusters:
    nearest: int
    centres: Matrix
    sums: Matrix
    counts: Matrix
    means: Matrix

    def predict(self, vectors: Matrix) -> RoutePredictions:
        # |v - c|^2 without |v|^2, which is the same for all clusters.
        distances = (self.centres**2).sum(axis=1) - 2 * vectors @ self.centres.T
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.nearest]
        members = np.zeros_like(distances)
        np.put_along_axis(members, nearest, 1, axis=1)
        return RoutePredictions(*_smoothed(members @ self.sums, members @ self.counts, self.means))


def _filled(problem: RoutingProblem) -> tuple[Matrix, Matrix, Matrix]:
    """Return outcomes with 0 for unobserved, which are observed, both N x M, and models' means."""
    seen = ~np.isnan(problem.outcomes)
    outcomes = np.where(seen, problem.outcomes, 0).astype(np.float32)
    counts = seen.sum(axis=1)
    overall = outcomes.sum() / max(int(counts.sum()), 1)
    means = np.where(counts > 0, outcomes.sum(axis=1) / np.maximum(counts, 1), overall)
    return outcomes.T.copy(), seen.T.astype(np.float32), means.astype(np.float32)


def _smoothed(sums: Matrix, counts: Matrix, means: Matrix) -> tuple[Matrix, Matrix]:
    """Return means of outcomes with a prior at the models' means, and their standard errors."""
    totals = counts + np.float32(PRIOR)
    probabilities = (sums + np.float32(PRIOR) * means) / totals
    probabilities = np.clip(probabilities, 0, 1).astype(np.float32)
    deviations = np.sqrt(probabilities * (1 - probabilities) / totals)
    return probabilities, deviations.astype(np.float32)
