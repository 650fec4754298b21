"""Separation of groups of models: whether models of a group lie together, against chance."""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.statistics.projections import NEIGHBOURS, nearest

MOST_FOR_SILHOUETTES = 2_000
"""Models whose silhouettes are computed; of more a sample, as time grows with their square."""

PERMUTATIONS = 999
"""Orders of the groups at random, against which they are tested: p is 0.001 or more."""

ORDERS_AT_ONCE = 20
"""Orders of which silhouettes are computed by one product."""


class Separation(NamedTuple):
    """How far groups of models lie apart; nan where it is not defined.

    Attributes:
        models: in groups.
        groups: of two models or more.
        silhouette: mean over models, in [-1, 1]: 1 where each is much nearer to its own group than
            to the next, below 0 where it is nearer to another (Rousseeuw 1987).
        silhouette_p: share of random orders with as high a mean.
        purity: share of the ten nearest models that are of a model's group.
        chance: the mean of that share over random orders.
        purity_p: share of random orders with as high a share.
        adjusted_rand: agreement of the groups with as many clusters by k-means, or as there are
            distinct models if fewer: 1 if they are the same, 0 by chance (Hubert, Arabie 1985).
    """

    models: int
    groups: int
    silhouette: float
    silhouette_p: float
    purity: float
    chance: float
    purity_p: float
    adjusted_rand: float


def separation(
    vectors: Floats, codes: Places, *, seed: int, permutations: int = PERMUTATIONS
) -> Separation:
    """Measure how far groups lie apart, and test it by random orders of the groups.

    Args:
        vectors: M x d.
        codes: M, the group of each; -1 for none, which are left out.
        seed: of the orders, of the sample for silhouettes, and of k-means.
        permutations: number of orders.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - an extra, and slow to import, as the next
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415

    kept = np.isin(codes, [code for code in np.unique(codes) if code >= 0 and _size(codes, code)])
    chosen, labels = np.asarray(vectors[kept], np.float64), codes[kept]
    labels = np.unique(labels, return_inverse=True)[1] if len(labels) else labels
    groups = int(labels.max()) + 1 if len(labels) else 0
    if groups < 2 or len(labels) <= 2 * NEIGHBOURS:  # noqa: PLR2004 - nothing to tell apart
        return Separation(len(labels), groups, *(np.nan,) * 6)
    rng = np.random.default_rng(seed)
    silhouette = _silhouettes(chosen, labels, rng, permutations)
    near = nearest(chosen)
    purity = _purity(near, labels)
    shares = np.array([_purity(near, rng.permutation(labels)) for _ in range(permutations)])
    # Of fewer distinct models than groups there are as many clusters.
    distinct = len(np.unique(chosen - chosen.mean(axis=0), axis=0))
    clusters = KMeans(min(groups, distinct), n_init=10, random_state=seed).fit_predict(chosen)
    return Separation(
        len(labels), groups, *silhouette, purity, float(shares.mean()),
        _p(purity, shares), float(adjusted_rand_score(labels, clusters)),
    )  # fmt: skip


def silhouettes(distances: Reals, labels: Places) -> Reals:
    """Return mean silhouettes by P groupings of M models, as scikit-learn's, P.

    One product for all groupings: with one for each, reading the distances is what takes time.

    Args:
        distances: M x M.
        labels: P x M, from 0 on; a model that is alone in its group counts 0.
    """
    member = np.eye(int(labels.max()) + 1)[labels]
    counts = member.sum(axis=1, keepdims=True)
    models = len(distances)
    sums = distances @ member.transpose(1, 0, 2).reshape(models, -1)
    sums = sums.reshape(models, *counts.shape[::2]).transpose(1, 0, 2)
    own = labels[:, :, None]
    of_own = np.take_along_axis(np.broadcast_to(counts, sums.shape), own, axis=2)[:, :, 0]
    within = np.take_along_axis(sums, own, axis=2)[:, :, 0] / np.maximum(of_own - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        others = sums / np.where(counts == 0, np.nan, counts)
        np.put_along_axis(others, own, np.nan, axis=2)
        next_one = np.fmin.reduce(others, axis=2)
        largest = np.maximum(within, next_one)
        values = np.where((of_own == 1) | (largest == 0), 0, (next_one - within) / largest)
    return np.asarray(values.mean(axis=1), np.float64)


def _size(codes: Places, code: int) -> bool:
    return int((codes == code).sum()) > 1


def _silhouettes(
    vectors: Reals, labels: Places, rng: np.random.Generator, permutations: int
) -> tuple[float, float]:
    from sklearn.metrics import pairwise_distances  # noqa: PLC0415 - an extra, slow to import

    if len(labels) > MOST_FOR_SILHOUETTES:
        some = rng.permutation(len(labels))[:MOST_FOR_SILHOUETTES]
        vectors, labels = vectors[some], np.unique(labels[some], return_inverse=True)[1]
    distances = np.asarray(pairwise_distances(vectors), np.float64)
    orders = np.array([labels, *(rng.permutation(labels) for _ in range(permutations))])
    steps = range(0, len(orders), ORDERS_AT_ONCE)
    found = np.concatenate(
        [silhouettes(distances, orders[start : start + ORDERS_AT_ONCE]) for start in steps]
    )
    return float(found[0]), _p(float(found[0]), found[1:])


def _purity(near: Places, labels: Places) -> float:
    return float((labels[near] == labels[:, None]).mean())


def _p(found: float, by_chance: Reals) -> float:
    """Return the share of orders as extreme as the one found, which is one of them."""
    return float((1 + (by_chance >= found - 1e-12).sum()) / (1 + len(by_chance)))
