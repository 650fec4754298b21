"""Features of models for a model of scores: similarities in the catalog, and trends."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.coldstart.kernel import Kernel, SimilaritiesTo

LANDMARKS = 1024
"""Models whose kernel functions span the features, at most."""

MOST_FEATURES = 256
"""Features of similarity, at most: the principal ones."""

NEGLIGIBLE = 1e-7
"""Eigenvalues below this share of the largest count as zero."""

TRENDS = ("dates", "sizes")
"""Feature blocks along which scores change steadily, beyond all models that are known."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelFeatureSpace:
    """Map from feature blocks of models to features, which new models fit into.

    The first features are those of the catalog's kernel (Nystroem's approximation: Rasmussen and
    Williams 2006, section 8.1), the last are the date and the log2 size, in standard deviations.
    The kernel alone would draw the newest models towards the mean; a trend goes on.

    Attributes:
        similarities: to the landmarks.
        axes: float64, landmarks x f: from similarities to features.
        centre: float64, f: mean of those features.
        trends: float64, 2 x t: mean and standard deviation of each trend.
    """

    similarities: SimilaritiesTo
    axes: Reals
    centre: Reals
    trends: Reals

    @classmethod
    def of(cls, models: FeatureBlocks, *, most: int = MOST_FEATURES, seed: int = 0) -> Self:
        """Fit the space to models.

        Args:
            models: feature blocks, best of the models with scores.
            most: features of similarity, at most.
            seed: of the choice of landmarks.
        """
        kernel, rng = Kernel(), np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(models))[:LANDMARKS])
        towards = kernel.towards(models.rows(chosen))
        similar = towards(models).astype(np.float64)
        values, vectors = np.linalg.eigh(similar[chosen])
        kept = values > max(float(values[-1]), 0.0) * NEGLIGIBLE
        root = vectors[:, kept] / np.sqrt(values[kept])
        features = similar @ root
        scale = np.sqrt(max(float(kernel.own(models).mean()), NEGLIGIBLE))
        centred = features - features.mean(axis=0)
        squares, principal = np.linalg.eigh(centred.T @ centred)
        kept = squares[::-1][:most] > NEGLIGIBLE * max(float(squares[-1]), NEGLIGIBLE)
        axes = root @ principal[:, ::-1][:, :most][:, kept] / scale
        known = [getattr(models, name) for name in TRENDS]
        known = [values[~np.isnan(values)] for values in known]
        trends = np.array(
            [
                [each.mean() if len(each) else 0.0 for each in known],
                [(each.std() if len(each) else 0.0) or 1.0 for each in known],
            ]
        )
        return cls(towards, axes, (similar @ axes).mean(axis=0), trends)

    @property
    def groups(self) -> Places:
        """Group of each feature: 0 for similarities, then one a trend."""
        return np.append(np.zeros(len(self.centre), np.intp), 1 + np.arange(len(TRENDS)))

    def features(self, models: FeatureBlocks) -> Reals:
        """Return features, float64, n x f; their mean over the models of the fit is 0.

        A model of unknown date or size has that of the mean.
        """
        similar = self.similarities(models).astype(np.float64) @ self.axes - self.centre
        trends = np.column_stack([getattr(models, name) for name in TRENDS])
        return np.column_stack([similar, np.nan_to_num((trends - self.trends[0]) / self.trends[1])])
