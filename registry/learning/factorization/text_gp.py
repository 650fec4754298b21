"""Gaussian process regression of outcomes on items' texts.

All models share one kernel over items. Their residuals are rotated onto their principal components,
so that what models have in common (item difficulty) and what distinguishes them each have their own
signal-to-noise ratio, chosen by marginal likelihood (Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, sections 2.2, 5.4 and 8.1). Kernel: (Gaussian of text vectors + weighted
common words) * Gaussian of surface traits. With many items, some of them are landmarks (Nystroem),
so that the cost is linear in the items.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Fit,
    ItemTexts,
    Matrix,
    Problem,
    clipped,
)
from registry.learning.factorization.ridge import ridge

COMPONENTS = 64
"""Principal components of the models' residuals, at most."""

FURTHEST = 0.01
"""Least predicted probability: a linear regression may leave [0, 1]."""


@dataclass(frozen=True, slots=True)
class TextRegression:
    """Kernel regression of outcomes on items' texts.

    Attributes:
        width: inverse squared length scale over encoder vectors, whose squared distance is 0 to 4.
        words: weight of the kernel of common words; that of the vectors is 1.
        traits: inverse squared length scale over traits, which have unit variance.
        landmarks: number of items whose kernel functions span the regression, at most.
    """

    width: float = 2.0
    words: float = 0.5
    traits: float = 0.05
    landmarks: int = 2500

    @property
    def name(self) -> str:
        """Name of the method."""
        return "text-regression"

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Solve for the weights; see `Method.fit`. Items without text get the model's mean."""
        del check
        means = MeanScore("models").fit(problem)
        texts = problem.texts
        past = np.flatnonzero(problem.observed_items & problem.readable_items)
        if texts is None or not len(past):
            return Fit(self, means.predict)
        context.on_progress(self.name, 1, 3)
        chosen = np.random.default_rng(context.seed).permutation(past)[: self.landmarks]
        basis = _Basis.of(self, texts, past, np.sort(chosen), context.device)
        features = basis.features(past)
        context.on_progress(self.name, 2, 3)
        level = means.predict(past[:1])[:, :1]
        residuals = _filled(problem.outcomes[:, past] - level)
        rotation, targets = principal_components(
            torch.from_numpy(residuals.T.copy()).to(context.device)
        )
        weights = ridge(features, targets)
        context.on_progress(self.name, 3, 3)

        def predict(columns: Columns) -> Matrix:
            predicted = means.predict(columns)
            readable = texts.present[columns]
            if readable.any():
                scores = (basis.features(columns[readable]) @ weights) @ rotation.T
                regressed = level + scores.T.cpu().numpy()
                predicted[:, readable] = np.clip(regressed, FURTHEST, 1 - FURTHEST)
            return clipped(predicted)

        return Fit(self, predict)


class _Basis(NamedTuple):
    """Nystroem features: their inner product is the kernel, within the span of the landmarks."""

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
        positive = values > values[-1] * 1e-6
        return basis._replace(root=(vectors[:, positive] / values[positive].sqrt()).float())

    def _kernel(self, items: NDArray[np.intp]) -> Tensor:
        method, landmarks = self.method, self.landmarks
        left = torch.from_numpy(items).to(self.vectors.device)
        right = torch.from_numpy(landmarks).to(self.vectors.device)
        cosines = self.vectors[left] @ self.vectors[right].T
        kernel = torch.exp(method.width * (cosines - 1))
        if method.words:
            common = (self.texts.words[items] @ self.texts.words[landmarks].T).toarray()
            kernel += method.words * torch.from_numpy(common.astype(np.float32)).to(left.device)
        if method.traits:
            distances = torch.cdist(self.traits[left], self.traits[right])
            kernel *= torch.exp(-method.traits * distances**2)
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
    """Impute the item's mean residual where a model was not observed."""
    observed = ~np.isnan(residuals)
    means = np.where(observed, residuals, 0).sum(0) / np.maximum(observed.sum(0), 1)
    return np.where(observed, residuals, means[None]).astype(np.float32)


def principal_components(residuals: Tensor) -> tuple[Tensor, Tensor]:
    """Return principal directions, M x r, and the residuals (n x M) projected on them, n x r."""
    rank = min(*residuals.shape, COMPONENTS)
    if min(residuals.shape) <= 4 * COMPONENTS:
        rotation = torch.linalg.svd(residuals, full_matrices=False).Vh.T[:, :rank]
    else:
        torch.manual_seed(0)
        rotation = torch.svd_lowrank(residuals, q=rank, niter=4)[2]
    return rotation, residuals @ rotation
