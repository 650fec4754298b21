"""Intervals that hold what they say: deviations scaled by how far off the known models were.

Each known model is taken for a new one, with what the others say of it and some of its outcomes;
the scale is the quantile of its errors in stated deviations (split conformal prediction with
normalised scores: Lei et al., Distribution-Free Predictive Inference for Regression, 2018, section
5.2, with leaving one out in place of a split).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.coldstart.components import Components, Reals
from registry.coldstart.folding import Accuracy, accuracy, fold
from registry.coldstart.prior import Guess
from registry.errors import UsageError

COUNTS = (0, 10, 20, 50, 100, 300)
"""Numbers of outcomes that errors are looked at; between them the scale is interpolated."""

LEVEL = 0.9
NORMAL = 1.6448536
"""Standard deviations of a normal distribution that hold this share of it, both ways."""

LEAST_MODELS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Half widths of intervals, in stated deviations, by the number of outcomes seen.

    Attributes:
        counts: float64, k, rising.
        widths: float64, k.
    """

    counts: Reals
    widths: Reals

    def interval(self, stated: Accuracy, counts: NDArray[np.int64]) -> tuple[Reals, Reals]:
        """Return lower and upper ends, each n in [0, 1], of 90% intervals.

        Args:
            stated: accuracies of n models.
            counts: n, outcomes that each of them was fitted to.
        """
        width = np.interp(np.log1p(counts), np.log1p(self.counts), self.widths)
        half = width * stated.deviation
        return np.clip(stated.mean - half, 0, 1), np.clip(stated.mean + half, 0, 1)


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
    left_out: Guess,
    components: Components,
    outcomes: NDArray[np.floating[Any]],
    *,
    items: NDArray[np.intp] | None = None,
    seed: int = 0,
) -> Calibration:
    """Find the widths of intervals of mean outcomes.

    Args:
        left_out: of M known models, as `Prior.left_out`.
        components: of N items, taken from their outcomes.
        outcomes: M x N; nan where not observed.
        items: whose mean outcome is asked for; None is all. Outcomes of all items are seen.
        seed: of the choice of what is seen.

    Raises:
        UsageError: with fewer than 20 models that have half of the items.
    """
    asked = np.arange(outcomes.shape[1]) if items is None else items
    usable = np.flatnonzero((~np.isnan(outcomes[:, asked])).mean(axis=1) >= 0.5)  # noqa: PLR2004
    if len(usable) < LEAST_MODELS:
        raise UsageError(
            f"Intervals need {LEAST_MODELS} models with outcomes on half of the items;"
            f" there are {len(usable)}."
        )
    told = outcomes[usable]
    guess = Guess(left_out.mean[usable], left_out.variance[usable], left_out.support[usable])
    truth = np.nanmean(told[:, asked], axis=1)
    draw = np.random.default_rng(seed)
    order = draw.random(told.shape)
    order[np.isnan(told)] = np.inf
    ranks = order.argsort(axis=1).argsort(axis=1)
    counts = [count for count in COUNTS if count < told.shape[1] / 2]
    widths = []
    for count in counts:
        shown = np.where(ranks < count, told, np.nan)
        stated = accuracy(fold(guess, components, shown), components.only(asked), shown[:, asked])
        off = np.sort(np.abs(stated.mean - truth) / stated.deviation)
        widths.append(off[min(len(off) - 1, int(np.ceil(LEVEL * (len(off) + 1))) - 1)])
    return Calibration(np.array(counts, np.float64), np.array(widths))
