"""Mean scores: what every other method has to beat (METHODS.md section 2, MeanScore)."""

from dataclasses import dataclass

import numpy as np

from registry.learning.factorization.problem import (
    Columns,
    Fit,
    Matrix,
    Problem,
    clipped,
)
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The item's mean where it has outcomes, else the model's, else the mean of all.

    `of` says which comes first: by items, models are all alike on a known item; by models, items
    are all alike.
    """

    of: str = "items"

    @property
    def name(self) -> str:
        """What the method is called."""
        return "item-mean" if self.of == "items" else "model-mean"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Take means; see `Method.fit`."""
        del check, device, seed, on_progress
        seen = problem.observed
        values = np.where(seen, problem.outcomes, 0)
        overall = values.sum(dtype=np.float64) / max(1, seen.sum())
        model_means = _means(values.sum(1, dtype=np.float64), seen.sum(1), overall)
        item_means = _means(values.sum(0, dtype=np.float64), seen.sum(0), np.nan)

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
    otherwise: float,
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), otherwise)
