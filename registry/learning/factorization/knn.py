"""Outcomes on the items nearest by text (METHODS.md sections 1 and 3)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.problem import (
    Columns,
    Fit,
    Matrix,
    Problem,
    clipped,
)
from registry.workers import Progress, no_progress

ITEMS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Mean outcome on the k nearest items, the item itself left out.

    Attributes:
        k: how many items; the paper's baseline has 131.
        sharpness: weights are the softmax of the cosine times this; 0 weighs all alike.
    """

    k: int = 131
    sharpness: float = 0.0

    @property
    def name(self) -> str:
        """What the method is called."""
        return "weighted-knn" if self.sharpness else "knn"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Keep the outcomes; see `Method.fit`. Items without text get the model's mean."""
        del check, seed, on_progress
        known = MeanScore("models").fit(problem)
        told = problem.told
        has_text = (
            problem.texts.known if problem.texts is not None else np.zeros(len(told), np.bool_)
        )
        past = np.flatnonzero(told & has_text)
        if problem.texts is None or not len(past):
            return Fit(self, known.predict)
        vectors = torch.from_numpy(np.nan_to_num(problem.texts.vectors)).to(device)
        values = torch.from_numpy(problem.outcomes[:, past].T.copy()).to(device)
        seen = ~values.isnan()
        # A tenth of an outcome at the model's mean stands in where no neighbour has been observed.
        means = torch.from_numpy(known.predict(past[:1])[:, 0]).to(device)
        filled = torch.where(seen, values, 0)
        places = torch.from_numpy(past).to(device)

        def predict(columns: Columns) -> Matrix:
            found = known.predict(columns)
            for start in range(0, len(columns), ITEMS_AT_ONCE):
                some = columns[start : start + ITEMS_AT_ONCE]
                weights = self._weights(vectors, places, torch.from_numpy(some).to(device))
                sums = weights @ filled + 0.1 * means / self.k
                counts = weights @ seen.to(weights.dtype) + 0.1 / self.k
                found[:, start : start + ITEMS_AT_ONCE] = (sums / counts).T.cpu().numpy()
            return clipped(np.where(has_text[columns], found, known.predict(columns)))

        return Fit(self, predict)

    def _weights(self, vectors: Tensor, places: Tensor, asked: Tensor) -> Tensor:
        """Return the weights of all past items, n x past, 0 beyond the nearest; they sum to 1."""
        likeness = vectors[asked] @ vectors[places].T
        likeness[asked[:, None] == places] = -torch.inf
        top = likeness.topk(min(self.k, len(places)), dim=1)
        alike = torch.where(top.values.isinf(), top.values, top.values * self.sharpness)
        alike[alike.isinf().all(1)] = 0
        return torch.zeros_like(likeness).scatter_(1, top.indices, alike.softmax(1))
