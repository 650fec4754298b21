"""Mean scores, the baseline of every other method (METHODS.md section 2, MeanScore)."""

from dataclasses import dataclass

import numpy as np

from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Fit,
    Matrix,
    Problem,
    clipped,
)


@dataclass(frozen=True, slots=True)
class MeanScore:
    """Mean outcome of the item or of the model.

    Attributes:
        of: items: the item's mean where it has outcomes, else the model's, else the overall mean;
            models: the model's mean on every item, else the overall mean.
    """

    of: str = "items"

    @property
    def name(self) -> str:
        """Name of the method."""
        return "item-mean" if self.of == "items" else "model-mean"

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Compute the means; see `Method.fit`."""
        del check, context
        observed = problem.observed
        values = np.where(observed, problem.outcomes, 0)
        overall = values.sum(dtype=np.float64) / max(1, observed.sum())
        model_means = _means(values.sum(1, dtype=np.float64), observed.sum(1), overall)
        item_means = _means(values.sum(0, dtype=np.float64), observed.sum(0), np.nan)

        def predict(columns: Columns) -> Matrix:
            rows = np.repeat(model_means[:, None], len(columns), axis=1)
            if self.of == "models":
                return clipped(rows)
            means = item_means[columns]
            return clipped(np.where(np.isnan(means)[None], rows, means[None]))

        return Fit(self, predict)


def _means(
    sums: np.ndarray[tuple[int], np.dtype[np.float64]],
    counts: np.ndarray[tuple[int], np.dtype[np.int_]],
    default: float,
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), default)
