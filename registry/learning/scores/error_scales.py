"""Scales of errors by model: how far predictions of models like this one are off."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.scores.drift import Drift
from registry.learning.scores.factors import posterior
from registry.learning.scores.feature_prior import FeaturePrior
from registry.learning.scores.observations import ScoreObservations

KINDS = 2
"""Kinds of predictions: of models without other scores, and with some."""

ROUNDS = 20
"""Rounds of updates."""

FIRST, EXPECTED = 0.2, 0.05
"""Variances of log scales before any round, and those that learned ones are drawn towards."""

LEAST_RATIO = 0.01
"""Smaller ratios of error to deviation count as this, since their logarithm has no bound."""

MEAN_LOG, VARIANCE_LOG = -0.635, 1.234
"""Mean and variance of ln |x| for a standard normal x."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorScales:
    """Factors on the deviations of predictions, from features of models.

    A Gaussian process of the logarithm of |error| / deviation of held-out scores (as in Goldberg,
    Williams and Bishop 1998, Regression with Input-Dependent Noise): large or unusual models are
    predicted with larger errors than the abilities' covariance says.

    Attributes:
        prior: of the two log scales, one a kind; its rows are the models with held-out scores.
        known: intp: those models.
        alone: float64, M x 2: scales without the model's own errors.
        drift: of later models without scores.
    """

    prior: FeaturePrior
    known: Places
    alone: Reals
    drift: Drift = field(default_factory=Drift)

    @classmethod
    def of(
        cls, observations: ScoreObservations, rows: Places, kinds: Places, ratios: Reals
    ) -> Self:
        """Learn scales from n held-out scores.

        Args:
            observations: with features of the M models.
            rows: n, models.
            kinds: n, 0 or 1.
            ratios: n, |error| / deviation.
        """
        cells = rows * KINDS + kinds
        logs = np.log(np.maximum(ratios, LEAST_RATIO)) - MEAN_LOG
        size = observations.models * KINDS
        counts = np.bincount(cells, minlength=size).reshape(-1, KINDS) / VARIANCE_LOG
        sums = np.bincount(cells, logs, size).reshape(-1, KINDS) / VARIANCE_LOG
        known = np.flatnonzero(counts.any(axis=1))
        first, expected = np.full(KINDS, FIRST), np.full(KINDS, EXPECTED)
        prior = FeaturePrior.of(
            observations.features[known],
            first,
            first,
            expected=(expected, expected),
            groups=observations.groups,
        )
        information = counts[known][:, :, None] * np.eye(KINDS)
        found = prior.means()
        for _ in range(ROUNDS):
            found, covariances = posterior(information, sums[known], prior.means(), prior.noise)
            prior.learn(found, pull=np.zeros(KINDS))
            prior.learn_variances(found, np.einsum("nii->ni", covariances))
        alone = np.ones((observations.models, KINDS))
        alone[known] = np.exp(prior.others(found)[0])
        return cls(prior, known, alone)

    def scales(self, features: Reals) -> Reals:
        """Return the scales of any n models, n x 2.

        Args:
            features: n x f.
        """
        scales = np.exp(self.prior.mean + features @ self.prior.slopes)
        scales[:, 0] *= self.drift.factors(features, self.prior.groups)
        return np.asarray(scales)
