"""Similarity of models as a weighted sum of kernels, each of which tells one thing of them.

Sizes stand beside most parts as a Gaussian over log2: models of one make at 7 and 70 billion
weights share their names and not their scores. A model of unknown size is as near to all others as
sizes are on average, so that the kernel stays positive semidefinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.learning.coldstart.features import Blocks, Codes, Reals

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

FAR = 1e6
"""Of unknown sizes and dates: any Gaussian of it is 0."""

SEVERAL = 4
"""Models that have a feature from which it is held for all of them."""

MOST_IN_TABLE = 1 << 20
"""Columns up to which it is looked up in a table what some model has."""

_NAMED = ("metadata", "pieces", "words", "profile")
"""Parts of sparse features, which the wide Gaussian of sizes stands beside."""

_MAKES = ("size", "family", "make")
"""Parts of what families and sizes alone tell."""

Similarities: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kernel:
    """Weighted sum of parts.

    Attributes:
        weights: of the parts of `WEIGHTS`, at least 0; a part that is not there weighs 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    def between(self, left: Blocks, right: Blocks) -> Similarities:
        """Return similarities, float32, n x m."""
        return self.towards(right)(left)

    def towards(self, right: Blocks) -> "Towards":
        """Return what gives similarities, n x m, of any blocks to the same m models."""
        return Towards(right, self.weights)

    def own(self, models: Blocks) -> Reals:
        """Return the similarity of each model to itself, float64, n."""
        stated = models.families != 0
        there = {
            "metadata": np.diff(models.metadata.indptr) > 0,
            "pieces": np.diff(models.pieces.indptr) > 0,
            "words": np.diff(models.words.indptr) > 0,
            "profile": np.diff(models.profiles.indptr) > 0,
            "author": models.authors != 0,
            "size": np.ones(len(models), bool),
            "family": stated,
            "make": stated & ~np.isnan(models.sizes),
            "lineage": np.diff(models.lineage.indptr) > 0,
            "date": ~np.isnan(models.dates),
        }
        total: Reals = np.zeros(len(models))
        for name, weight in self.weights.items():
            total += weight * there[name]
        return total


def parts(left: Blocks, right: Blocks, wanted: Mapping[str, float] = WEIGHTS) -> dict[str, Reals]:
    """Return the parts of the similarity, each float64, n x m in [0, 1], of those that weigh."""
    found = {}
    for name, weight in wanted.items():
        if weight > 0:
            found[name] = Kernel({name: 1.0}).between(left, right).astype(np.float64)
    return found


class Towards:
    """Models that others are compared with, in the form that makes it quick; can be pickled."""

    def __init__(self, models: Blocks, weights: Mapping[str, float]) -> None:
        self.models = models
        weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._named = {name: weights[name] for name in _NAMED if name in weights}
        self._others = {name: weight for name, weight in weights.items() if name not in _NAMED}
        self._products: dict[str, _Products] = {}

    def __call__(self, left: Blocks) -> Similarities:
        """Return similarities, float32, n x m."""
        found = np.zeros((len(left), len(self.models)), np.float32)
        for name, weight in self._named.items():
            self._add_common(found, name, left, weight)
        if self._named:
            # What these share is multiplied once.
            found *= self._sizes(left, WIDE)
        self._add_others(found, left)
        return found

    def _add_common(self, found: Similarities, name: str, left: Blocks, weight: float) -> None:
        """Add inner products of sparse rows."""
        if name not in self._products:
            self._products[name] = _Products.of(_sparse(self.models, name), weight)
        products = self._products[name]
        if name != "profile":
            products.add(found, _sparse(left, name))
            return
        # An author's profile is compared once.
        _, first, back = np.unique(left.authors, return_index=True, return_inverse=True)
        each = np.zeros((len(first), found.shape[1]), np.float32)
        products.add(each, csr_array(_sparse(left, name)[first]))
        found += each[back]

    def _add_others(self, found: Similarities, left: Blocks) -> None:
        """Add the parts that no size stands beside."""
        right, weights = self.models, self._others
        if "lineage" in weights:
            self._add_common(found, "lineage", left, weights["lineage"])
        if "author" in weights:
            rows, columns = _alike(left.authors, right.authors)
            found[rows, columns] += np.float32(weights["author"])
        if "date" in weights:
            table = _gaussian(left.dates, right.dates, 0.5 / YEAR**2, both=False)
            table *= np.float32(weights["date"])
            found += table
        makes = {name: weights[name] for name in _MAKES if name in weights}
        if makes:
            self._add_makes(found, left, makes)

    def _add_makes(self, found: Similarities, left: Blocks, weights: Mapping[str, float]) -> None:
        """Add what family and size alone tell: once for each pair of them that there is."""
        pairs = np.column_stack([left.families.astype(np.float64), left.sizes])
        _, first, back = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        some, right = left.rows(first), self.models
        each = np.zeros((len(first), len(right)), np.float32)
        if "size" in weights:
            each += np.float32(weights["size"]) * self._sizes(some, NARROW)
        rows, columns = _alike(some.families, right.families)
        apart = some.sizes[rows] - right.sizes[columns]
        both = np.isnan(some.sizes[rows]) & np.isnan(right.sizes[columns])
        if "family" in weights:
            each[rows, columns] += weights["family"] * np.where(both, 1.0, _shared(apart))
        if "make" in weights:
            same = np.nan_to_num(np.exp(-SAME * apart**2))
            each[rows, columns] += weights["make"] * same
        found += each[back.reshape(-1)]

    def _sizes(self, left: Blocks, scale: float) -> Similarities:
        """Return a Gaussian of sizes; two unknown ones are the same."""
        some, back = np.unique(left.sizes, return_inverse=True)
        table = _gaussian(some, self.models.sizes, scale, both=True)
        table *= np.float32(1 - UNKNOWN)
        table += np.float32(UNKNOWN)
        return table[back]


