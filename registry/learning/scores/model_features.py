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
        scale: float64, (): mean of the kernel of a model with itself, which counts as 1.
        lacking: float64, (): mean of what the features of the fit lack of it, likewise.
    """

    similarities: SimilaritiesTo
    axes: Reals
    centre: Reals
    trends: Reals
    scale: Reals
    lacking: Reals

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
        own = kernel.own(models)
        scale = max(float(own.mean()), NEGLIGIBLE)
        centred = features - features.mean(axis=0)
        squares, principal = np.linalg.eigh(centred.T @ centred)
        kept = squares[::-1][:most] > NEGLIGIBLE * max(float(squares[-1]), NEGLIGIBLE)
        axes = root @ principal[:, ::-1][:, :most][:, kept] / np.sqrt(scale)
        known = [getattr(models, name) for name in TRENDS]
        known = [values[~np.isnan(values)] for values in known]
        trends = np.array(
            [
                [each.mean() if len(each) else 0.0 for each in known],
                [(each.std() if len(each) else 0.0) or 1.0 for each in known],
            ]
        )
        found = similar @ axes
        lacking = float(np.maximum(own / scale - np.square(found).sum(axis=1), 0).mean())
        return cls(towards, axes, found.mean(axis=0), trends, np.array(scale), np.array(lacking))

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

    def apart(self, models: FeatureBlocks, features: Reals) -> Reals:
        """Return how much features lack of models that are unlike those of the fit, n, from 0 up.

        It is the kernel of a model with itself minus the square of its features, beyond the mean of
        that in the fit: the variance that the features alone would leave out (the fully independent
        training conditional: Snelson and Ghahramani 2006). A model of which less is stated than
        usual has the kernel of the mean.

        Args:
            models: n.
            features: of the models, n x f.
        """
        known = features[:, : len(self.centre)] + self.centre
        own = np.maximum(Kernel().own(models) / self.scale, 1)
        lacking: Reals = own - np.square(known).sum(axis=1) - self.lacking
        return np.maximum(lacking, 0)
