"""Outcomes to learn from, the interface of a method, and its fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from registry.errors import UsageError
from registry.workers import Progress, no_progress

Matrix: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Columns: TypeAlias = NDArray[np.intp]

LEAST = 1e-4
"""Least predicted probability; the greatest is 1 minus it."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where and how a method is fitted.

    Attributes:
        device: of torch: cpu, cuda, cuda:1.
        seed: of all random numbers; on one device, the same seed gives the same fit.
        on_progress: receives the steps of a fit.
    """

    device: str = "cpu"
    seed: int = 0
    on_progress: Progress = no_progress


CPU = Context()
"""The CPU, seed 0, no progress."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemTexts:
    """Features of the texts of N items.

    Attributes:
        vectors: float32, N x T, of a text encoder, rows of norm 1; NaN for items without text.
        traits: float32, N x S: surface features, see `registry.learning.text_features`.
        words: N x W, sparse: TF-IDF weights of words, rows of norm 1 or 0.
    """

    vectors: Matrix
    traits: Matrix
    words: csr_array

    @property
    def present(self) -> Mask:
        """Return bool, N: which items have a text."""
        return np.asarray(~np.isnan(self.vectors).any(axis=1))

    def part(self, items: Columns) -> "ItemTexts":
        """Return the texts of some items."""
        return ItemTexts(self.vectors[items], self.traits[items], csr_array(self.words[items]))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Outcomes to learn from.

    Attributes:
        outcomes: float32, M x N, in [0, 1]; NaN where a model was not observed on an item.
        texts: of the N items; None where there are none.
        groups: int, N: number of each item's benchmark; None where all are of one.
        catalog: float32, M x f: what the catalog says of each model, as features whose inner
            products are similarities; zeros where nothing is known, None where there is none.
    """

    outcomes: Matrix
    texts: ItemTexts | None = None
    groups: Columns | None = None
    catalog: Matrix | None = None

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        if self.outcomes.ndim != 2:  # noqa: PLR2004
            raise ValueError(f"outcomes have {self.outcomes.ndim} dimensions, not 2")
        low, high = (np.nanmin(self.outcomes), np.nanmax(self.outcomes)) if self.count else (0, 1)
        if low < 0 or high > 1:
            raise UsageError(f"Outcomes must be within 0 and 1; they are within {low} and {high}.")
        if self.texts is not None and len(self.texts.vectors) != self.outcomes.shape[1]:
            raise ValueError("there are not as many texts as items")
        if self.groups is not None and len(self.groups) != self.outcomes.shape[1]:
            raise ValueError("there are not as many groups as items")
        if self.catalog is not None and len(self.catalog) != len(self.outcomes):
            raise ValueError("there are not as many rows of the catalog as models")

    @property
    def observed(self) -> Mask:
        """Return bool, M x N: which outcomes are observed."""
        return ~np.isnan(self.outcomes)

    @property
    def observed_items(self) -> Mask:
        """Return bool, N: which items have outcomes."""
        return np.asarray(self.observed.any(axis=0))

    @property
    def readable_items(self) -> Mask:
        """Return bool, N: which items have a text."""
        if self.texts is None:
            return np.zeros(self.outcomes.shape[1], np.bool_)
        return self.texts.present

    @property
    def count(self) -> int:
        """Number of observed outcomes."""
        return int(np.count_nonzero(self.observed))

    def without(self, cells: Mask) -> "Problem":
        """Return the problem with outcomes hidden.

        Args:
            cells: bool, M x N: the outcomes to hide.
        """
        return replace(self, outcomes=np.where(cells, np.float32(np.nan), self.outcomes))

    def part(self, rows: Columns, columns: Columns) -> "Problem":
        """Return the problem of some models and items, in the order given."""
        models, items = self.outcomes.shape
        if np.array_equal(rows, np.arange(models)) and np.array_equal(columns, np.arange(items)):
            return self
        return Problem(
            self.outcomes[np.ix_(rows, columns)],
            None if self.texts is None else self.texts.part(columns),
            None if self.groups is None else self.groups[columns],
            None if self.catalog is None else self.catalog[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class VectorEvidence:
    """What outcomes say of models' vectors p, apart from any prior, as normal densities.

    The density of a model is exp(informations . p - p . precisions p / 2), up to a factor.

    Attributes:
        precisions: float32, M x d x d.
        informations: float32, M x d.
    """

    precisions: Matrix
    informations: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Vectors of models and items.

    The logit of model m on item i is `models[m] . items[i] + offsets[i]`.

    Attributes:
        models: float32, M x d.
        items: float32, N x d.
        offsets: float32, N.
        uncertainties: float32, M: root mean square of the posterior standard deviations of a
            model's coordinates; None for a method without a posterior.
        unexplained: float64, d x d: covariance of models' vectors about what the catalog and
            nothing else predicts; None where the vectors do not depend on the catalog.
        axes: float64, d x k, as `registry.learning.axes`; None for a method without a posterior.
        variances: float32, M x k: posterior variances of models along the axes; None without them.
        evidence: what the outcomes say of the models' vectors; None for a method without it.
    """

    models: Matrix
    items: Matrix
    offsets: Matrix
    uncertainties: Matrix | None = None
    unexplained: NDArray[np.float64] | None = None
    axes: NDArray[np.float64] | None = None
    variances: Matrix | None = None
    evidence: VectorEvidence | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TextMap:
    """Vectors of items, of d entries and the offset, from vectors of their texts.

    Attributes:
        weights: float32, (T + 1) x (d + 1): an item whose text has vector q has about the vector
            [q, 1] @ weights.
        residual: float64, (d + 1) x (d + 1): covariance of items' vectors about that.
        calibration_error: of outcomes on items that were left out; NaN where it is not known.
    """

    weights: Matrix
    residual: NDArray[np.float64]
    calibration_error: float = np.nan

    def items(self, vectors: Matrix) -> NDArray[np.float64]:
        """Return vectors of items, with offsets, of those of their texts, n x T: n x (d + 1)."""
        found = vectors @ self.weights[:-1] + self.weights[-1]
        return np.asarray(found, np.float64)

    def variances(self, models: Matrix) -> NDArray[np.float64]:
        """Return the variance that residuals give to logits of models, M x d: float64, M."""
        extended = np.column_stack([models, np.ones(len(models))]).astype(np.float64)
        found = ((extended @ self.residual) * extended).sum(1)
        return np.asarray(np.maximum(found, 0), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted method.

    Attributes:
        method: with the settings that were chosen on validation filled in: fitting it again to
            other outcomes needs no validation.
        predict: gives the probabilities, float32, M x n, of n items by their columns.
        factors: vectors, where the method has any.
        serving: float32, M x (T + 1), where the method has any: the logit of model m on a text
            with vector q is `serving[m] . [q, 1]`.
        text_map: of items' vectors on their texts, where the method has vectors and texts.
        notes: figures of the fit, such as the log loss on validation by epoch.
    """

    method: "Method"
    predict: Callable[[Columns], Matrix]
    factors: Factors | None = None
    serving: Matrix | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    text_map: TextMap | None = None

    def probabilities(self, items: int) -> Matrix:
        """Return the probabilities of the first `items` items, float32, M x items."""
        return self.predict(np.arange(items))


class Method(Protocol):
    """A method that learns from outcomes; its attributes are its settings."""

    @property
    def name(self) -> str:
        """Name of the method, such as irt."""
        ...

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Learn from outcomes.

        Args:
            problem: the outcomes to learn from.
            check: float32, M x N: validation outcomes, which the problem does not have, for early
                stopping and for choosing settings; NaN elsewhere. Without it, the settings are
                used as they are.
            context: device, seed and progress.
        """
        ...


def clipped(probabilities: NDArray[np.floating]) -> Matrix:
    """Return probabilities clipped away from 0 and 1, so that their logits are finite."""
    clipped_: Matrix = np.clip(probabilities, LEAST, 1 - LEAST).astype(np.float32, copy=False)
    return clipped_


def log_odds(probabilities: Matrix) -> Matrix:
    """Return the logits of probabilities."""
    inside = clipped(probabilities)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float32)


def sigmoid(logits: NDArray[np.floating]) -> Matrix:
    """Return the probabilities of logits, clipped away from 0 and 1."""
    return clipped(expit(logits))
