"""Nearest neighbours by text: mean outcomes on similar items (METHODS.md sections 1 and 3)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Fit,
    Matrix,
    Problem,
    clipped,
)

ITEMS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Mean outcome on the k nearest items, without the item itself.

    Attributes:
        k: number of neighbours; 131 in EmbedLLM's baseline.
        sharpness: the weights are the softmax of the cosine times this; 0 weighs all equally.
    """

    k: int = 131
    sharpness: float = 0.0

    @property
    def name(self) -> str:
        """Name of the method."""
        return "weighted-knn" if self.sharpness else "knn"

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Keep the outcomes; see `Method.fit`. Items without text get the model's mean."""
        del check
        means = MeanScore("models").fit(problem)
        readable, device = problem.readable_items, context.device
        past = np.flatnonzero(problem.observed_items & readable)
        if problem.texts is None or not len(past):
            return Fit(self, means.predict)
        vectors = torch.from_numpy(np.nan_to_num(problem.texts.vectors)).to(device)
        values = torch.from_numpy(problem.outcomes[:, past].T.copy()).to(device)
        observed = ~values.isnan()
        # A tenth of an outcome at the model's mean, for where no neighbour was observed.
        prior = torch.from_numpy(means.predict(past[:1])[:, 0]).to(device)
        filled = torch.where(observed, values, 0)
        items = torch.from_numpy(past).to(device)

        def predict(columns: Columns) -> Matrix:
            predicted = means.predict(columns)
            for start in range(0, len(columns), ITEMS_AT_ONCE):
                block = slice(start, start + ITEMS_AT_ONCE)
                queries = torch.from_numpy(columns[block]).to(device)
                weights = self._weights(vectors, items, queries)
                sums = weights @ filled + 0.1 * prior / self.k
                counts = weights @ observed.to(weights.dtype) + 0.1 / self.k
                predicted[:, block] = (sums / counts).T.cpu().numpy()
            return clipped(np.where(readable[columns], predicted, means.predict(columns)))

        return Fit(self, predict)

    def _weights(self, vectors: Tensor, items: Tensor, queries: Tensor) -> Tensor:
        """Return the weights of the items, queries x items, 0 beyond the nearest; they sum to 1."""
        cosines = vectors[queries] @ vectors[items].T
        cosines[queries[:, None] == items] = -torch.inf
        top = cosines.topk(min(self.k, len(items)), dim=1)
        scores = torch.where(top.values.isinf(), top.values, top.values * self.sharpness)
        scores[scores.isinf().all(1)] = 0
        return torch.zeros_like(cosines).scatter_(1, top.indices, scores.softmax(1))
