"""Fit of a model of scores, with intervals measured on scores that inner fits do not see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import CPU, Context
from registry.learning.metrics import calibration_error
from registry.learning.scores.conformal import GROUPS, ScoreCalibration, ScorePredictions
from registry.learning.scores.drift import Drift, latest_scores
from registry.learning.scores.error_scales import ErrorScales
from registry.learning.scores.links import ScoreLinks
from registry.learning.scores.names import name_features
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.score_estimate import EstimatedFactors
from registry.learning.scores.score_fit import HeldOutFigures, ScoreFit, intervals, trust

DIMENSIONS = 9
"""Dimensions, at most; the priors turn off those that are not needed."""

FOLDS = 5
"""Parts of the scores, and of the models, that inner fits do not see."""

TOLERANCE = 0.05
"""Tolerance at which the calibration of trust is measured."""

COVERED = 0.9
"""Level at which coverage is measured."""


class _HeldOut(NamedTuple):
    """Predictions of scores that were held out: which score each is of, and in which fold."""

    places: Places
    folds: Places
    predictions: ScorePredictions


def fit(observations: ScoreObservations, context: Context = CPU) -> ScoreFit:
    """Fit a model of scores.

    Args:
        observations: scores on the working scale, with features of models.
        context: its seed draws the folds; steps of progress are the fits.

    Raises:
        UsageError: for too few scores, or scores of one model only.
    """
    observations.check_enough()
    similar = name_features(observations.names)
    dimensions = max(1, min(DIMENSIONS, observations.benchmarks, len(set(observations.rows)) - 1))
    rng = np.random.default_rng(context.seed)
    by_cell = _folds(rng, len(observations))
    by_model = _folds(rng, observations.models)[observations.rows]
    step = _Steps(context)
    estimate = EstimatedFactors.of(observations, dimensions, similar)
    cells = _held_out(observations, by_cell, dimensions, similar, step)
    models = _held_out(observations, by_model, dimensions, similar, step)
    both = _joined(cells, models)
    scales = _error_scales(both, observations)
    both, cells = (_scaled(each, observations, scales) for each in (both, cells))
    calibration = ScoreCalibration.of(
        both.predictions, observations.values[both.places], observations.benchmarks
    )
    step()
    factor = _later_ratio(observations, dimensions, similar, scales, calibration)
    scales = replace(scales, drift=Drift.of(observations, factor))
    links = observations.scales
    fields = {name: getattr(estimate, name) for name in EstimatedFactors.__slots__}
    return ScoreFit(
        **{**fields, "scales": scales.scales(observations.features)},
        links=links,
        error_scales=scales,
        calibration=calibration,
        held_out=_figures(both, observations, links),
        left_out=cells.predictions.only(np.argsort(cells.places)),
    )


class _Steps:
    """Progress of the fits: one of all scores, and those that do not see some, or the latest."""

    def __init__(self, context: Context) -> None:
        self.on_progress, self.done = context.on_progress, -1
        self()

    def __call__(self) -> None:
        """Count the fit before as done."""
        self.done += 1
        self.on_progress("fitting predicted scores", self.done, 1 + 2 * FOLDS + 1)


def _error_scales(held: _HeldOut, observations: ScoreObservations) -> ErrorScales:
    """Return scales learned from errors of held-out scores."""
    predictions = held.predictions
    ratios = np.abs(predictions.mean - observations.values[held.places]) / predictions.sd
    kinds = (predictions.groups > 0).astype(np.intp)
    return ErrorScales.of(observations, observations.rows[held.places], kinds, ratios)


def _scaled(held: _HeldOut, observations: ScoreObservations, scales: ErrorScales) -> _HeldOut:
    """Return predictions with scales that leave each model's own errors out."""
    kinds = (held.predictions.groups > 0).astype(np.intp)
    own = scales.alone[observations.rows[held.places], kinds]
    return held._replace(predictions=replace(held.predictions, sd=held.predictions.sd * own))


