"""Calibration of prediction intervals by the errors on held-out known models.

In each fold, everything, the principal components included, is learned without the held-out models,
which are then predicted with some of their outcomes. The half width of an interval is the quantile
of the errors in predicted deviations (conformal prediction with normalised scores, across folds:
Lei et al., Distribution-Free Predictive Inference for Regression, 2018, section 5.2; Vovk,
Cross-conformal predictors, 2015).

Cross-validation assumes that models are exchangeable in time, but later ones are better. For later
models, `calibrate_onward` uses the errors of later known models predicted from earlier ones
(rolling-origin evaluation: Tashman, Out-of-sample tests of forecasting accuracy, 2000), the two
sides apart.

Placement uses `coordinate_scale`. The other functions serve the prediction of mean outcomes with
intervals, as `fold_in_linear`, which only tests and benchmarks call so far.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.coldstart import gp
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.coldstart.fold_in_linear import Accuracy, accuracy, fold
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import Components, decompose

COUNTS = (0, 10, 20, 50, 100, 300)
"""Numbers of outcomes at which errors are measured; widths between them are interpolated."""

LEVEL = 0.9
"""Coverage of the intervals."""

NORMAL = 1.6448536
"""Half width, in standard deviations, of the interval of a normal distribution at that level."""

LEAST_MODELS = 20
"""Models that a calibration needs."""

DRAWS = 4
"""Draws of the outcomes that are shown of each model: which ones are drawn makes half of the error,
and one draw from few models gives an unstable width."""

FOLDS = 10
"""Folds of the known models."""

ORIGINS = (0.4, 0.6, 0.8)
"""Shares of known models, by date, from which all later ones are predicted: errors grow with the
time ahead, and predictions are made far ahead too."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Half widths of intervals, in predicted deviations, by the number of observed outcomes.

    Attributes:
        counts: float64, k, rising.
        widths: float64, k.
        above: float64, k, of upper halves; None where they are as the lower ones.
    """

    counts: Reals
    widths: Reals
    above: Reals | None = None

    def interval(self, predicted: Accuracy, counts: NDArray[np.int64]) -> tuple[Reals, Reals]:
        """Return lower and upper ends, each n in [0, 1], of 90% intervals.

        Args:
            predicted: accuracies of n models.
            counts: n, observed outcomes of each of them.
        """
        at, of = np.log1p(counts), np.log1p(self.counts)
        below = np.interp(at, of, self.widths) * predicted.deviation
        above = np.interp(at, of, self.widths if self.above is None else self.above)
        return (
            np.clip(predicted.mean - below, 0, 1),
            np.clip(predicted.mean + above * predicted.deviation, 0, 1),
        )


def coordinate_scale(left_out: VectorEstimate, vectors: Reals) -> float:
    """Return the factor that calibrates the deviations of predicted coordinates.

    A model has one deviation, the root of its mean variance. Times the factor, 1.645 deviations
    cover 90% of the coordinates of the known models' leave-one-out predictions.

    Args:
        left_out: leave-one-out predictions of M known models, as `Prior.left_out`.
        vectors: M x r, their trained vectors.
    """
    deviation = np.sqrt(left_out.variance.mean(axis=1, keepdims=True))
    errors = np.abs(left_out.mean - vectors) / np.maximum(deviation, 1e-12)
    return _quantile(errors.ravel(), LEVEL) / NORMAL


def calibrate(
    known: FeatureBlocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None = None,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Calibration:
    """Return the half widths of intervals of mean outcomes, by cross-validation.

    Args:
        known: features of M models.
        outcomes: M x N; nan where not observed.
        items: whose mean outcome is predicted; None is all. Outcomes of all items are shown.
        kernel: with fixed weights; None learns them in each fold.
        seed: of the shown outcomes, of the folds, and of the fits.

    Raises:
        UsageError: for fewer than 20 models with outcomes on half of the items.
    """
    all_errors: dict[int, list[Reals]] = {}
    # Models with too few outcomes to know their mean are trained on, but never held out.
    usable = _usable(outcomes, items)
    shuffled = np.random.default_rng((seed, 1)).permutation(usable)
    for held in np.array_split(shuffled, FOLDS):
        rest = np.setdiff1d(np.arange(len(outcomes)), held)
        errors = _errors_of(held, rest, known, outcomes, items=items, kernel=kernel, seed=seed)
        for count, each in errors.items():
            all_errors.setdefault(count, []).append(each)
    pooled = {count: np.abs(np.concatenate(each)) for count, each in all_errors.items()}
    return Calibration(
        np.array(list(pooled), np.float64),
        np.array([_quantile(each, LEVEL) for each in pooled.values()]),
    )


def calibrate_onward(
    known: FeatureBlocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None = None,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Calibration:
    """Return the half widths of intervals for models that are later than all known ones.

    Args:
        known: features of M models; one without a date counts as the earliest.
        outcomes: M x N; nan where not observed.
        items: as for `calibrate`.
        kernel: with fixed weights; None learns them from the earlier models of each origin.
        seed: of the shown outcomes, and of the fits.

    Raises:
        UsageError: for too few models with dates and outcomes.
    """
    order = np.argsort(np.nan_to_num(known.dates, nan=-np.inf), kind="stable")
    dated = int(np.isfinite(known.dates).sum())
    if dated < LEAST_MODELS / (1 - ORIGINS[-1]):
        raise UsageError(f"Intervals for later models need more with dates; there are {dated}.")
    all_errors: dict[int, list[Reals]] = {}
    for share in ORIGINS:
        earlier, later = np.split(order, [round(share * len(order))])
        later = later[_usable(outcomes[later], items)]
        errors = _errors_of(later, earlier, known, outcomes, items=items, kernel=kernel, seed=seed)
        for count, each in errors.items():
            all_errors.setdefault(count, []).append(each)
    tail = (1 + LEVEL) / 2
    pooled = {count: np.concatenate(each) for count, each in all_errors.items()}
    return Calibration(
        np.array(list(pooled), np.float64),
        np.array([_quantile(each, tail) for each in pooled.values()]),
        np.array([_quantile(-each, tail) for each in pooled.values()]),
    )


def _usable(
    outcomes: NDArray[np.floating[Any]], items: NDArray[np.intp] | None
) -> NDArray[np.intp]:
    """Return the models with outcomes on half of the items, so that their mean is known.

    Raises:
        UsageError: for fewer than 20.
    """
    predicted = outcomes if items is None else outcomes[:, items]
    usable = np.flatnonzero((~np.isnan(predicted)).mean(axis=1) >= 0.5)  # noqa: PLR2004
    if len(usable) < LEAST_MODELS:
        raise UsageError(
            f"Intervals need {LEAST_MODELS} models with outcomes on half of the items;"
            f" there are {len(usable)}."
        )
    return usable


def _errors_of(
    held: NDArray[np.intp],
    trained_on: NDArray[np.intp],
    known: FeatureBlocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None,
    kernel: Kernel | None,
    seed: int,
) -> dict[int, Reals]:
    """Return the errors of held-out models, as `_errors`.

    Args:
        held: indices of the held-out models.
        trained_on: indices of the training models.
        known: features of M models.
        outcomes: M x N.
        items: whose mean is predicted.
        kernel: with fixed weights; None learns them.
        seed: of the fit and of the shown outcomes.
    """
    components, vectors = decompose(outcomes[trained_on])
    prior = gp.fit(known.rows(trained_on), vectors, kernel=kernel, seed=seed)
    return _errors(prior.predict(known.rows(held)), components, outcomes[held], items, seed)


def _errors(
    prior: VectorEstimate,
    components: Components,
    outcomes: NDArray[np.floating[Any]],
    items: NDArray[np.intp] | None,
    seed: int,
) -> dict[int, Reals]:
    """Return prediction minus truth, in predicted deviations, by the number of shown outcomes."""
    items = np.arange(outcomes.shape[1]) if items is None else items
    truth = np.nanmean(outcomes[:, items], axis=1)
    rng = np.random.default_rng(seed)
    errors: dict[int, list[Reals]] = {}
    for draw in range(DRAWS):
        order = rng.random(outcomes.shape)
        order[np.isnan(outcomes)] = np.inf
        ranks = order.argsort(axis=1).argsort(axis=1)
        for count in COUNTS:
            # There is but one way to show none.
            if count >= outcomes.shape[1] / 2 or (draw and not count):
                continue
            shown = np.where(ranks < count, outcomes, np.nan)
            folded = fold(prior, components, shown)
            predicted = accuracy(folded, components.only(items), shown[:, items])
            error = np.asarray((predicted.mean - truth) / predicted.deviation, np.float64)
            errors.setdefault(count, []).append(error)
    return {count: np.concatenate(each) for count, each in errors.items()}


def _quantile(values: Reals, level: float) -> float:
    """Return the conformal quantile: of n values, the ceil(level (n + 1))-th smallest."""
    ranked = np.sort(values)
    return float(ranked[min(len(ranked) - 1, int(np.ceil(level * (len(ranked) + 1))) - 1)])
