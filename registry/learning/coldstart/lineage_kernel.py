"""Lineage as similarity: how near models are by what they were made from.

The weights of relations are METHODS.md's (SimRMF, appendix A.2): parent and child 0.8, merge and
source 0.7, same base 0.6, shared merge source 0.5, the largest where several hold. Over several
hops weights multiply along the path (as the lineage edges of arXiv 2504.19811, section 3, chain).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]
Codes: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.float64]

MERGE = "merge"

MOST_HOPS = 4
"""Generations that are looked back."""

MOST_ANCESTORS = 64
"""Ancestors kept of a model, the nearest; merges of merges have thousands."""


MOST_AT_ONCE = 1 << 20
"""Steps to parents taken at a time, of more than one model: what bounds memory, to 32 MB."""

_ONE, _FACTOR = np.uint64(1), np.uint64(0xD6E8FEB86659FD93)
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
"""Of splitmix64."""


class Kin(NamedTuple):
    """A parent: its name, and the relation, such as finetune, adapter, quantized or merge."""

    name: str
    relation: str = "finetune"


class Relations(NamedTuple):
    """Weights of relations, each in [0, 1]."""

    parent: float = 0.8
    merge: float = 0.7
    same_base: float = 0.6
    same_source: float = 0.5

    def of(self, relation: str) -> float:
        """Return the weight of one step to a parent."""
        return self.merge if relation == MERGE else self.parent

    def between(self, left: str, right: str) -> float:
        """Return the weight of two children of one parent, by their relations to it."""
        if left == MERGE and right == MERGE:
            return self.same_source
        return self.same_base


DEFAULT = Relations()


class Ancestors(NamedTuple):
    """Ancestors of models, each a model's place, the ancestor's key, and the weight of the path."""

    rows: Codes
    keys: Keys
    weights: Reals


class Edges(NamedTuple):
    """Who was made from whom, by keys, and the weight of each step."""

    children: Keys
    parents: Keys
    weights: Reals

    @classmethod
    def of(cls, parents: Mapping[str, Sequence[Kin]], relations: Relations = DEFAULT) -> "Edges":
        """Return the edges of children, by their names."""
        kin = [each for some in parents.values() for each in some]
        counts = np.fromiter(map(len, parents.values()), np.int64, len(parents))
        return cls(
            np.repeat(keys_of(list(parents)), counts),
            keys_of([each.name for each in kin]),
            np.array([relations.of(each.relation) for each in kin], np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence["Edges"]) -> "Edges":
        """Return the edges of at least one part, some after others."""
        return cls(
            np.concatenate([part.children for part in parts]),
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ancestry:
    """Who was made from whom in a whole catalog, by keys, looked up for many models at once.

    Cycles do no harm. A child keeps as many parents as it could keep ancestors, so that merges of
    everything take no more work than others.

    Attributes:
        children: uint64, n, rising: keys of models that were made from others.
        starts: int64, n + 1: where the parents of each begin.
        parents: uint64: their keys.
        weights: float64: of the steps to them.
        relations: weights.
        hops: how many generations are looked back.
    """

    children: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    starts: Codes = field(default_factory=lambda: np.zeros(1, np.int64))
    parents: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    weights: Reals = field(default_factory=lambda: np.zeros(0))
    relations: Relations = DEFAULT
    hops: int = MOST_HOPS

    @classmethod
    def of(cls, edges: Edges) -> "Ancestry":
        """Return the ancestry that edges make; loops are left out, of double ones the lighter."""
        found = Ancestors(edges.children.view(np.int64), edges.parents, edges.weights)
        found = _first(found, np.lexsort((-edges.weights, edges.parents, found.rows)))
        found = _strongest(_chosen(found, found.rows.view(np.uint64) != found.keys))
        order = np.argsort(found.rows.view(np.uint64), kind="stable")
        children, starts = np.unique(found.rows.view(np.uint64)[order], return_index=True)
        return cls(children, np.append(starts, len(order)), found.keys[order], found.weights[order])

    def joined(self, edges: Edges) -> "Ancestry":
        """Return this one and further edges."""
        mine = np.repeat(self.children, np.diff(self.starts))
        made = Ancestry.of(Edges.joined([Edges(mine, self.parents, self.weights), edges]))
        return replace(made, relations=self.relations, hops=self.hops)

    def knows(self, models: Keys) -> NDArray[np.bool_]:
        """Return which models are known to be made from others."""
        if not len(self.children):
            return np.zeros(len(models), bool)
        places = np.searchsorted(self.children, models)
        return np.asarray(self.children[np.minimum(places, len(self.children) - 1)] == models)

    def ancestors(self, models: Keys) -> Ancestors:
        """Return n models themselves, of weight 1, and their ancestors, by rising row.

        Each by the greatest product of weights over a path of at most `hops` steps, and at most
        `MOST_ANCESTORS` of each model, the heaviest.
        """
        found = edge = Ancestors(np.arange(len(models)), models, np.ones(len(models)))
        for _ in range(self.hops):
            reached = self._parents(edge)
            if reached is None:
                # Too many at once, but for a single one: fewer models share the memory.
                half = len(models) // 2
                first, last = self.ancestors(models[:half]), self.ancestors(models[half:])
                return _both(first, last._replace(rows=last.rows + half))
            if not len(reached.rows):
                break
            both = _both(found, reached)
            order = np.lexsort((-both.weights, both.keys, both.rows))
            kept = order[_starts(both.rows[order], both.keys[order])]
            found, edge = _chosen(both, kept), _chosen(both, kept[kept >= len(found.rows)])
            full = np.bincount(found.rows, minlength=len(models)) > MOST_ANCESTORS
            edge = _chosen(edge, ~full[edge.rows])
        return _strongest(found)

    def _parents(self, edge: Ancestors) -> Ancestors | None:
        """Return the parents of what was reached; None where they are too many."""
        edge = _chosen(edge, self.knows(edge.keys))
        places = np.searchsorted(self.children, edge.keys)
        first = self.starts[places]
        counts = self.starts[places + 1] - first if len(places) else first
        total = int(counts.sum())
        if total > MOST_AT_ONCE and edge.rows[0] != edge.rows[-1]:
            return None
        at = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(total)
        weights = np.repeat(edge.weights, counts) * self.weights[at]
        return Ancestors(np.repeat(edge.rows, counts), self.parents[at], weights)


def keys_of(names: Sequence[str]) -> Keys:
    """Return a key of 64 bits for each name, the same whatever its case."""
    if not names:
        return np.zeros(0, np.uint64)
    each = [name.lower().encode("utf-8", "replace") for name in names]
    # One letter more, so that none is without any.
    counts = np.fromiter(map(len, each), np.int64, len(each)) + 1
    letters = np.frombuffer(b"\0".join([*each, b""]), np.uint8).astype(np.uint64)
    starts = np.cumsum(counts) - counts
    powers = np.cumprod(np.full(int(counts.max()), _FACTOR))
    letters += _ONE
    letters *= powers[np.arange(len(letters)) - np.repeat(starts, counts)]
    sums = np.add.reduceat(letters, starts)
    for shift, factor in _MIXING:
        sums = (sums ^ (sums >> shift)) * factor
    return np.asarray(sums ^ (sums >> np.uint64(31)), np.uint64)


def _both(one: Ancestors, other: Ancestors) -> Ancestors:
    return Ancestors(
        np.concatenate([one.rows, other.rows]),
        np.concatenate([one.keys, other.keys]),
        np.concatenate([one.weights, other.weights]),
    )


def _chosen(found: Ancestors, which: NDArray[np.bool_] | Codes) -> Ancestors:
    return Ancestors(found.rows[which], found.keys[which], found.weights[which])


def _starts(rows: Codes, keys: Keys) -> NDArray[np.bool_]:
    """Return where another row or key begins."""
    other = np.ones(len(rows), bool)
    other[1:] = (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])
    return other


def _first(found: Ancestors, order: Codes) -> Ancestors:
    """Return the first of each row and key, in an order."""
    return _chosen(found, order[_starts(found.rows[order], found.keys[order])])


def _strongest(found: Ancestors) -> Ancestors:
    """Return those of the greatest weights of each row, which stand together."""
    starts = np.flatnonzero(np.diff(found.rows, prepend=found.rows[:1] - 1))
    counts = np.diff(starts, append=len(found.rows))
    if not len(counts) or counts.max() <= MOST_ANCESTORS + 1:
        return found
    order = np.lexsort((found.keys, -found.weights, np.repeat(np.arange(len(counts)), counts)))
    within = np.arange(len(order)) - np.repeat(starts, counts)
    return _chosen(found, order[within <= MOST_ANCESTORS])