class _Products(NamedTuple):
    """Sparse rows of m models, turned and weighed for inner products with others' rows.

    What several have is dense, as adding whole rows is quicker than to look for what is not 0;
    what hardly anybody has stays sparse.

    Attributes:
        columns: int64, rising: those that some model has.
        rows: int64: of each of them, in the dense ones, or after them in the sparse ones.
        dense: float32, k x m.
        sparse: others x m.
        table: int32: the row of each column there is, -1 for none; None where they are too many.
    """

    columns: Codes
    rows: Codes
    dense: Similarities
    sparse: csr_array
    table: NDArray[np.int32] | None

    @classmethod
    def of(cls, rows: csr_array, weight: float) -> "_Products":
        columns, counts = np.unique(rows.indices, return_counts=True)
        several = counts >= SEVERAL
        turned = csr_array(rows.astype(np.float32).tocsc()[:, columns].T)
        turned.data *= np.float32(weight)
        dense = np.asarray(turned[np.flatnonzero(several)].toarray(), np.float32)
        sparse = csr_array(turned[np.flatnonzero(~several)])
        places = np.where(several, np.cumsum(several), len(dense) + np.cumsum(~several)) - 1
        table = None
        if rows.shape[1] <= MOST_IN_TABLE:
            table = np.full(rows.shape[1], -1, np.int32)
            table[columns] = places
        return cls(columns.astype(np.int64), places, dense, sparse, table)

    def add(self, found: Similarities, rows: csr_array) -> None:
        """Add weighed inner products with n rows to n x m numbers."""
        places, many = self._places(rows.indices), len(self.dense)
        if many:
            found += _only(rows, places, (places >= 0) & (places < many), many) @ self.dense
        if len(self.columns) > many:
            few = _only(rows, places - many, places >= many, len(self.columns) - many)
            products = csr_array(few @ self.sparse)
            owners = np.repeat(np.arange(len(found)), np.diff(products.indptr))
            found[owners, products.indices] += products.data

    def _places(self, columns: Codes) -> NDArray[np.integer[Any]]:
        """Return the row of each column, -1 where there is none."""
        if self.table is not None:
            return self.table[columns]
        if not len(self.columns):
            return np.full(len(columns), -1)
        at = np.minimum(np.searchsorted(self.columns, columns), len(self.columns) - 1)
        return np.where(self.columns[at] == columns, self.rows[at], -1)


def _only(
    rows: csr_array, places: NDArray[np.integer[Any]], there: NDArray[np.bool_], count: int
) -> csr_array:
    """Return some entries of rows, in their new columns."""
    ends = np.concatenate([[0], np.cumsum(there)])[rows.indptr]
    kept = (rows.data[there].astype(np.float32), places[there], ends)
    return csr_array(kept, shape=(rows.shape[0], count))


def _sparse(blocks: Blocks, name: str) -> csr_array:
    made: csr_array = getattr(blocks, "profiles" if name == "profile" else name)
    return made


def _shared(apart: Reals) -> Reals:
    """Return the wide Gaussian of sizes; where one is unknown, what it has with every other."""
    near = UNKNOWN + (1 - UNKNOWN) * np.exp(-WIDE * apart**2)
    return np.where(np.isnan(apart), UNKNOWN, near)


def _alike(left: Codes, right: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of pairs of one code that is not 0."""
    order = np.argsort(right, kind="stable")
    ranked = right[order]
    first, last = np.searchsorted(ranked, left), np.searchsorted(ranked, left, side="right")
    counts = np.where(left != 0, last - first, 0)
    rows = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(first, counts) + within]


def _gaussian(left: Reals, right: Reals, scale: float, *, both: bool) -> Similarities:
    """Return exp(-scale d^2) of distances, n x m, in single precision.

    Where one side is unknown it is 0; where both are, 1 or 0.

    Args:
        left: n; nan where unknown.
        right: m.
        scale: inverse squared length, at least 1e-6.
        both: whether two unknown ones are the same.
    """
    # What is unknown is far away from all that is known.
    centre = float(np.nan_to_num(right).mean())
    some, others = (
        np.where(np.isnan(each), side, each - centre).astype(np.float32)
        for each, side in ((left, FAR), (right, FAR if both else -FAR))
    )
    apart = some[:, None] - others
    np.square(apart, out=apart)
    apart *= np.float32(-scale)
    return np.asarray(np.exp(apart, out=apart), np.float32)
