"""Intervals that hold what they say: deviations scaled by how far off the known models were.

Each known model is taken for a new one: everything, the components of outcomes too, is learned
without it, and it is guessed with some of its outcomes. The scale is the quantile of the errors in
stated deviations (conformal prediction with normalised scores, across folds: Lei et al.,
Distribution-Free Predictive Inference for Regression, 2018, section 5.2; Vovk, Cross-conformal
predictors, 2015).

Leaving some out takes models for alike at all times, where later ones are better: for those,
`calibrate_onward` looks at errors of later known models by earlier ones (rolling-origin
evaluation: Tashman, Out-of-sample tests of forecasting accuracy, 2000), each side by itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.coldstart import gp
from registry.learning.coldstart.features import Blocks
from registry.learning.coldstart.fold_in_linear import Accuracy, accuracy, fold
from registry.learning.coldstart.gp import Guess
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import Components, Reals, decompose

COUNTS = (0, 10, 20, 50, 100, 300)
"""Numbers of outcomes that errors are looked at; between them the scale is interpolated."""

LEVEL = 0.9
NORMAL = 1.6448536
"""Standard deviations of a normal distribution that hold this share of it, both ways."""

LEAST_MODELS = 20

DRAWS = 4
"""Times that outcomes are drawn to be seen of each model: which ones they are is half of the error
after some, and one draw of few models makes a shaky scale."""

FOLDS = 10
"""Parts of the known models that are left out in turn."""

ORIGINS = (0.4, 0.6, 0.8)
"""Shares of known models, by date, that all later ones are predicted from: the further ahead, the
further off, and models are asked about far ahead, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Half widths of intervals, in stated deviations, by the number of outcomes seen.

    Attributes:
        counts: float64, k, rising.
        widths: float64, k.
        above: float64, k, of upper halves; None where they are as the lower ones.
    """

    counts: Reals
    widths: Reals
    above: Reals | None = None

    def interval(self, stated: Accuracy, counts: NDArray[np.int64]) -> tuple[Reals, Reals]:
        """Return lower and upper ends, each n in [0, 1], of 90% intervals.

        Args:
            stated: accuracies of n models.
            counts: n, outcomes that each of them was fitted to.
        """
        at, of = np.log1p(counts), np.log1p(self.counts)
        below = np.interp(at, of, self.widths) * stated.deviation
        above = np.interp(at, of, self.widths if self.above is None else self.above)
        return (
            np.clip(stated.mean - below, 0, 1),
            np.clip(stated.mean + above * stated.deviation, 0, 1),
        )


def coordinate_scale(left_out: Guess, vectors: Reals) -> float:
    """Return by what to multiply deviations of coordinates so that they hold what they say.

    Of one deviation a model, the root of its mean variance, 1.645 times which then holds 90% of the
    coordinates of the known models, each guessed from all others.

    Args:
        left_out: of M known models, as `Prior.left_out`.
        vectors: M x r, their own.
    """
    deviation = np.sqrt(left_out.variance.mean(axis=1, keepdims=True))
    off = np.sort((np.abs(left_out.mean - vectors) / np.maximum(deviation, 1e-12)).ravel())
    held = off[min(len(off) - 1, int(np.ceil(LEVEL * (len(off) + 1))) - 1)]
    return float(held) / NORMAL


def calibrate(
    known: Blocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None = None,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Calibration:
    """Find the widths of intervals of mean outcomes.

    Args:
        known: features of M models.
        outcomes: M x N; nan where not observed.
        items: whose mean outcome is asked for; None is all. Outcomes of all items are seen.
        kernel: with learned weights; None learns them anew from the others each time.
        seed: of the choice of what is seen, of the folds, and of the fits.

    Raises:
        UsageError: with fewer than 20 models that have half of the items.
    """
    off: dict[int, list[Reals]] = {}
    # Models with too few outcomes to know their mean are learned from, but never left out.
    usable = _usable(outcomes, items)
    shuffled = np.random.default_rng((seed, 1)).permutation(usable)
    for left in np.array_split(shuffled, FOLDS):
        rest = np.setdiff1d(np.arange(len(outcomes)), left)
        errors = _errors_of(left, rest, known, outcomes, items=items, kernel=kernel, seed=seed)
        for count, each in errors.items():
            off.setdefault(count, []).append(each)
    pooled = {count: np.abs(np.concatenate(each)) for count, each in off.items()}
    return Calibration(
        np.array(list(pooled), np.float64),
        np.array([_quantile(each, LEVEL) for each in pooled.values()]),
    )


def calibrate_onward(
    known: Blocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None = None,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Calibration:
    """Find the widths of intervals for models that are later than all known ones.

    Args:
        known: features of M models; one without a date counts as the earliest.
        outcomes: M x N; nan where not observed.
        items: as for `calibrate`.
        kernel: with learned weights; None learns them anew from earlier models each time.
        seed: of the choice of what is seen, and of the fits.

    Raises:
        UsageError: with too few models that have dates and outcomes.
    """
    order = np.argsort(np.nan_to_num(known.dates, nan=-np.inf), kind="stable")
    dated = int(np.isfinite(known.dates).sum())
    if dated < LEAST_MODELS / (1 - ORIGINS[-1]):
        raise UsageError(f"Intervals for later models need more with dates; there are {dated}.")
    off: dict[int, list[Reals]] = {}
    for share in ORIGINS:
        earlier, later = np.split(order, [round(share * len(order))])
        later = later[_usable(outcomes[later], items)]
        errors = _errors_of(later, earlier, known, outcomes, items=items, kernel=kernel, seed=seed)
        for count, each in errors.items():
            off.setdefault(count, []).append(each)
    tail = (1 + LEVEL) / 2
    pooled = {count: np.concatenate(each) for count, each in off.items()}
    return Calibration(
        np.array(list(pooled), np.float64),
        np.array([_quantile(each, tail) for each in pooled.values()]),
        np.array([_quantile(-each, tail) for each in pooled.values()]),
    )


def _usable(
    outcomes: NDArray[np.floating[Any]], items: NDArray[np.intp] | None
) -> NDArray[np.intp]:
    """Return which models have outcomes on half of the items, so that their mean is known.

    Raises:
        UsageError: where they are fewer than 20.
    """
    asked = outcomes if items is None else outcomes[:, items]
    usable = np.flatnonzero((~np.isnan(asked)).mean(axis=1) >= 0.5)  # noqa: PLR2004
    if len(usable) < LEAST_MODELS:
        raise UsageError(
            f"Intervals need {LEAST_MODELS} models with outcomes on half of the items;"
            f" there are {len(usable)}."
        )
    return usable


def _errors_of(
    asked: NDArray[np.intp],
    told: NDArray[np.intp],
    known: Blocks,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None,
    kernel: Kernel | None,
    seed: int,
) -> dict[int, Reals]:
    """Return the errors of some models that are guessed from others, as `_errors`.

    Args:
        asked: places of the models that are guessed.
        told: of those that are learned from.
        known: features of M models.
        outcomes: M x N.
        items: whose mean is asked for.
        kernel: with its weights.
        seed: of the fit and of what is seen.
    """
    components, vectors = decompose(outcomes[told])
    fitted = gp.fit(known.rows(told), vectors, kernel=kernel, seed=seed)
    return _errors(fitted.guess(known.rows(asked)), components, outcomes[asked], items, seed)


def _errors(
    guess: Guess,
    components: Components,
    outcomes: NDArray[np.floating[Any]],
    items: NDArray[np.intp] | None,
    seed: int,
) -> dict[int, Reals]:
    """Return how far guesses lie above the truth, in stated deviations, by outcomes seen."""
    asked = np.arange(outcomes.shape[1]) if items is None else items
    truth = np.nanmean(outcomes[:, asked], axis=1)
    draw = np.random.default_rng(seed)
    found: dict[int, list[Reals]] = {}
    for again in range(DRAWS):
        order = draw.random(outcomes.shape)
        order[np.isnan(outcomes)] = np.inf
        ranks = order.argsort(axis=1).argsort(axis=1)
        for count in COUNTS:
            # Of none, there is one draw.
            if count >= outcomes.shape[1] / 2 or (again and not count):
                continue
            shown = np.where(ranks < count, outcomes, np.nan)
            folded = fold(guess, components, shown)
            stated = accuracy(folded, components.only(asked), shown[:, asked])
            errors = np.asarray((stated.mean - truth) / stated.deviation, np.float64)
            found.setdefault(count, []).append(errors)
    return {count: np.concatenate(each) for count, each in found.items()}


def _quantile(values: Reals, level: float) -> float:
    """Return what a share of values, and of one more like them, does not exceed."""
    ranked = np.sort(values)
    return float(ranked[min(len(ranked) - 1, int(np.ceil(level * (len(ranked) + 1))) - 1)])
