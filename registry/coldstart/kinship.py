"""Lineage as similarity: how near models are by what they were made from.

The weights of relations are METHODS.md's (SimRMF, appendix A.2): parent and child 0.8, merge and
source 0.7, same base 0.6, shared merge source 0.5, the largest where several hold. Over several
hops weights multiply along the path (as the lineage edges of arXiv 2504.19811, section 3, chain).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MERGE = "merge"

MOST_HOPS = 4
"""Generations that are looked back."""

MOST_ANCESTORS = 64
"""Ancestors kept of a model, the nearest; merges of merges have thousands."""


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


@dataclass(frozen=True, slots=True)
class Kinship:
    """Who was made from whom.

    Attributes:
        parents: by the child's name in lower case. A parent need not be a key; cycles do no harm.
        relations: weights.
        hops: how many generations are looked back.
    """

    parents: Mapping[str, Sequence[Kin]] = field(default_factory=dict)
    relations: Relations = DEFAULT
    hops: int = MOST_HOPS

    def ancestors(self, name: str, parents: Sequence[Kin] = ()) -> dict[str, float]:
        """Return the model and its ancestors in lower case, by the greatest product of weights.

        Args:
            name: of the model; it weighs 1.
            parents: of it, where `Kinship.parents` does not have them.

        Returns:
            At most `MOST_ANCESTORS` and the model itself, by falling weight.
        """
        own = name.lower()
        found, edge = {own: 1.0}, {own: 1.0}
        for _ in range(self.hops):
            reached: dict[str, float] = {}
            for child, weight in edge.items():
                for kin in self.parents.get(child, parents if child == own else ()):
                    parent, product = kin.name.lower(), weight * self.relations.of(kin.relation)
                    if product > max(found.get(parent, 0.0), reached.get(parent, 0.0)):
                        reached[parent] = product
            found |= reached
            edge = reached
            if not edge or len(found) > MOST_ANCESTORS:
                break
        nearest = sorted(found.items(), key=lambda each: (-each[1], each[0]))
        return dict(nearest[: MOST_ANCESTORS + 1])

    def similarity(self, one: str, other: str) -> float:
        """Return how near two models are by lineage, in [0, 1]; 1 for one and the same.

        Direct relations weigh as `relations` says; what is further off is the best product over
        a common ancestor.
        """
        left, right = self.ancestors(one), self.ancestors(other)
        best = max((left[name] * right[name] for name in left.keys() & right.keys()), default=0.0)
        return max(best, self._siblings(one.lower(), other.lower()))

    def _siblings(self, one: str, other: str) -> float:
        left = {kin.name.lower(): kin.relation for kin in self.parents.get(one, ())}
        right = {kin.name.lower(): kin.relation for kin in self.parents.get(other, ())}
        shared = left.keys() & right.keys()
        return max((self.relations.between(left[n], right[n]) for n in shared), default=0.0)
