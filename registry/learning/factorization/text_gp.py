"""Gaussian process regression of outcomes on what items say.

All models share one kernel over items; their residuals are rotated onto their principal
components, so that what the models have in common (an item's difficulty) and what tells them apart
each have their own signal to noise, found by marginal likelihood (Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, sections 2.2, 5.4 and 8.1). Kernel: a Gaussian of the texts'
vectors plus weighted common words, times a Gaussian of the texts' surface. Of many items some are
landmarks (Nystroem), so the work grows linearly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.problem import (
    Columns,
    Fit,
    ItemTexts,
    Matrix,
    Problem,
    clipped,
)
from registry.learning.factorization.ridge import ridge
from registry.workers import Progress, no_progress

COMPONENTS = 64
FURTHEST = 0.01
"""Least probability: a regression on 0 and 1 may go beyond them."""


@dataclass(frozen=True, slots=True)
class TextRegression:
    """Kernel regression of outcomes on texts.

    Attributes:
        width: inverse squared length scale over encoder vectors, whose squared distance is 0 to 4.
        words: weight of common words beside the vectors, which weigh 1.
        traits: inverse squared length scale over traits, which have unit variance.
        landmarks: how many items span the functions that can be learned.
    """

    width: float = 2.0
    words: float = 0.5
    traits: float = 0.05
    landmarks: int = 2500

    @property
    def name(self) -> str:
        """What the method is called."""
        return "text-regression"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Solve for the weights; see `Method.fit`. Items without text get the model's mean."""
        del check
        means = MeanScore("models").fit(problem)
        told = problem.told
        texts = problem.texts
        if texts is None or not (told & texts.known).any():
            return Fit(self, means.predict)
        past = np.flatnonzero(told & texts.known)
        on_progress(self.name, 1, 3)
        chosen = np.random.default_rng(seed).permutation(past)[: self.landmarks]
        basis = _Basis.of(self, texts, past, np.sort(chosen), device)
        features = basis.features(past)
        on_progress(self.name, 2, 3)
        level = means.predict(past[:1])[:, :1]
        residuals = _filled(problem.outcomes[:, past] - level)
        rotation, targets = _components(torch.from_numpy(residuals.T.copy()).to(device))
        weights = ridge(features, targets)
        on_progress(self.name, 3, 3)

        def predict(columns: Columns) -> Matrix:
            found = means.predict(columns)
            there = texts.known[columns]
            if there.any():
                scores = (basis.features(columns[there]) @ weights) @ rotation.T
                found[:, there] = np.clip(level + scores.T.cpu().numpy(), FURTHEST, 1 - FURTHEST)
            return clipped(found)

        return Fit(self, predict)


class _Basis(NamedTuple):
    """Features whose inner product is the kernel as far as the landmarks span it."""

    method: TextRegression
    vectors: Tensor
    traits: Tensor
    texts: ItemTexts
    landmarks: NDArray[np.intp]
    root: Tensor

    @classmethod
    def of(
        cls,
        method: TextRegression,
        texts: ItemTexts,
        past: NDArray[np.intp],
        landmarks: NDArray[np.intp],
        device: str,
    ) -> "_Basis":
        mean, spread = texts.traits[past].mean(0), texts.traits[past].std(0)
        traits = (texts.traits - mean) / np.where(spread > 0, spread, 1)
        basis = cls(
            method,
            torch.from_numpy(np.nan_to_num(texts.vectors)).to(device),
            torch.from_numpy(np.nan_to_num(traits).astype(np.float32)).to(device),
            texts,
            landmarks,
            torch.zeros(0),
        )
        values, vectors = torch.linalg.eigh(basis._kernel(landmarks).double())
        kept = values > values[-1] * 1e-6
        return basis._replace(root=(vectors[:, kept] / values[kept].sqrt()).float())

    def _kernel(self, items: NDArray[np.intp]) -> Tensor:
        method, marks = self.method, self.landmarks
        at = torch.from_numpy(items).to(self.vectors.device)
        to = torch.from_numpy(marks).to(self.vectors.device)
        cosines = self.vectors[at] @ self.vectors[to].T
        kernel = torch.exp(method.width * (cosines - 1))
        if method.words:
            common = (self.texts.words[items] @ self.texts.words[marks].T).toarray()
            kernel += method.words * torch.from_numpy(common.astype(np.float32)).to(at.device)
        if method.traits:
            kernel *= torch.exp(-method.traits * torch.cdist(self.traits[at], self.traits[to]) ** 2)
        return kernel

    def features(self, items: NDArray[np.intp]) -> Tensor:
        """Return features of items, n x f."""
        return torch.cat(
            [
                self._kernel(items[start : start + 8192]) @ self.root
                for start in range(0, len(items), 8192)
            ]
        )


def _filled(residuals: Matrix) -> Matrix:
    """Put the item's mean residual where a model was not observed."""
    seen = ~np.isnan(residuals)
    means = np.where(seen, residuals, 0).sum(0) / np.maximum(seen.sum(0), 1)
    return np.where(seen, residuals, means[None]).astype(np.float32)


def _components(residuals: Tensor) -> tuple[Tensor, Tensor]:
    """Return principal directions, M x r, and the residuals (n x M) in them, n x r."""
    rank = min(*residuals.shape, COMPONENTS)
    if min(residuals.shape) <= 4 * COMPONENTS:
        rotation = torch.linalg.svd(residuals, full_matrices=False).Vh.T[:, :rank]
    else:
        torch.manual_seed(0)
        rotation = torch.svd_lowrank(residuals, q=rank, niter=4)[2]
    return rotation, residuals @ rotation
