"""Models on a plane by their scores, and how much of their neighbourhoods is kept there."""

import warnings
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Floats, Places, Reals

NEIGHBOURS = 10
"""Nearest models whose keeping is measured."""

UMAP_NEIGHBOURS = 15
"""Nearest models that UMAP lays out by, its default."""

MOST_COMPARED = 20_000
"""Models whose neighbourhoods are compared; of more a sample, as time grows with their square."""

ROWS_AT_ONCE = 200
"""Models whose distances to all others are in memory at a time."""


class Kept(NamedTuple):
    """How much of neighbourhoods a plane keeps; nan for fewer models than that takes.

    Attributes:
        trustworthiness: in [0, 1]; 1 where no model has neighbours on the plane that are not its
            neighbours by scores (Venna and Kaski 2001).
        share: of the ten nearest models by scores that are among the ten nearest on the plane.
        models: compared.
    """

    trustworthiness: float
    share: float
    models: int


def standardised(scores: Reals) -> Reals:
    """Return scores with mean 0 and standard deviation 1 in each column.

    Args:
        scores: M x B, finite, no column of one value.
    """
    return np.asarray((scores - scores.mean(axis=0)) / scores.std(axis=0), np.float64)


def umap_points(vectors: Reals, *, seed: int) -> Reals:
    """Lay out M vectors on a plane by UMAP (McInnes, Healy and Melville 2018).

    Args:
        vectors: M x B, M >= 10, none twice.
        seed: of the random numbers; one seed gives one layout on one machine.

    Returns:
        M x 2.
    """
    with warnings.catch_warnings():
        # It says that it has no neural networks, and that a seed takes one thread.
        warnings.simplefilter("ignore")
        from umap import UMAP  # noqa: PLC0415 - an extra, and slow to import

        layout = UMAP(
            n_neighbors=min(UMAP_NEIGHBOURS, len(vectors) - 1), random_state=seed, n_jobs=1
        )
        return np.asarray(layout.fit_transform(vectors), np.float64)


def kept_neighbours(vectors: Reals, points: Floats, *, seed: int = 0) -> Kept:
    """Return how much of the neighbourhoods of M vectors M points keep.

    Args:
        vectors: M x B.
        points: M x 2.
        seed: of the sample that is compared where there are more than `MOST_COMPARED`.
    """
    if len(vectors) > MOST_COMPARED:
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:MOST_COMPARED]
        vectors, points = vectors[chosen], points[chosen]
    if len(vectors) <= 2 * NEIGHBOURS:
        return Kept(np.nan, np.nan, len(vectors))
    near, near_there = nearest(vectors), nearest(points)
    both = [len(set(one) & set(other)) for one, other in zip(near, near_there, strict=True)]
    return Kept(
        trustworthiness(vectors, near_there),
        float(np.mean(both) / NEIGHBOURS),
        len(vectors),
    )


def trustworthiness(vectors: Floats, near_there: Places) -> float:
    """Return the trustworthiness of a plane, as scikit-learn's, which sorts all distances.

    Args:
        vectors: M x B.
        near_there: M x K, places of the nearest others of each on the plane; M > 2 K.
    """
    from sklearn.metrics import pairwise_distances  # noqa: PLC0415 - an extra, slow to import

    count, near = near_there.shape
    beyond = 0
    for start in range(0, count, ROWS_AT_ONCE):
        there = near_there[start : start + ROWS_AT_ONCE]
        distances = pairwise_distances(vectors[start : start + ROWS_AT_ONCE], vectors)
        distances[np.arange(len(there)), start + np.arange(len(there))] = np.inf
        limits = np.take_along_axis(distances, there, axis=1)
        nearer = np.stack([(distances < limit[:, None]).sum(axis=1) for limit in limits.T])
        beyond += int(np.maximum(nearer + 1 - near, 0).sum())
    return float(1 - 2 * beyond / (count * near * (2 * count - 3 * near - 1)))


def nearest(vectors: Floats, count: int = NEIGHBOURS) -> Places:
    """Return the places of the nearest other vectors of each, M x count."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - an extra, slow to import

    found = NearestNeighbors(n_neighbors=count).fit(vectors).kneighbors(return_distance=False)
    return np.asarray(found, np.intp)
