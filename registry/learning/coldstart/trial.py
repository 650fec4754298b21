"""One trial of a cold-start comparison: which models and items are new."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.errors import UsageError
from registry.learning.coldstart import gp
from registry.learning.coldstart.features import Blocks
from registry.learning.coldstart.pca import Reals
from registry.learning.factorization.problem import ItemTexts, Matrix, Problem

HIDDEN = 0.1
"""Share of the cells of known models on known items that are test A."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a method may know, and what it is asked.

    Attributes:
        truth: float32, M x N, in [0, 1]; nan where nobody observed. Only the oracle may look.
        models: bool, M: which are new.
        items: bool, N: which are new.
        cells: bool, M x N: what test A hides.
        blocks: features of the M models.
        graph: similarities of the M models, for SimRMF and the nearest relative.
        texts: of the N items; None where there are none.
        groups: int64, N: of items that are alike, such as those of a benchmark; None where not
            known.
        seed: of all that is random in a method.
    """

    truth: Matrix
    models: NDArray[np.bool_]
    items: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    blocks: Blocks
    graph: csr_array
    texts: ItemTexts | None = None
    groups: NDArray[np.int64] | None = None
    seed: int = 0

    @property
    def problem(self) -> Problem:
        """Return the outcomes that may be learned from, M x N; nan elsewhere."""
        hidden = self.models[:, None] | self.items | self.cells
        return Problem(np.where(hidden, np.float32(np.nan), self.truth), self.texts)

    def known(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the places of known models, and of known items."""
        return np.flatnonzero(~self.models), np.flatnonzero(~self.items)

    def asked(self, test: str) -> NDArray[np.bool_]:
        """Return bool, M x N: the cells of a test that have outcomes."""
        new, other = self.models[:, None], self.items[None]
        found = {
            "A": self.cells & ~new & ~other,
            "B": ~new & other,
            "C": new & ~other,
            "D": new & other,
        }[test]
        return np.asarray(found & ~np.isnan(self.truth))


Predictor: TypeAlias = Callable[[Trial], Matrix]
"""Gives probabilities, float32, M x N, of which those asked for count."""


def draw(
    truth: Matrix,
    blocks: Blocks,
    graph: csr_array,
    *,
    held: int,
    train: int | None = None,
    new_items: float = 0.0,
    texts: ItemTexts | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Trial:
    """Draw a trial at random; models that are neither held out nor trained on are left out.

    Args:
        truth: M x N.
        blocks: features of the M models.
        graph: of the M models.
        held: how many models are new.
        train: T, how many are known; None is all others.
        new_items: share of items that are new.
        texts: of the N items.
        groups: of the N items.
        seed: of the choice.

    Raises:
        UsageError: when there are too few models.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(truth))
    train = len(truth) - held if train is None else train
    if held < 1 or train < gp.LEAST_MODELS or held + train > len(truth):
        raise UsageError(f"{held} new and {train} known models are not to be had of {len(truth)}.")
    chosen = order[: held + train]
    items = np.zeros(truth.shape[1], bool)
    items[random.permutation(len(items))[: round(new_items * len(items))]] = True
    models = np.arange(len(chosen)) < held
    cells = random.random((len(chosen), len(items))) < HIDDEN
    return Trial(
        truth[chosen],
        models,
        items,
        # Where nothing asks for test A, its cells are not missed in training.
        cells if new_items else np.zeros_like(cells),
        blocks.rows(chosen),
        csr_array(graph[chosen][:, chosen]),
        texts,
        groups,
        seed,
    )


def by_time(trial: Trial, dates: Reals, before: float) -> Trial:
    """Return a trial in which models of a day or later are new, and older ones known.

    Args:
        trial: whose own choice of models is replaced.
        dates: float64, M: days; a model without one (nan) counts as old.
        before: the day.
    """
    return replace(trial, models=np.nan_to_num(dates, nan=-np.inf) >= before)
