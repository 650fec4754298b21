"""Similarity of models as a weighted sum of kernels, each of which tells one thing of them.

Sizes stand beside most parts as a Gaussian over log2: models of one make at 7 and 70 billion
weights share their names and not their scores. A model of unknown size is as near to all others as
sizes are on average, so that the kernel stays positive semidefinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy.sparse import csr_array

from registry.coldstart.description import Blocks, Codes, Reals

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "metadata": 1.0,
        "pieces": 0.5,
        "words": 0.5,
        "profile": 0.5,
        "author": 0.3,
        "size": 0.3,
        "family": 0.3,
        "make": 0.5,
        "lineage": 0.5,
        "date": 0.2,
    }
)
"""Weights of parts before any is learned."""

UNKNOWN = 0.3
"""Share of the Gaussian of sizes that a model of unknown size has with every other."""

WIDE, NARROW, SAME = 0.15, 0.5, 200.0
"""Inverse squared length scales over log2 of sizes: of what stands beside names, of the size
alone, and of one and the same number of weights, which tells of the same base."""

YEAR = 365.25
BLOCK = 1 << 24
"""Entries of a kernel worked on at a time."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Weighted sum of parts.

    Attributes:
        weights: of the parts of `WEIGHTS`, at least 0; a part that is not there weighs 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    def between(self, left: Blocks, right: Blocks) -> Reals:
        """Return similarities, float64, n x m."""
        total = np.zeros((len(left), len(right)))
        for name, part in parts(left, right, self.weights).items():
            total += self.weights[name] * part
        return total

    def own(self, models: Blocks) -> Reals:
        """Return the similarity of each model to itself, float64, n."""
        sized = ~np.isnan(models.sizes)
        made = (sized & (models.families != 0)).astype(np.float64)
        found = {
            "metadata": _squares(models.metadata),
            "pieces": _squares(models.pieces),
            "words": _squares(models.words),
            "profile": _squares(models.profiles),
            "author": (models.authors != 0).astype(np.float64),
            "size": np.ones(len(models)),
            "family": (models.families != 0).astype(np.float64),
            "make": made,
            "lineage": _squares(models.lineage),
            "date": (~np.isnan(models.dates)).astype(np.float64),
        }
        total: Reals = np.zeros(len(models))
        for name, weight in self.weights.items():
            total += weight * found[name]
        return total


def parts(left: Blocks, right: Blocks, wanted: Mapping[str, float] = WEIGHTS) -> dict[str, Reals]:
    """Return the parts of the similarity, each n x m in [0, 1], of those that weigh anything."""
    wide, narrow, same = _sizes(left.sizes, right.sizes)
    families = _equal(left.families, right.families)
    made = {
        "metadata": lambda: _common(left.metadata, right.metadata) * wide,
        "pieces": lambda: _common(left.pieces, right.pieces) * wide,
        "words": lambda: _common(left.words, right.words) * wide,
        "profile": lambda: _profiles(left, right) * wide,
        "author": lambda: _equal(left.authors, right.authors),
        "size": lambda: narrow,
        "family": lambda: families * wide,
        "make": lambda: families * same,
        "lineage": lambda: _common(left.lineage, right.lineage),
        "date": lambda: _near(left.dates[:, None] - right.dates, YEAR),
    }
    return {name: made[name]() for name, weight in wanted.items() if weight > 0}


def _common(left: csr_array, right: csr_array) -> Reals:
    return np.asarray((left @ right.T).toarray(), np.float64)


def _profiles(left: Blocks, right: Blocks) -> Reals:
    """Compare the authors' profiles, each author once."""
    _, first, back = np.unique(left.authors, return_index=True, return_inverse=True)
    _, other, there = np.unique(right.authors, return_index=True, return_inverse=True)
    return _common(left.profiles[first], right.profiles[other])[back][:, there]


def _equal(left: Codes, right: Codes) -> Reals:
    return ((left[:, None] == right) & (left[:, None] != 0)).astype(np.float64)


def _sizes(left: Reals, right: Reals) -> tuple[Reals, Reals, Reals]:
    """Return three Gaussians of sizes; sizes come again and again, so each pair of them once."""
    one, back = np.unique(left, return_inverse=True)
    two, there = np.unique(right, return_inverse=True)
    squares = (one[:, None] - two) ** 2
    unknown = np.isnan(one)[:, None], np.isnan(two)
    neither, either = unknown[0] & unknown[1], unknown[0] | unknown[1]

    def gaussian(scale: float) -> Reals:
        near = UNKNOWN + (1 - UNKNOWN) * np.exp(-scale * np.nan_to_num(squares))
        table = np.where(neither, 1.0, np.where(either, UNKNOWN, near))
        return np.asarray(table[back][:, there], np.float64)

    same = np.where(either, 0.0, np.exp(-SAME * np.nan_to_num(squares)))
    return gaussian(WIDE), gaussian(NARROW), same[back][:, there]


def _near(apart: Reals, scale: float) -> Reals:
    """Return a Gaussian of distances; 0 where one is unknown."""
    return np.nan_to_num(np.exp(-0.5 * (apart / scale) ** 2))


def _squares(block: csr_array) -> Reals:
    return np.asarray((block.multiply(block)).sum(axis=1), np.float64).ravel()
