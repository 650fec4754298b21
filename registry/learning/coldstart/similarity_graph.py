"""Similarity graph of SimRMF, sparse (METHODS.md section 2).

S = alpha S_feature + (1 - alpha) S_lineage, of which each model keeps its `neighbours` nearest.
Comparing all pairs of a million models is infeasible. Features are compared within blocks of models
sorted by family and size, and again within blocks sorted by size and family; lineage between a
model and its ancestors, and between siblings near each other in the first order. The graph is exact
up to `TOGETHER` models; beyond that it misses neighbours that differ in both family and size.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from registry.learning.arrays import Reals
from registry.learning.coldstart.features import Description, FeatureBlocks
from registry.learning.coldstart.lineage_kernel import Ancestry, Relations, keys_of

NEIGHBOURS = 16
"""Neighbours that a model keeps."""

TOGETHER = 2048
"""Models of a block: bounds memory, to 32 MB a matrix."""

SIBLINGS = 8
"""Siblings that each child is compared with; a base may have a hundred thousand children."""

PAIRS_AT_ONCE = 1 << 20


class _Pairs(NamedTuple):
    """Pairs of models by their indices, with a value each."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: Reals


def similarity_graph(
    models: Sequence[Description],
    blocks: FeatureBlocks,
    ancestry: Ancestry,
    *,
    alpha: float = 0.5,
    neighbours: int = NEIGHBOURS,
) -> csr_array:
    """Return the graph, n x n, symmetric, with an empty diagonal; a model may have no neighbour.

    Args:
        models: n descriptions, of different names.
        blocks: their features, of which metadata, families, sizes and authors are used.
        ancestry: lineage of the catalog.
        alpha: weight of features, in [0, 1]; 1 - alpha is that of lineage.
        neighbours: that a model keeps, at most; others may keep the model, too.

    Raises:
        ValueError: for alpha out of range, or features of another number of models.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"The share of features is within 0 and 1, not {alpha}.")
    if len(models) != len(blocks):
        raise ValueError(f"There are {len(models)} models, but features of {len(blocks)}.")
    orders = _orders(blocks)
    relatives = _relatives(models, ancestry, orders[0])
    pairs = [relatives._replace(values=(1 - alpha) * relatives.values)]
    lineage = _matrix(pairs[0], len(models))
    if alpha:
        pairs = [_with_features(pairs[0], blocks.metadata, alpha)]
        for order in orders:
            pairs += [
                _nearest(
                    order[start : start + TOGETHER], blocks.metadata, lineage, alpha, neighbours
                )
                for start in range(0, len(order), TOGETHER)
            ]
    graph = _matrix(_nearest_pairs(_joined(pairs), neighbours), len(models))
    return csr_array(graph.maximum(graph.T))


def _orders(blocks: FeatureBlocks) -> list[NDArray[np.int64]]:
    # Unknown sizes come last; ties are ordered by author.
    sizes = np.nan_to_num(blocks.sizes, nan=np.inf)
    return [
        np.lexsort((blocks.authors, sizes, blocks.families)).astype(np.int64),
        np.lexsort((blocks.families, blocks.authors, sizes)).astype(np.int64),
    ]


def _nearest(
    block: NDArray[np.int64], features: csr_array, lineage: csr_array, alpha: float, most: int
) -> _Pairs:
    """Return the nearest neighbours of each model within a block."""
    rows = features[block]
    similar = alpha * np.asarray((rows @ rows.T).toarray())
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
    models: Sequence[Description], ancestry: Ancestry, order: NDArray[np.int64]
) -> _Pairs:
    """Return related pairs, both ways, each with its largest lineage weight."""
    lines = _ancestor_pairs(models, ancestry)
    siblings = np.array(list(_sibling_pairs(models, ancestry.relations, order)), np.float64)
    siblings = siblings.reshape(-1, 3)
    left = np.concatenate([lines.left, siblings[:, 0].astype(np.int64)])
    right = np.concatenate([lines.right, siblings[:, 1].astype(np.int64)])
    values = np.concatenate([lines.values, siblings[:, 2]])
    return _largest(
        _Pairs(np.append(left, right), np.append(right, left), np.append(values, values))
    )


def _ancestor_pairs(models: Sequence[Description], ancestry: Ancestry) -> _Pairs:
    """Return pairs of a model and one of its ancestors, both among the models."""
    keys = keys_of([model.name for model in models])
    derived = np.flatnonzero(ancestry.has_parents(keys))
    ancestors = ancestry.ancestors(keys[derived])
    order = np.argsort(keys, kind="stable")
    places = np.minimum(np.searchsorted(keys[order], ancestors.keys), len(keys) - 1)
    left, right = derived[ancestors.rows], order[places]
    present = (keys[right] == ancestors.keys) & (left != right)
    return _Pairs(left[present], right[present], ancestors.weights[present])


def _sibling_pairs(
    models: Sequence[Description], relations: Relations, order: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    children: dict[str, list[tuple[int, str]]] = {}
    for place in order.tolist():
        for parent in models[place].parents:
            children.setdefault(parent.name.lower(), []).append((place, parent.relation))
    for siblings in children.values():
        for at, (one, relation) in enumerate(siblings):
            for other, other_relation in siblings[at + 1 : at + 1 + SIBLINGS // 2]:
                if one != other:
                    yield one, other, relations.between(relation, other_relation)


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


def _nearest_pairs(pairs: _Pairs, neighbours: int) -> _Pairs:
    """Return the pairs with the largest values of each model on the left."""
    order = np.lexsort((-pairs.values, pairs.left))
    left = pairs.left[order]
    starts = np.flatnonzero(np.concatenate(([True], left[1:] != left[:-1])))[: len(left)]
    lengths = np.diff(np.append(starts, len(left)))
    largest = order[np.arange(len(left)) - np.repeat(starts, lengths) < neighbours]
    return _Pairs(pairs.left[largest], pairs.right[largest], pairs.values[largest])


def _matrix(pairs: _Pairs, models: int) -> csr_array:
    shape = (models, models)
    return csr_array(coo_array((pairs.values, (pairs.left, pairs.right)), shape=shape))
