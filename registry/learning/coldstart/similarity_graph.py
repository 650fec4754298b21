"""Which models are like which: the graph of SimRMF, sparse, built in parts (METHODS.md section 2).

S = alpha S_feature + (1 - alpha) S_lineage, of which each model keeps its `neighbours` nearest.
Comparing all pairs of a million models is out of reach. Features are compared among models that
stand together when all are sorted by family and size, and once more by size and family; lineage
among a model and its ancestors, and among children of one parent that stand together likewise. So
a graph is exact up to `TOGETHER` models, and beyond that misses neighbours that differ in both.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from registry.learning.coldstart.features import Blocks, Description
from registry.learning.coldstart.lineage_kernel import Ancestry, Relations, keys_of
from registry.learning.coldstart.pca import Reals

NEIGHBOURS = 16
TOGETHER = 2048
"""Models compared with each other at a time: what bounds memory, to 32 MB a matrix."""

SIBLINGS = 8
"""Children of one parent that each is compared with; a base may have a hundred thousand."""

PAIRS_AT_ONCE = 1 << 20


class _Pairs(NamedTuple):
    """Pairs of models by their places, and a number for each."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Reals


def similarity_graph(
    models: Sequence[Description],
    blocks: Blocks,
    kinship: Ancestry,
    *,
    alpha: float = 0.5,
    neighbours: int = NEIGHBOURS,
) -> csr_array:
    """Return the graph, n x n, symmetric, without a diagonal; a model without any is alone.

    Args:
        models: n descriptions, of different names.
        blocks: their features; only the metadata and what sorts them are used.
        kinship: lineage of the catalog.
        alpha: share of features, in [0, 1]; the rest is of lineage.
        neighbours: most a model keeps of its own. Others may keep it, too.

    Raises:
        ValueError: for another alpha, or when there are not as many features as models.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"The share of features is within 0 and 1, not {alpha}.")
    if len(models) != len(blocks):
        raise ValueError(f"There are {len(models)} models, but features of {len(blocks)}.")
    orders = _orders(blocks)
    relatives = _relatives(models, kinship, orders[0])
    found = [relatives._replace(values=(1 - alpha) * relatives.values)]
    lineage = _matrix(found[0], len(models))
    if alpha:
        found = [_with_features(found[0], blocks.metadata, alpha)]
        for order in orders:
            found += [
                _nearest(
                    order[start : start + TOGETHER], blocks.metadata, lineage, alpha, neighbours
                )
                for start in range(0, len(order), TOGETHER)
            ]
    kept = _most(_joined(found), neighbours)
    graph = _matrix(kept, len(models))
    return csr_array(graph.maximum(graph.T))


def planted(pairs: Reals) -> csr_array:
    """Return a graph of similarities that are given, n x n; for tests and for the oracle."""
    graph = csr_array(np.where(np.eye(len(pairs), dtype=bool), 0, np.maximum(pairs, 0)))
    graph.eliminate_zeros()
    return graph


def _orders(blocks: Blocks) -> list[NDArray[np.int64]]:
    # An unknown size comes last; authors decide between what else is the same.
    sizes = np.nan_to_num(blocks.sizes, nan=np.inf)
    return [
        np.lexsort((blocks.authors, sizes, blocks.families)).astype(np.int64),
        np.lexsort((blocks.families, blocks.authors, sizes)).astype(np.int64),
    ]


def _nearest(
    block: NDArray[np.int64], features: csr_array, lineage: csr_array, alpha: float, most: int
) -> _Pairs:
    """Return the nearest of each model within a block."""
    some = features[block]
    similar = alpha * np.asarray((some @ some.T).toarray())
    similar += lineage[block][:, block].toarray()
    np.fill_diagonal(similar, 0)
    most = min(most, len(block) - 1)
    if most < 1:
        none = np.zeros(0, np.int64)
        return _Pairs(none, none, np.zeros(0))
    places = np.argpartition(-similar, most - 1, axis=1)[:, :most]
    values = np.take_along_axis(similar, places, axis=1).ravel()
    left, right = np.repeat(block, most), block[places].ravel()
    return _Pairs(left[values > 0], right[values > 0], values[values > 0])


def _relatives(
    models: Sequence[Description], kinship: Ancestry, order: NDArray[np.int64]
) -> _Pairs:
    """Return pairs that are related, both ways, with the weight of lineage, the largest of each."""
    up = _upward(models, kinship)
    near = np.array(list(_sideways(models, kinship.relations, order)), np.float64).reshape(-1, 3)
    left = np.concatenate([up.left, near[:, 0].astype(np.int64)])
    right = np.concatenate([up.right, near[:, 1].astype(np.int64)])
    values = np.concatenate([up.values, near[:, 2]])
    return _largest(
        _Pairs(np.append(left, right), np.append(right, left), np.append(values, values))
    )


def _upward(models: Sequence[Description], kinship: Ancestry) -> _Pairs:
    """Return models and those of their ancestors that are among them."""
    keys = keys_of([model.name for model in models])
    made = np.flatnonzero(kinship.knows(keys))
    found = kinship.ancestors(keys[made])
    order = np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], found.keys), len(keys) - 1)
    left, right = made[found.rows], order[at]
    kept = (keys[right] == found.keys) & (left != right)
    return _Pairs(left[kept], right[kept], found.weights[kept])


def _sideways(
    models: Sequence[Description], relations: Relations, order: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    children: dict[str, list[tuple[int, str]]] = {}
    for place in order.tolist():
        for kin in models[place].parents:
            children.setdefault(kin.name.lower(), []).append((place, kin.relation))
    for siblings in children.values():
        for at, (one, relation) in enumerate(siblings):
            for other, others in siblings[at + 1 : at + 1 + SIBLINGS // 2]:
                if one != other:
                    yield one, other, relations.between(relation, others)


def _with_features(pairs: _Pairs, features: csr_array, alpha: float) -> _Pairs:
    values = pairs.values.copy()
    for start in range(0, len(values), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        products = features[pairs.left[part]].multiply(features[pairs.right[part]])
        values[part] += alpha * np.asarray(products.sum(axis=1)).ravel()
    return pairs._replace(values=values)


def _joined(parts: Sequence[_Pairs]) -> _Pairs:
    return _largest(_Pairs(*(np.concatenate(part) for part in zip(*parts, strict=True))))


def _largest(pairs: _Pairs) -> _Pairs:
    """Return each pair once, with its largest value."""
    order = np.lexsort((-pairs.values, pairs.right, pairs.left))
    left, right = pairs.left[order], pairs.right[order]
    first = np.ones(len(order), bool)
    first[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return _Pairs(left[first], right[first], pairs.values[order][first])


def _most(pairs: _Pairs, neighbours: int) -> _Pairs:
    """Return the largest pairs of each model on the left."""
    order = np.lexsort((-pairs.values, pairs.left))
    left = pairs.left[order]
    starts = np.flatnonzero(np.concatenate(([True], left[1:] != left[:-1])))[: len(left)]
    lengths = np.diff(np.append(starts, len(left)))
    kept = order[np.arange(len(left)) - np.repeat(starts, lengths) < neighbours]
    return _Pairs(pairs.left[kept], pairs.right[kept], pairs.values[kept])


def _matrix(pairs: _Pairs, models: int) -> csr_array:
    shape = (models, models)
    return csr_array(coo_array((pairs.values, (pairs.left, pairs.right)), shape=shape))
