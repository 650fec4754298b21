"""Features of models for a model of scores: similarities in the catalog, and trends."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.coldstart.kernel_features import MOST_FEATURES, KernelSpace

TRENDS = ("dates", "sizes")
"""Feature blocks along which scores change steadily, beyond all models that are known."""

LEAST_STATED = 10
"""Models that state a date, or a size, from which on a trend is learned."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelFeatureSpace:
    """Map from feature blocks of models to features, which new models fit into.

    The first features are those of the catalog's kernel, the last are the date and the log2 size,
    in standard deviations. The kernel alone would draw the newest models towards the mean; a trend
    goes on.

    Attributes:
        similar: features of the kernel.
        trends: float64, 2 x t: mean and standard deviation of each trend; infinite where too few
            models of the fit state it, so that it counts for none.
    """

    similar: KernelSpace
    trends: Reals

    @classmethod
    def of(cls, models: FeatureBlocks, *, most: int = MOST_FEATURES, seed: int = 0) -> Self:
        """Fit the space to models.

        Args:
            models: feature blocks, best of the models with scores.
            most: features of similarity, at most.
            seed: of the choice of landmarks.
        """
        similar, _ = KernelSpace.fitted(models, most=most, seed=seed)
        return cls(similar, np.array([_trend(getattr(models, name)) for name in TRENDS]).T)

    @property
    def groups(self) -> Places:
        """Group of each feature: 0 for similarities, then one a trend."""
        similar = np.zeros(len(self.similar.centre), np.intp)
        return np.append(similar, 1 + np.arange(len(TRENDS)))

    def features(self, models: FeatureBlocks) -> Reals:
        """Return features, float64, n x f; their mean over the models of the fit is 0.

        A model of unknown date or size has that of the mean.
        """
        trends = np.column_stack([getattr(models, name) for name in TRENDS])
        trends = np.nan_to_num((trends - self.trends[0]) / self.trends[1])
        return np.column_stack([self.similar.features(models), trends])

    def apart(self, models: FeatureBlocks, features: Reals) -> Reals:
        """Return how much features lack of models that are unlike those of the fit, n, from 0 up.

        Args:
            models: n.
            features: of the models, n x f.
        """
        return self.similar.apart(models, features[:, self.groups == 0])


def _trend(values: Reals) -> tuple[float, float]:
    """Return mean and standard deviation of what models state; infinite where they say no trend."""
    stated = values[~np.isnan(values)]
    if len(stated) < LEAST_STATED or not stated.std():
        return 0.0, np.inf
    return float(stated.mean()), float(stated.std())
