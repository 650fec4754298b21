"""Factors that calibrate the variances of vectors, learned from outcomes that were held out.

A posterior is as sure as its model is right. What the model leaves out shows in held-out outcomes:
of single items as predictions that are too sure, which a variance of the item's own takes back; of
means over a benchmark as errors beyond the interval, whose quantile gives the factor on variances
(conformal prediction with normalised scores: Lei et al., Distribution-Free Predictive Inference for
Regression, 2018, section 5.2).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.axes import Axes
from registry.learning.factorization.problem import Factors, Matrix
from registry.learning.intervals import LEVEL, MeanOutcome, expected, mean_outcome
from registry.learning.metrics import calibration_error, log_loss

ITEM_VARIANCES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.25, 1.75, 2.5, 3.5, 5.0)
"""Candidate variances of an item's own."""

LEAST_CELLS = 100
"""Held-out outcomes from which on a variance of items is learned."""

LEAST_MEANS = 30
"""Held-out means from which on a factor is learned."""

LEAST_ITEMS = 5
"""Outcomes of a mean, at least."""

RANGE = (0.1, 10.0)
"""Range of factors of models that were not trained on."""

TRAINED_RANGE = (1.0, 4.0)
"""Range of the factor of trained models: their held-out means are mostly noise, which does not show
variances that are too large."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The n outcomes that were held out.

    Attributes:
        models: row of each, in the vectors.
        items: row of its item.
        outcomes: in [0, 1].
        groups: of N items: number of the benchmark of each.
    """

    models: Places
    items: Places
    outcomes: Floats
    groups: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class IntervalFigures:
    """Calibration of a version's intervals on held-out outcomes.

    Attributes:
        item_variance: variance of a logit that is the item's own.
        scale: factor on the variances of trained models.
        coverage: share of models' mean outcomes on the held-out items of a benchmark that 90%
            intervals hold; NaN without any.
        calibration_error: expected calibration error of single outcomes.
        means: number of mean outcomes.
        cells: number of outcomes.
    """

    item_variance: float
    scale: float
    coverage: float
    calibration_error: float
    means: int
    cells: int

    def scaled(self, variances: Matrix) -> Matrix:
        """Return the calibrated variances of trained models, of those of the fit."""
        return np.asarray(variances * self.scale, np.float32)


def learn_intervals(factors: Factors, cells: Cells) -> IntervalFigures | None:
    """Learn how uncertain trained vectors and items are; None for vectors without variances.

    Measured by halves: coverage and calibration of each half of the models are those of what the
    other half says.

    Args:
        factors: of a fit that has not seen the outcomes.
        cells: the outcomes.
    """
    if factors.axes is None or factors.variances is None:
        return None
    held = _HeldOut(factors, factors.variances.astype(np.float64), Axes(factors.axes), cells)
    whole = np.ones(len(cells.outcomes), np.bool_)
    first = cells.models % 2 == 0
    measured = [held.measured(half, *held.learned(~half)) for half in (first, ~first)]
    item_variance, scale = held.learned(whole)
    holds = np.concatenate([each[0] for each in measured])
    p = np.concatenate([each[1] for each in measured])
    y = np.concatenate([cells.outcomes[half] for half in (first, ~first)]).astype(np.float64)
    return IntervalFigures(
        item_variance,
        scale,
        float(holds.mean()) if len(holds) else float("nan"),
        calibration_error(y, p),
        len(holds),
        len(y),
    )


class _HeldOut:
    """Held-out outcomes with their logits, and the variances of these."""

    def __init__(self, factors: Factors, variances: Reals, axes: Axes, cells: Cells) -> None:
        self._cells, self._variances = cells, variances
        self._sides = factors.items.astype(np.float64) @ axes.directions
        self._logits = np.empty(len(cells.outcomes))
        self._spread = np.empty(len(cells.outcomes))
        for start in range(0, len(cells.outcomes), 1 << 16):
            part = slice(start, start + (1 << 16))
            rows, columns = cells.models[part], cells.items[part]
            vectors = factors.models[rows].astype(np.float64)
            products = (vectors * factors.items[columns]).sum(1)
            self._logits[part] = products + factors.offsets[columns]
            self._spread[part] = (variances[rows] * self._sides[columns] ** 2).sum(1)

    def learned(self, chosen: NDArray[np.bool_]) -> tuple[float, float]:
        """Return the variance of items and the factor that some of the cells suggest."""
        item_variance = 0.0
        if chosen.sum() >= LEAST_CELLS:
            y = self._cells.outcomes[chosen].astype(np.float64)
            item_variance = min(
                ITEM_VARIANCES, key=lambda each: log_loss(y, self._expected(chosen, each))
            )
        excesses = [
            mean.excess(observed) for mean, observed in self._means(chosen, item_variance, 1.0)
        ]
        return item_variance, factor_of(np.array(excesses), TRAINED_RANGE)

    def measured(
        self, chosen: NDArray[np.bool_], item_variance: float, scale: float
    ) -> tuple[NDArray[np.bool_], Reals]:
        """Return which means the intervals hold, and the probabilities of the cells."""
        holds = []
        for mean, observed in self._means(chosen, item_variance, scale):
            low, high = mean.interval()
            holds.append(low <= observed <= high)
        return np.array(holds, np.bool_), self._expected(chosen, item_variance, scale)

    def _expected(
        self, chosen: NDArray[np.bool_], item_variance: float, scale: float = 1.0
    ) -> Reals:
        return expected(self._logits[chosen], scale * self._spread[chosen] + item_variance)

    def _means(
        self, chosen: NDArray[np.bool_], item_variance: float, scale: float
    ) -> Iterator[tuple[MeanOutcome, float]]:
        """Yield predicted and observed means of each model on each benchmark."""
        cells = self._cells
        places = np.flatnonzero(chosen)
        if not len(places):
            return
        groups = cells.groups[cells.items[places]]
        keys = cells.models[places] * (int(cells.groups.max()) + 1) + groups
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        for part in np.split(places[order], starts[1:]):
            if len(part) < LEAST_ITEMS:
                continue
            predicted = mean_outcome(
                self._logits[part],
                self._sides[cells.items[part]],
                scale * self._variances[cells.models[part[0]]],
                item_variance,
            )
            yield predicted, float(cells.outcomes[part].mean(dtype=np.float64))


def factor_of(excesses: Reals, within: tuple[float, float] = RANGE) -> float:
    """Return the factor on variances with which intervals hold their share of held-out means.

    Args:
        excesses: of the means, as `MeanOutcome.excess`; 1 is returned for fewer than `LEAST_MEANS`.
        within: least and largest factor.
    """
    if len(excesses) < LEAST_MEANS:
        return 1.0
    ranked = np.sort(excesses)
    place = min(len(ranked) - 1, int(np.ceil(LEVEL * (len(ranked) + 1))) - 1)
    return float(np.clip(ranked[place], *within))
