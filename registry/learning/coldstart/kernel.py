"""Kernel between models: a weighted sum of parts, one for each kind of catalog feature.

Most parts are multiplied by a Gaussian over log2 sizes: models of one series with 7 and 70 billion
parameters share their names but not their scores. A model of unknown size has the same value of
that factor with every other, so that the kernel stays positive semidefinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.learning.arrays import Codes, Reals
from registry.learning.coldstart.features import FeatureBlocks

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
"""Initial weights of the parts."""

UNKNOWN = 0.3
"""Value of the size factor between a model of unknown size and every other."""

WIDE, NARROW, SAME = 0.15, 0.5, 200.0
"""Inverse squared length scales over log2 sizes: of the factor beside names, of the size part, and
of equal parameter counts, which indicate the same base model."""

YEAR = 365.25

FAR = 1e6
"""Stand-in for unknown sizes and dates: any Gaussian of such a distance is 0."""

SEVERAL = 4
"""Models that share a feature, from which on its column is stored dense."""

MOST_IN_TABLE = 1 << 20
"""Columns up to which a lookup table of columns is kept."""

_NAMED = ("metadata", "pieces", "words", "profile")
"""Parts of sparse features, which are multiplied by the wide size factor."""

_MAKES = ("size", "family", "make")
"""Parts that depend on family and size only."""

Similarities: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kernel:
    """Weighted sum of parts.

    Attributes:
        weights: of the parts of `WEIGHTS`, at least 0; a missing part has weight 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    def between(self, left: FeatureBlocks, right: FeatureBlocks) -> Similarities:
        """Return similarities, float32, n x m."""
        return self.towards(right)(left)

    def towards(self, right: FeatureBlocks) -> "SimilaritiesTo":
        """Return a function that gives similarities, n x m, of any n models to these m."""
        return SimilaritiesTo(right, self.weights)

    def own(self, models: FeatureBlocks) -> Reals:
        """Return the similarity of each model to itself, float64, n."""
        stated = models.families != 0
        present = {
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
            total += weight * present[name]
        return total


def parts(
    left: FeatureBlocks, right: FeatureBlocks, weights: Mapping[str, float] = WEIGHTS
) -> dict[str, Reals]:
    """Return each part with a positive weight by its name, unweighted, float64, n x m in [0, 1]."""
    return {
        name: Kernel({name: 1.0}).between(left, right).astype(np.float64)
        for name, weight in weights.items()
        if weight > 0
    }


class SimilaritiesTo:
    """Similarities to m fixed models, prepared for many calls; can be pickled."""

    def __init__(self, models: FeatureBlocks, weights: Mapping[str, float]) -> None:
        self.models = models
        weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._named = {name: weights[name] for name in _NAMED if name in weights}
        self._others = {name: weight for name, weight in weights.items() if name not in _NAMED}
        self._products: dict[str, _Products] = {}

    def __call__(self, left: FeatureBlocks) -> Similarities:
        """Return similarities, float32, n x m."""
        total = np.zeros((len(left), len(self.models)), np.float32)
        for name, weight in self._named.items():
            self._add_products(total, name, left, weight)
        if self._named:
            # The common factor of these parts is multiplied once.
            total *= self._sizes(left, WIDE)
        self._add_others(total, left)
        return total

    def _add_products(
        self, total: Similarities, name: str, left: FeatureBlocks, weight: float
    ) -> None:
        """Add inner products of sparse rows."""
        if name not in self._products:
            self._products[name] = _Products.of(_sparse(self.models, name), weight)
        products = self._products[name]
        if name != "profile":
            products.add(total, _sparse(left, name))
            return
        # The profile of each author is compared once.
        _, first, inverse = np.unique(left.authors, return_index=True, return_inverse=True)
        by_author = np.zeros((len(first), total.shape[1]), np.float32)
        products.add(by_author, csr_array(_sparse(left, name)[first]))
        total += by_author[inverse]

    def _add_others(self, total: Similarities, left: FeatureBlocks) -> None:
        """Add the parts without the size factor."""
        right, weights = self.models, self._others
        if "lineage" in weights:
            self._add_products(total, "lineage", left, weights["lineage"])
        if "author" in weights:
            rows, columns = _equal_codes(left.authors, right.authors)
            total[rows, columns] += np.float32(weights["author"])
        if "date" in weights:
            table = _gaussian(left.dates, right.dates, 0.5 / YEAR**2, both=False)
            table *= np.float32(weights["date"])
            total += table
        makes = {name: weights[name] for name in _MAKES if name in weights}
        if makes:
            self._add_makes(total, left, makes)

    def _add_makes(
        self, total: Similarities, left: FeatureBlocks, weights: Mapping[str, float]
    ) -> None:
        """Add the parts of family and size, computed once per pair of family and size."""
        pairs = np.column_stack([left.families.astype(np.float64), left.sizes])
        _, first, inverse = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        distinct, right = left.rows(first), self.models
        by_pair = np.zeros((len(first), len(right)), np.float32)
        if "size" in weights:
            by_pair += np.float32(weights["size"]) * self._sizes(distinct, NARROW)
        rows, columns = _equal_codes(distinct.families, right.families)
        distance = distinct.sizes[rows] - right.sizes[columns]
        both = np.isnan(distinct.sizes[rows]) & np.isnan(right.sizes[columns])
        if "family" in weights:
            factor = np.where(both, 1.0, _size_factor(distance))
            by_pair[rows, columns] += weights["family"] * factor
        if "make" in weights:
            same = np.nan_to_num(np.exp(-SAME * distance**2))
            by_pair[rows, columns] += weights["make"] * same
        total += by_pair[inverse.reshape(-1)]

    def _sizes(self, left: FeatureBlocks, scale: float) -> Similarities:
        """Return the size factor; two unknown sizes count as equal."""
        distinct, inverse = np.unique(left.sizes, return_inverse=True)
        table = _gaussian(distinct, self.models.sizes, scale, both=True)
        table *= np.float32(1 - UNKNOWN)
        table += np.float32(UNKNOWN)
        return table[inverse]


class _Products(NamedTuple):
    """Sparse rows of m models, transposed and weighted for inner products with others' rows.

    Columns that several models share are dense, since adding whole rows is faster than searching
    for nonzero entries; the others are sparse.

    Attributes:
        columns: int64, rising: the nonempty columns.
        rows: int64: row of each of them in `dense`, or, after those, in `sparse`.
        dense: float32, k x m.
        sparse: others x m.
        table: int32: row of every column, -1 for none; None for too many columns.
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
        transposed = csr_array(rows.astype(np.float32).tocsc()[:, columns].T)
        transposed.data *= np.float32(weight)
        dense = np.asarray(transposed[np.flatnonzero(several)].toarray(), np.float32)
        sparse = csr_array(transposed[np.flatnonzero(~several)])
        places = np.where(several, np.cumsum(several), len(dense) + np.cumsum(~several)) - 1
        table = None
        if rows.shape[1] <= MOST_IN_TABLE:
            table = np.full(rows.shape[1], -1, np.int32)
            table[columns] = places
        return cls(columns.astype(np.int64), places, dense, sparse, table)

    def add(self, total: Similarities, rows: csr_array) -> None:
        """Add the weighted inner products with n rows to a matrix, n x m."""
        places, dense = self._places(rows.indices), len(self.dense)
        if dense:
            total += _selected(rows, places, (places >= 0) & (places < dense), dense) @ self.dense
        if len(self.columns) > dense:
            rare = _selected(rows, places - dense, places >= dense, len(self.columns) - dense)
            products = csr_array(rare @ self.sparse)
            owners = np.repeat(np.arange(len(total)), np.diff(products.indptr))
            total[owners, products.indices] += products.data

    def _places(self, columns: Codes) -> NDArray[np.integer[Any]]:
        """Return the row of each column, -1 where there is none."""
        if self.table is not None:
            return self.table[columns]
        if not len(self.columns):
            return np.full(len(columns), -1)
        at = np.minimum(np.searchsorted(self.columns, columns), len(self.columns) - 1)
        return np.where(self.columns[at] == columns, self.rows[at], -1)


def _selected(
    rows: csr_array, places: NDArray[np.integer[Any]], mask: NDArray[np.bool_], count: int
) -> csr_array:
    """Return the masked entries of rows, in their new columns."""
    ends = np.concatenate([[0], np.cumsum(mask)])[rows.indptr]
    entries = (rows.data[mask].astype(np.float32), places[mask], ends)
    return csr_array(entries, shape=(rows.shape[0], count))


def _sparse(blocks: FeatureBlocks, name: str) -> csr_array:
    block: csr_array = getattr(blocks, "profiles" if name == "profile" else name)
    return block


def _size_factor(distance: Reals) -> Reals:
    """Return the wide size factor; `UNKNOWN` where the distance is nan."""
    near = UNKNOWN + (1 - UNKNOWN) * np.exp(-WIDE * distance**2)
    return np.where(np.isnan(distance), UNKNOWN, near)


def _equal_codes(left: Codes, right: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of all pairs with equal codes other than 0."""
    order = np.argsort(right, kind="stable")
    ranked = right[order]
    first, last = np.searchsorted(ranked, left), np.searchsorted(ranked, left, side="right")
    counts = np.where(left != 0, last - first, 0)
    rows = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(first, counts) + within]


def _gaussian(left: Reals, right: Reals, scale: float, *, both: bool) -> Similarities:
    """Return exp(-scale d^2) of distances, n x m, in single precision.

    With one unknown value it is 0; with two, 1 or 0.

    Args:
        left: n; nan where unknown.
        right: m.
        scale: inverse squared length, at least 1e-6.
        both: whether two unknown values count as equal.
    """
    # Unknown values are far away from all known ones.
    centre = float(np.nan_to_num(right).mean())
    rows, columns = (
        np.where(np.isnan(each), side, each - centre).astype(np.float32)
        for each, side in ((left, FAR), (right, FAR if both else -FAR))
    )
    distance = rows[:, None] - columns
    np.square(distance, out=distance)
    distance *= np.float32(-scale)
    return np.asarray(np.exp(distance, out=distance), np.float32)
