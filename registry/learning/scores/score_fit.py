"""Fitted model of scores: calibrated predictions of any model on any benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals
from registry.learning.scores.conformal import (
    ScoreCalibration,
    ScoreInterval,
    ScorePredictions,
)
from registry.learning.scores.links import ScoreLinks
from registry.learning.scores.score_estimate import ScaledFactors


class HeldOutFigures(NamedTuple):
    """Errors of predictions of held-out scores; widths and errors are of shares, in [0, 1].

    Attributes:
        scores: number of held-out scores.
        coverage: share within their 90% intervals.
        width: median width of those intervals; nan without scores that are shares.
        mean_error: mean absolute error, likewise.
        median_error: median absolute error, likewise.
        trust_error: expected calibration error of the probability to be within 0.05, likewise.
    """

    scores: int
    coverage: float
    width: float
    mean_error: float
    median_error: float
    trust_error: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoreFit(ScaledFactors):
    """Estimate with the calibration of its predictions.

    Attributes:
        links: working scales.
        calibration: of intervals.
        held_out: figures of inner cross-validation, of all scores as `all`, and of each group of
            `conformal.GROUPS`; each with the calibration by the other folds.
        left_out: predictions of the n observed scores by fits without them, in their order.
    """

    links: ScoreLinks
    calibration: ScoreCalibration
    held_out: Mapping[str, HeldOutFigures]
    left_out: ScorePredictions

    def intervals(self, predictions: ScorePredictions, level: float = 0.9) -> ScoreInterval:
        """Return scores with central intervals, in the units of scores, n each.

        Args:
            predictions: of n scores.
            level: in [0.5, 0.99].

        Raises:
            ValueError: for another level.
        """
        return intervals(self.calibration, self.links, predictions, level)

    def trust(self, predictions: ScorePredictions, tolerance: float = 0.05) -> Reals:
        """Return the probability that a score is within a tolerance of its prediction, n.

        Args:
            predictions: of n scores.
            tolerance: in the units of scores, above 0.
        """
        return trust(self.calibration, self.links, predictions, tolerance)


def intervals(
    calibration: ScoreCalibration, links: ScoreLinks, predictions: ScorePredictions, level: float
) -> ScoreInterval:
    """Return scores with central intervals, in the units of scores, n each."""
    half = calibration.half_widths(predictions, level)
    score, first, second = (
        links.scores(predictions.mean + shift, predictions.columns)
        for shift in (np.zeros(len(half)), -half, half)
    )
    return ScoreInterval(score, np.minimum(first, second), np.maximum(first, second))


def trust(
    calibration: ScoreCalibration,
    links: ScoreLinks,
    predictions: ScorePredictions,
    tolerance: float,
) -> Reals:
    """Return the probability that scores are within a tolerance of their predictions, n.

    Raises:
        ValueError: for a tolerance that is not above 0.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance is to be above 0, not {tolerance:g}")
    columns = predictions.columns
    scores = links.scores(predictions.mean, columns)
    ends = np.stack([links.ends(scores + shift, columns) for shift in (-tolerance, tolerance)])
    return calibration.trust(predictions, ends.min(axis=0), ends.max(axis=0))
