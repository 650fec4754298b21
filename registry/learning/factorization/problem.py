"""What is to be learned from, and what comes of it: the types that all methods share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.errors import UsageError
from registry.workers import Progress, no_progress

Matrix: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Columns: TypeAlias = NDArray[np.intp]

LEAST = 1e-4
"""Least probability that is predicted; the greatest is 1 less it."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemTexts:
    """What N items say, as numbers.

    Attributes:
        vectors: float32, N x T, of a text encoder, rows of norm 1; NaN for items without text.
        traits: float32, N x S: lengths and other surface of the texts; see `registry.item_texts`.
        words: N x W, sparse: words by their weights, rows of norm 1 or 0.
    """

    vectors: Matrix
    traits: Matrix
    words: csr_array

    @property
    def known(self) -> Mask:
        """Return bool, N: which items have a text."""
        return np.asarray(~np.isnan(self.vectors).any(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Outcomes to learn from.

    Attributes:
        outcomes: float32, M x N, in [0, 1]; NaN where a model was not observed on an item.
        texts: of the N items; None where there are none.
    """

    outcomes: Matrix
    texts: ItemTexts | None = None

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        if self.outcomes.ndim != 2:  # noqa: PLR2004
            raise ValueError(f"outcomes have {self.outcomes.ndim} dimensions, not 2")
        low, high = (np.nanmin(self.outcomes), np.nanmax(self.outcomes)) if self.count else (0, 1)
        if low < 0 or high > 1:
            raise UsageError(f"Outcomes must be within 0 and 1; they are within {low} and {high}.")
        if self.texts is not None and len(self.texts.vectors) != self.outcomes.shape[1]:
            raise ValueError("there are not as many texts as items")

    @property
    def observed(self) -> Mask:
        """Return bool, M x N: which outcomes are known."""
        return ~np.isnan(self.outcomes)

    @property
    def told(self) -> Mask:
        """Return bool, N: which items have outcomes."""
        return np.asarray(self.observed.any(axis=0))

    @property
    def count(self) -> int:
        """Number of outcomes that are known."""
        return int(np.count_nonzero(self.observed))

    def without(self, cells: Mask) -> "Problem":
        """Return the problem with some outcomes hidden.

        Args:
            cells: bool, M x N: the outcomes to hide.
        """
        return replace(self, outcomes=np.where(cells, np.float32(np.nan), self.outcomes))

    def only(self, cells: Mask) -> "Problem":
        """Return the problem with no outcomes but some.

        Args:
            cells: bool, M x N: the outcomes to keep.
        """
        return self.without(~cells)


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Vectors of models and items.

    The logit of model m's being right on item i is `models[m] . items[i] + offsets[i]`.

    Attributes:
        models: float32, M x d.
        items: float32, N x d.
        offsets: float32, N.
        uncertainties: float32, M: root mean square standard deviation of a model's vector, by its
            posterior; None where the method knows none.
    """

    models: Matrix
    items: Matrix
    offsets: Matrix
    uncertainties: Matrix | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What a method has learned.

    Attributes:
        method: the method, with what was chosen on validation filled in: fitting it again on other
            outcomes needs none.
        predict: gives the probabilities, float32, M x n, of n items by their columns.
        factors: vectors, where the method has any.
        serving: float32, M x (T + 1), where the method has any: the logit of model m on a text of
            vector q is `serving[m] . [q, 1]`.
        notes: figures of the fitting, such as the log loss on validation by step.
    """

    method: "Method"
    predict: Callable[[Columns], Matrix]
    factors: Factors | None = None
    serving: Matrix | None = None
    notes: Mapping[str, object] = field(default_factory=dict)

    def probabilities(self, items: int) -> Matrix:
        """Return the probabilities of all of so many items, float32, M x items."""
        return self.predict(np.arange(items))


class Method(Protocol):
    """A way to learn from outcomes; its attributes are its settings."""

    @property
    def name(self) -> str:
        """What the method is called."""
        ...

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn from outcomes.

        Args:
            problem: the outcomes to learn from.
            check: float32, M x N: outcomes held out of the problem, to stop early and to choose
                by; NaN elsewhere. Without it, the settings are taken as they stand.
            device: a device of torch.
            seed: of all that is random; the same on one device gives the same result.
            on_progress: receives the progress.
        """
        ...


def clipped(probabilities: NDArray[np.floating]) -> Matrix:
    """Return probabilities that are neither 0 nor 1, so that their logits are finite."""
    kept: Matrix = np.clip(probabilities, LEAST, 1 - LEAST).astype(np.float32, copy=False)
    return kept


def log_odds(probabilities: Matrix) -> Matrix:
    """Return logits."""
    kept = clipped(probabilities)
    return np.asarray(np.log(kept) - np.log1p(-kept), np.float32)
