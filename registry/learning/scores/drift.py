"""Drift: how much further off predictions of models later than all with scores are.

Scores of new models rise faster, or slower, than any trend says. Intervals that were measured on
models hidden at random are too narrow for them, so the latest ones are hidden as well.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.scores.observations import ScoreObservations

DATES = 1
"""Group of the feature that is a model's date, see `ModelFeatureSpace`; 0 where it is unknown."""

LATEST = 0.2
"""Share of the models with scores and dates that are hidden to measure drift."""

LEAST_LATER = 10
"""Models in that share from which on it is measured."""

MOST = 4.0
"""Greatest factor on deviations."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Factor on deviations of predictions of later models without scores.

    Attributes:
        latest: date of the latest model with scores, as a feature; models beyond are later.
        factor: at least 1.
    """

    latest: float = np.inf
    factor: float = 1.0

    @classmethod
    def of(cls, observations: ScoreObservations, factor: float) -> Self:
        """Return the drift beyond the models with scores.

        Args:
            observations: with features of the M models.
            factor: as it was measured; it is bounded to [1, MOST].
        """
        dates = dates_of(observations.features, observations.groups)
        scored = dates[np.unique(observations.rows)]
        latest = float(scored.max()) if scored.any() else np.inf
        return cls(latest, float(np.clip(factor, 1, MOST)))

    def factors(self, features: Reals, groups: Places) -> Reals:
        """Return the factor of each of n models.

        Args:
            features: n x f.
            groups: f, of the features.
        """
        return np.where(dates_of(features, groups) > self.latest, self.factor, 1.0)


def dates_of(features: Reals, groups: Places | None) -> Reals:
    """Return the dates among features, n; 0 where unknown, and where no feature is a date."""
    if groups is None or DATES not in groups:
        return np.zeros(len(features))
    return np.asarray(features[:, int(np.flatnonzero(groups == DATES)[0])])


def latest_scores(observations: ScoreObservations) -> NDArray[np.bool_] | None:
    """Return which scores are of the latest models with dates, n; None where too few are."""
    dates = dates_of(observations.features, observations.groups)
    models = np.unique(observations.rows)
    known = dates[models][dates[models] != 0]
    if len(known) * LATEST < LEAST_LATER:
        return None
    later = dates > np.quantile(known, 1 - LATEST)
    if later[models].sum() < LEAST_LATER:
        return None
    return np.asarray(later[observations.rows])
