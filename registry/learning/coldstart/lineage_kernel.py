"""Lineage features: ancestors of models, weighted by the path to them.

The weights of relations are those of SimRMF (appendix A.2; METHODS.md section 2): parent and child
0.8, merge and source 0.7, same base 0.6, shared merge source 0.5, the largest where several hold.
Weights multiply along a path of several hops (as in arXiv 2504.19811, section 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Codes, Keys, Reals
from registry.learning.splitmix import mix

MERGE = "merge"

MOST_HOPS = 4
"""Generations of ancestors."""

MOST_ANCESTORS = 64
"""Ancestors of a model, at most: the heaviest, since merges of merges have thousands."""

MOST_AT_ONCE = 1 << 20
"""Edges followed at a time, unless of a single model: bounds memory, to 32 MB."""

_ONE, _FACTOR = np.uint64(1), np.uint64(0xD6E8FEB86659FD93)


class ParentLink(NamedTuple):
    """Name of a parent, and the relation to it: finetune, adapter, quantized or merge."""

    name: str
    relation: str = "finetune"


class Relations(NamedTuple):
    """Weights of relations, each in [0, 1]."""

    parent: float = 0.8
    merge: float = 0.7
    same_base: float = 0.6
    same_source: float = 0.5

    def of(self, relation: str) -> float:
        """Return the weight of an edge to a parent."""
        return self.merge if relation == MERGE else self.parent

    def between(self, left: str, right: str) -> float:
        """Return the weight between two children of one parent, by their relations to it."""
        if left == MERGE and right == MERGE:
            return self.same_source
        return self.same_base


DEFAULT = Relations()


class Ancestors(NamedTuple):
    """Pairs of a model, by its index, and an ancestor, by its key, with the weight of the path."""

    rows: Codes
    keys: Keys
    weights: Reals


class Edges(NamedTuple):
    """Lineage edges by keys, each with its weight."""

    children: Keys
    parents: Keys
    weights: Reals

    @classmethod
    def of(
        cls, parents: Mapping[str, Sequence[ParentLink]], relations: Relations = DEFAULT
    ) -> "Edges":
        """Return the edges from children, given by name, to their parents."""
        links = [link for each in parents.values() for link in each]
        counts = np.fromiter(map(len, parents.values()), np.int64, len(parents))
        return cls(
            np.repeat(keys_of(list(parents)), counts),
            keys_of([link.name for link in links]),
            np.array([relations.of(link.relation) for link in links], np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence["Edges"]) -> "Edges":
        """Return the concatenation of at least one part."""
        return cls(
            np.concatenate([part.children for part in parts]),
            np.concatenate([part.parents for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ancestry:
    """Lineage of a whole catalog, by keys, for looking up many models at once.

    Cycles are allowed. A child has at most `MOST_ANCESTORS` parents, which bounds the work of
    merges of everything.

    Attributes:
        children: uint64, n, rising: keys of models that have parents.
        starts: int64, n + 1: offsets of each child's parents.
        parents: uint64: their keys.
        weights: float64: of the edges to them.
        relations: weights of relations.
        hops: generations of ancestors.
    """

    children: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    starts: Codes = field(default_factory=lambda: np.zeros(1, np.int64))
    parents: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    weights: Reals = field(default_factory=lambda: np.zeros(0))
    relations: Relations = DEFAULT
    hops: int = MOST_HOPS

    @classmethod
    def of(cls, edges: Edges) -> "Ancestry":
        """Return the ancestry of edges without loops; of parallel edges the heaviest counts."""
        pairs = Ancestors(edges.children.view(np.int64), edges.parents, edges.weights)
        pairs = _first(pairs, np.lexsort((-edges.weights, edges.parents, pairs.rows)))
        pairs = _heaviest(_selected(pairs, pairs.rows.view(np.uint64) != pairs.keys))
        order = np.argsort(pairs.rows.view(np.uint64), kind="stable")
        children, starts = np.unique(pairs.rows.view(np.uint64)[order], return_index=True)
        return cls(children, np.append(starts, len(order)), pairs.keys[order], pairs.weights[order])

    def joined(self, edges: Edges) -> "Ancestry":
        """Return the ancestry with further edges."""
        children = np.repeat(self.children, np.diff(self.starts))
        own = Edges(children, self.parents, self.weights)
        joined = Ancestry.of(Edges.joined([own, edges]))
        return replace(joined, relations=self.relations, hops=self.hops)

    def has_parents(self, models: Keys) -> NDArray[np.bool_]:
        """Return which models have parents, bool, n."""
        if not len(self.children):
            return np.zeros(len(models), bool)
        places = np.searchsorted(self.children, models)
        return np.asarray(self.children[np.minimum(places, len(self.children) - 1)] == models)

    def ancestors(self, models: Keys) -> Ancestors:
        """Return n models themselves, with weight 1, and their ancestors, by rising row.

        A weight is the largest product of edge weights over a path of at most `hops` edges. Each
        model has at most `MOST_ANCESTORS`, the heaviest.
        """
        found = frontier = Ancestors(np.arange(len(models)), models, np.ones(len(models)))
        for _ in range(self.hops):
            reached = self._parents(frontier)
            if reached is None:
                # Too many edges at once: halve the models.
                half = len(models) // 2
                first, last = self.ancestors(models[:half]), self.ancestors(models[half:])
                return _both(first, last._replace(rows=last.rows + half))
            if not len(reached.rows):
                break
            both = _both(found, reached)
            order = np.lexsort((-both.weights, both.keys, both.rows))
            best = order[_starts(both.rows[order], both.keys[order])]
            new = best[best >= len(found.rows)]
            found, frontier = _selected(both, best), _selected(both, new)
            full = np.bincount(found.rows, minlength=len(models)) > MOST_ANCESTORS
            frontier = _selected(frontier, ~full[frontier.rows])
        return _heaviest(found)

    def _parents(self, frontier: Ancestors) -> Ancestors | None:
        """Return the parents of the last generation; None where they are too many."""
        frontier = _selected(frontier, self.has_parents(frontier.keys))
        places = np.searchsorted(self.children, frontier.keys)
        first = self.starts[places]
        counts = self.starts[places + 1] - first if len(places) else first
        total = int(counts.sum())
        if total > MOST_AT_ONCE and frontier.rows[0] != frontier.rows[-1]:
            return None
        edges = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(total)
        weights = np.repeat(frontier.weights, counts) * self.weights[edges]
        return Ancestors(np.repeat(frontier.rows, counts), self.parents[edges], weights)


def keys_of(names: Sequence[str]) -> Keys:
    """Return a 64-bit hash of each name, regardless of case."""
    if not names:
        return np.zeros(0, np.uint64)
    encoded = [name.lower().encode("utf-8", "replace") for name in names]
    # A terminator each, so that none is empty.
    counts = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    letters = np.frombuffer(b"\0".join([*encoded, b""]), np.uint8).astype(np.uint64)
    starts = np.cumsum(counts) - counts
    powers = np.cumprod(np.full(int(counts.max()), _FACTOR))
    letters += _ONE
    letters *= powers[np.arange(len(letters)) - np.repeat(starts, counts)]
    return mix(np.add.reduceat(letters, starts))


def _both(one: Ancestors, other: Ancestors) -> Ancestors:
    return Ancestors(
        np.concatenate([one.rows, other.rows]),
        np.concatenate([one.keys, other.keys]),
        np.concatenate([one.weights, other.weights]),
    )


def _selected(pairs: Ancestors, which: NDArray[np.bool_] | Codes) -> Ancestors:
    return Ancestors(pairs.rows[which], pairs.keys[which], pairs.weights[which])


def _starts(rows: Codes, keys: Keys) -> NDArray[np.bool_]:
    """Return the entries at which another row or key begins."""
    starts = np.ones(len(rows), bool)
    starts[1:] = (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])
    return starts


def _first(pairs: Ancestors, order: Codes) -> Ancestors:
    """Return the first pair of each row and key, in an order."""
    return _selected(pairs, order[_starts(pairs.rows[order], pairs.keys[order])])


def _heaviest(pairs: Ancestors) -> Ancestors:
    """Return the pairs with the largest weights of each row; equal rows are adjacent."""
    starts = np.flatnonzero(np.diff(pairs.rows, prepend=pairs.rows[:1] - 1))
    counts = np.diff(starts, append=len(pairs.rows))
    if not len(counts) or counts.max() <= MOST_ANCESTORS + 1:
        return pairs
    order = np.lexsort((pairs.keys, -pairs.weights, np.repeat(np.arange(len(counts)), counts)))
    within = np.arange(len(order)) - np.repeat(starts, counts)
    return _selected(pairs, order[within <= MOST_ANCESTORS])
