"""Kernel features of models: vectors whose inner products are the catalog's similarities."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Reals
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.coldstart.kernel import Kernel, SimilaritiesTo

LANDMARKS = 1024
"""Models whose kernel functions span the features, at most."""

MOST_FEATURES = 256
"""Features, at most: the principal ones. With 800, the mean outcome of metabench's models is
predicted with R-squared 0.66, with 256 with 0.63, with 64 with 0.57, leaving each model out."""

NEGLIGIBLE = 1e-7
"""Eigenvalues below this share of the largest count as zero."""


@dataclass(frozen=True, slots=True, eq=False)
class KernelSpace:
    """Map from feature blocks of models to f features, which new models fit into.

    Nystroem's approximation (Rasmussen and Williams 2006, section 8.1), rotated onto its principal
    axes. A model of mean square similarity has length about 1.

    Attributes:
        similarities: to the landmarks.
        axes: float64, landmarks x f: from similarities to features.
        centre: float64, f: mean of those features.
        scale: float64, (): mean of the kernel of a model with itself, which counts as 1.
        lacking: float64, (): mean of what the features of the fit lack of it, likewise.
    """

    similarities: SimilaritiesTo
    axes: Reals
    centre: Reals
    scale: Reals
    lacking: Reals

    @classmethod
    def fitted(
        cls, models: FeatureBlocks, *, most: int = MOST_FEATURES, seed: int = 0
    ) -> tuple[Self, Reals]:
        """Fit the space to M models; return it with their features, M x f, of mean 0.

        Args:
            models: feature blocks.
            most: features, at most.
            seed: of the choice of landmarks.
        """
        kernel, rng = Kernel(), np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(len(models))[:LANDMARKS])
        towards = kernel.towards(models.rows(chosen))
        similar = towards(models).astype(np.float64)
        values, vectors = np.linalg.eigh(similar[chosen])
        kept = values > max(float(values[-1]), 0.0) * NEGLIGIBLE
        root = vectors[:, kept] / np.sqrt(values[kept])
        own = kernel.own(models)
        scale = max(float(own.mean()), NEGLIGIBLE)
        centred = similar @ root
        centred -= centred.mean(axis=0)
        squares, principal = np.linalg.eigh(centred.T @ centred)
        kept = squares[::-1][:most] > NEGLIGIBLE * max(float(squares[-1]), NEGLIGIBLE)
        axes = root @ principal[:, ::-1][:, :most][:, kept] / np.sqrt(scale)
        found = similar @ axes
        lacking = float(np.maximum(own / scale - np.square(found).sum(axis=1), 0).mean())
        centre = found.mean(axis=0)
        space = cls(towards, axes, centre, np.array(scale), np.array(lacking))
        return space, found - centre

    def features(self, models: FeatureBlocks) -> Reals:
        """Return features, float64, n x f; their mean over the models of the fit is 0."""
        return np.asarray(self.similarities(models).astype(np.float64) @ self.axes - self.centre)

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
        own = np.maximum(Kernel().own(models) / self.scale, 1)
        lacking: Reals = own - np.square(features + self.centre).sum(axis=1) - self.lacking
        return np.maximum(lacking, 0)


def kernel_features(models: FeatureBlocks, seed: int = 0) -> Reals:
    """Return features of models, float64, M x f, whose mean over the models is 0.

    Args:
        models: features of M models.
        seed: of the choice of landmarks.
    """
    return KernelSpace.fitted(models, most=MOST_FEATURES, seed=seed)[1]