def _later_ratio(
    observations: ScoreObservations,
    dimensions: int,
    similar: Reals,
    scales: ErrorScales,
    calibration: ScoreCalibration,
) -> float:
    """Return how much wider intervals of the latest models are to be to hold as many scores.

    Their scores are predicted by a fit to those of all earlier models; 1 where too few are late.
    """
    later = latest_scores(observations)
    if later is None:
        return 1.0
    rows, columns = observations.rows[later], observations.columns[later]
    found = EstimatedFactors.of(observations.only(~later), dimensions, similar)
    predictions = found.predict(rows, columns)
    scaled = replace(predictions, sd=predictions.sd * scales.alone[rows, 0])
    ratios = np.abs(scaled.mean - observations.values[later]) / calibration.deviations(scaled)
    usual = np.interp(COVERED, calibration.levels, calibration.quantiles[0])
    return float(np.quantile(ratios, COVERED) / usual)


def _folds(rng: np.random.Generator, count: int) -> Places:
    """Return the fold of each of some scores or models, in equal parts."""
    return np.asarray(rng.permutation(count) % FOLDS, np.intp)


def _held_out(
    observations: ScoreObservations,
    folds: Places,
    dimensions: int,
    similar: Reals,
    step: "_Steps",
) -> _HeldOut:
    """Return predictions of each fold's scores by a fit to those of the others."""
    places, parts = [], []
    for fold in np.unique(folds):
        step()
        hidden = folds == fold
        rows, columns = observations.rows[hidden], observations.columns[hidden]
        rest = observations.only(~hidden)
        if len(rest):
            parts.append(EstimatedFactors.of(rest, dimensions, similar).predict(rows, columns))
            places.append(np.flatnonzero(hidden))
    which = np.concatenate(places)
    return _HeldOut(which, folds[which], _stacked(parts))


def _joined(*several: _HeldOut) -> _HeldOut:
    return _HeldOut(
        np.concatenate([each.places for each in several]),
        np.concatenate([each.folds for each in several]),
        _stacked([each.predictions for each in several]),
    )


def _stacked(several: list[ScorePredictions]) -> ScorePredictions:
    return ScorePredictions(
        *(
            np.concatenate([getattr(each, name) for each in several])
            for name in ScorePredictions.__slots__
        )
    )


def _figures(
    held: _HeldOut, observations: ScoreObservations, links: ScoreLinks
) -> Mapping[str, HeldOutFigures]:
    """Return figures overall and by group, each fold calibrated by the others."""
    values, columns = observations.values[held.places], held.predictions.columns
    judged = _Judged.empty(links.scores(values, columns), links.bounded[columns])
    for fold in np.unique(held.folds):
        own = held.folds == fold
        calibration = ScoreCalibration.of(
            held.predictions.only(~own), values[~own], observations.benchmarks
        )
        judged.judge(own, held.predictions.only(own), calibration, links)
    found = {"all": judged.figures(np.ones(len(values), bool))}
    for group, name in enumerate(GROUPS):
        own = held.predictions.groups == group
        if own.any():
            found[name] = judged.figures(own)
    return found


class _Judged(NamedTuple):
    """Held-out scores beside their predictions, n each."""

    truth: Reals
    shares: NDArray[np.bool_]
    within: NDArray[np.bool_]
    widths: Reals
    errors: Reals
    trust: Reals

    @classmethod
    def empty(cls, truth: Reals, shares: NDArray[np.bool_]) -> "_Judged":
        size = len(truth)
        return cls(
            truth, shares, np.zeros(size, bool), np.empty(size), np.empty(size), np.empty(size)
        )

    def judge(
        self,
        own: NDArray[np.bool_],
        predictions: ScorePredictions,
        calibration: ScoreCalibration,
        links: ScoreLinks,
    ) -> None:
        """Set what is known of some scores by their predictions."""
        score, lower, upper = intervals(calibration, links, predictions, COVERED)
        truth = self.truth[own]
        self.within[own] = (lower <= truth) & (truth <= upper)
        self.widths[own], self.errors[own] = upper - lower, np.abs(score - truth)
        self.trust[own] = trust(calibration, links, predictions, TOLERANCE)

    def figures(self, own: NDArray[np.bool_]) -> HeldOutFigures:
        """Return the figures of some scores; errors and widths are of those that are shares."""
        coverage, count = float(self.within[own].mean()), int(own.sum())
        own = own & self.shares
        if not own.any():
            return HeldOutFigures(count, coverage, *(float("nan"),) * 4)
        errors = self.errors[own]
        return HeldOutFigures(
            count,
            coverage,
            float(np.median(self.widths[own])),
            float(errors.mean()),
            float(np.median(errors)),
            calibration_error((errors <= TOLERANCE).astype(np.float64), self.trust[own]),
        )
