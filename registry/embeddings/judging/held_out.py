"""Held-out outcomes, cell by cell, and predictions of them.

A twentieth of the outcomes is held out, so that cells take far less memory than matrices of models
by items.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.embeddings.dataset import TrainingData
from registry.learning.factorization.problem import Columns, Mask, Matrix, sigmoid
from registry.learning.factorization.selection import METHODS
from registry.learning.metrics import cell_metrics

Places = NDArray[np.intp]

_ITEMS_AT_ONCE = 1_024
"""Items whose predictions for all models are in memory at once."""

_CELLS_AT_ONCE = 1 << 16
"""Cells whose vectors are in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The n outcomes that a version was not trained on.

    Attributes:
        models: row of the model of each.
        items: column of the item of each.
        outcomes: float32, n.
        means: float32, n: the item's mean outcome in training, the baseline.
    """

    models: Places
    items: Places
    outcomes: Matrix
    means: Matrix

    @classmethod
    def of(cls, data: TrainingData, hidden: Mask) -> "HeldOut":
        """Take the hidden outcomes out of a data set.

        Args:
            data: with the hidden outcomes.
            hidden: bool, M x N.
        """
        models, items = np.nonzero(hidden)
        outcomes = data.matrix.values[models, items]
        held = cls(models, items, outcomes, np.zeros(len(outcomes), np.float32))
        predict = METHODS["item-mean"].fit(data.problem.without(hidden)).predict
        return cls(models, items, outcomes, held.predicted(predict))

    def __len__(self) -> int:
        return len(self.outcomes)

    def predicted(self, predict: Callable[[Columns], Matrix]) -> Matrix:
        """Return predictions of a fit: float32, n.

        Args:
            predict: gives the probabilities of all models on items, as that of a `Fit`.
        """
        predictions = np.zeros(len(self), np.float32)
        wanted, places = np.unique(self.items, return_inverse=True)
        for start in range(0, len(wanted), _ITEMS_AT_ONCE):
            columns = wanted[start : start + _ITEMS_AT_ONCE]
            cells = np.flatnonzero((places >= start) & (places < start + len(columns)))
            table = predict(columns)
            predictions[cells] = table[self.models[cells], places[cells] - start]
        return predictions

    def served(self, models: Matrix, items: Matrix) -> Matrix:
        """Return predictions of stored vectors: float32, n.

        Args:
            models: M x d.
            items: N x (d + 1), with offsets.
        """
        return sigmoid(logits(models, items, self.models, self.items))

    def metrics(self, predictions: Matrix) -> dict[str, float]:
        """Return all metrics of predictions, n."""
        return cell_metrics(self.outcomes, predictions, self.models, self.items)


def logits(models: Matrix, items: Matrix, rows: Places, columns: Places) -> Matrix:
    """Return the logits of n models, by row, on n items, by column: float32, n.

    Args:
        models: M x d.
        items: N x (d + 1), with offsets.
        rows: n.
        columns: n.
    """
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CELLS_AT_ONCE):
        part = slice(start, start + _CELLS_AT_ONCE)
        sides = items[columns[part]]
        found[part] = np.einsum("nd,nd->n", models[rows[part]], sides[:, :-1]) + sides[:, -1]
    return found
