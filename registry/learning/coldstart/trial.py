"""Trial of the cold-start tests: outcomes, features, and which models and items are new."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.coldstart import gp
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.factorization.problem import ItemTexts, Matrix, Problem

HIDDEN = 0.1
"""Share of the cells of known models on known items that test A hides."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Inputs of a predictor, and the outcomes that it is measured on.

    Attributes:
        truth: float32, M x N, in [0, 1]; nan where not observed. For measuring and oracles only.
        models: bool, M: which are new.
        items: bool, N: which are new.
        cells: bool, M x N: which are hidden for test A.
        blocks: features of the M models.
        graph: similarities of the M models, for SimRMF and the nearest relative.
        texts: of the N items; None where there are none.
        groups: int64, N: label of the item's group, such as its benchmark; None where unknown.
        seed: of all random numbers of a predictor.
    """

    truth: Matrix
    models: NDArray[np.bool_]
    items: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    blocks: FeatureBlocks
    graph: csr_array
    texts: ItemTexts | None = None
    groups: NDArray[np.int64] | None = None
    seed: int = 0

    @property
    def problem(self) -> Problem:
        """Return the training outcomes, M x N; nan elsewhere."""
        hidden = self.models[:, None] | self.items | self.cells
        return Problem(np.where(hidden, np.float32(np.nan), self.truth), self.texts)

    def known(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the indices of known models, and of known items."""
        return np.flatnonzero(~self.models), np.flatnonzero(~self.items)

    def cells_of(self, test: str) -> NDArray[np.bool_]:
        """Return bool, M x N: the observed cells of a test."""
        new_model, new_item = self.models[:, None], self.items[None]
        cells = {
            "A": self.cells & ~new_model & ~new_item,
            "B": ~new_model & new_item,
            "C": new_model & ~new_item,
            "D": new_model & new_item,
        }[test]
        return np.asarray(cells & ~np.isnan(self.truth))


Predictor: TypeAlias = Callable[[Trial], Matrix]
"""Function that returns probabilities, float32, M x N, of all cells of a trial."""


def draw(
    truth: Matrix,
    blocks: FeatureBlocks,
    graph: csr_array,
    *,
    held: int,
    train: int | None = None,
    new_items: float = 0.0,
    texts: ItemTexts | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Trial:
    """Draw a trial at random; models that are neither new nor known are left out.

    Args:
        truth: M x N.
        blocks: features of the M models.
        graph: of the M models.
        held: number of new models.
        train: T, number of known models; None is all others.
        new_items: share of items that are new.
        texts: of the N items.
        groups: of the N items.
        seed: of the draw, and of the trial.

    Raises:
        UsageError: for too few models.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(truth))
    train = len(truth) - held if train is None else train
    if held < 1 or train < gp.LEAST_MODELS or held + train > len(truth):
        raise UsageError(f"{held} new and {train} known models cannot be drawn from {len(truth)}.")
    chosen = order[: held + train]
    items = np.zeros(truth.shape[1], bool)
    items[rng.permutation(len(items))[: round(new_items * len(items))]] = True
    models = np.arange(len(chosen)) < held
    cells = rng.random((len(chosen), len(items))) < HIDDEN
    return Trial(
        truth[chosen],
        models,
        items,
        # Without new items there is no test A, and training keeps its cells.
        cells if new_items else np.zeros_like(cells),
        blocks.rows(chosen),
        csr_array(graph[chosen][:, chosen]),
        texts,
        groups,
        seed,
    )


def by_time(trial: Trial, dates: Reals, before: float) -> Trial:
    """Return a trial in which the models created on a day or later are new, older ones known.

    Args:
        trial: whose choice of new models is replaced.
        dates: float64, M: days; a model without one (nan) is known.
        before: the day.
    """
    return replace(trial, models=np.nan_to_num(dates, nan=-np.inf) >= before)
