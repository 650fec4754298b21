"""Gain: difference of two versions' log losses on the same outcomes, with its standard error."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Floats, Reals
from registry.learning.factorization.problem import LEAST

SEEDS = 0.002
"""Log loss, in nats, that seeds alone make as difference: a smaller gain is not clear."""

CONFIDENCE = 0.975
"""Probability that a version that has not changed shows no clear gain, and likewise no loss."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a candidate gains against the current version, in nats an outcome.

    Attributes:
        mean: log loss of the current version minus the candidate's; below 0, a loss.
        error: standard error of the mean over models or over items, whichever is larger; infinite
            where there is but one of both.
        count: number of outcomes.
    """

    mean: float
    error: float
    count: int

    @property
    def clear(self) -> bool:
        """Whether the gain is beyond noise: that of the outcomes, and that of seeds."""
        return self.mean > max(SEEDS, quantile(1) * self.error)

    def lost(self, margin: float, among: int) -> bool:
        """Return whether the loss is beyond a margin and noise.

        Args:
            margin: in nats, at least 0.
            among: number of gains that are tested together: of many, some seem to lose by chance
                (Bonferroni's correction).
        """
        return -self.mean > margin + quantile(among) * self.error

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ± {self.error:.4f}"


def quantile(among: int) -> float:
    """Return the standard errors beyond which one of several means is not chance."""
    return NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / among)


def gain(
    current: Floats, candidate: Floats, models: NDArray[np.intp], items: NDArray[np.intp]
) -> Gain:
    """Return the gain of a candidate.

    Outcomes of one model, and of one item, are not independent: errors are those of sums over
    clusters (Cameron and Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015).

    Args:
        current: n, losses of the current version by outcome.
        candidate: n, losses of the candidate on the same outcomes.
        models: n, the model of each.
        items: n, the item of each.
    """
    gains = np.asarray(current, np.float64) - candidate
    if not gains.size:
        return Gain(0.0, float("inf"), 0)
    errors = [_error(gains, clusters) for clusters in (models, items)]
    known = [error for error in errors if error is not None]
    return Gain(float(gains.mean()), max(known, default=float("inf")), gains.size)


def losses(outcomes: Floats, predictions: Floats) -> Reals:
    """Return the log loss of each prediction, in nats: float64, n."""
    p = np.clip(np.asarray(predictions, np.float64), LEAST, 1 - LEAST)
    return np.asarray(-outcomes * np.log(p) - (1 - outcomes) * np.log1p(-p), np.float64)


def _error(values: Reals, clusters: NDArray[np.intp]) -> float | None:
    """Return the standard error of a mean over clusters; None for one cluster."""
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, values - values.mean())
    count = len(sums)
    if count < 2:  # noqa: PLR2004
        return None
    return float(np.sqrt((sums**2).sum() * count / (count - 1))) / values.size
