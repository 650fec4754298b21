"""Factors on the variances of models that a version was not trained on, by number of outcomes.

Each of some trained models is predicted from the others, shown some of its outcomes, folded in as
placement would, and its mean outcomes on the rest of each benchmark are compared with intervals.
The items' parameters have seen its outcomes, so that a few of them predict the rest better than
those of a new model would: factors of models with outcomes are bounded below.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Floats, Reals
from registry.learning.axes import Axes
from registry.learning.calibrated_variances import LEAST_ITEMS, LEAST_MEANS, RANGE, factor_of
from registry.learning.coldstart.fold_in import ItemParameters, fold
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.intervals import mean_outcome

COUNTS = (0, 10, 50, 100)
"""Numbers of outcomes that are shown; factors between them are interpolated."""

LEAST_FOLDED = 0.85
"""Least factor of models with outcomes. Learned without a bound, it was 0.74 with 100 outcomes and
1,000 models, and intervals of new models held 89.5% (with 1, 92%); with 300 models, 87% (90%)."""

ROUNDS = 3
"""Updates of a factor: ends of intervals are not linear in it, as means are within 0 and 1."""

MOST_MODELS = 400
"""Models that are predicted, drawn at random."""


@dataclass(frozen=True, slots=True)
class VarianceScales:
    """Factors on variances, by the number of outcomes.

    Attributes:
        counts: rising; empty where nothing was learned, and all factors are 1.
        factors: for each.
    """

    counts: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()

    def of(self, counts: NDArray[np.integer]) -> Reals:
        """Return the factors for models with so many outcomes, n."""
        if not self.counts:
            return np.ones(len(counts))
        between = np.interp(np.log1p(counts), np.log1p(self.counts), self.factors)
        return np.asarray(between, np.float64)

    def by_count(self) -> dict[str, float]:
        """Return the factors by their counts, as JSON has them."""
        return dict(zip(map(str, self.counts), self.factors, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Placing:
    """How models are placed: what `fold_in.fold` takes, and the items' own variance.

    Attributes:
        items: frozen, N.
        correlation: d x d, of prediction errors.
        degrees: of freedom of the prior.
        axes: along which variances are kept.
        item_variance: of a logit.
    """

    items: ItemParameters
    correlation: Reals
    degrees: float | None
    axes: Axes
    item_variance: float = 0.0


def learn_scales(
    left_out: VectorEstimate,
    outcomes: Floats,
    groups: NDArray[np.intp],
    placing: Placing,
    seed: int = 0,
) -> VarianceScales:
    """Learn the factors from trained models, each predicted without its own vector.

    Args:
        left_out: predictions of M trained models, with variances along the axes.
        outcomes: M x N, their outcomes; nan where not observed.
        groups: N, number of the benchmark of each item.
        placing: how models are placed.
        seed: of the outcomes that are shown.
    """
    observed = ~np.isnan(outcomes)
    rng = np.random.default_rng(seed)
    order = rng.random(outcomes.shape)
    order[~observed] = np.inf
    ranks = order.argsort(axis=1).argsort(axis=1)
    counts, factors = [], []
    for count in COUNTS:
        # Half of the outcomes remain to be predicted.
        usable = np.flatnonzero(observed.sum(axis=1) >= max(2 * count, LEAST_ITEMS))
        shown = np.where(ranks[usable] < count, outcomes[usable], np.nan)
        rest = observed[usable] & np.isnan(shown)
        prior = left_out.rows(usable)
        folded = fold(
            prior,
            placing.items.flattened(placing.item_variance),
            shown,
            placing.correlation,
            degrees=placing.degrees,
            axes=placing.axes,
        )
        hidden = np.where(rest, outcomes[usable], np.nan)
        factor = _factor(folded, hidden, groups, placing)
        if factor is not None:
            counts.append(count)
            factors.append(max(factor, LEAST_FOLDED if count else 0.0))
    return VarianceScales(tuple(counts), tuple(factors))


def _factor(
    vectors: VectorEstimate, outcomes: Floats, groups: NDArray[np.intp], placing: Placing
) -> float | None:
    """Return the factor on variances along the axes; None where there are too few means."""
    assert vectors.along is not None
    factor = 1.0
    for _ in range(ROUNDS):
        scaled = replace(vectors, along=vectors.along * factor)
        excesses = _excesses(scaled, outcomes, groups, placing)
        if len(excesses) < LEAST_MEANS:
            return None
        factor = float(np.clip(factor * factor_of(excesses), *RANGE))
    return factor


def _excesses(
    vectors: VectorEstimate,
    outcomes: Floats,
    groups: NDArray[np.intp],
    placing: Placing,
) -> Reals:
    """Return `MeanOutcome.excess` of the mean of each model's outcomes on each benchmark."""
    assert vectors.along is not None
    sides = placing.items.vectors.astype(np.float64) @ placing.axes.directions
    logits = vectors.mean @ placing.items.vectors.T + placing.items.offsets
    found = []
    for group in np.unique(groups):
        columns = np.flatnonzero(groups == group)
        part = outcomes[:, columns]
        seen = ~np.isnan(part)
        for row in np.flatnonzero(seen.sum(axis=1) >= LEAST_ITEMS):
            chosen = columns[seen[row]]
            predicted = mean_outcome(
                logits[row, chosen],
                sides[chosen],
                vectors.along[row],
                placing.item_variance,
            )
            found.append(predicted.excess(float(part[row, seen[row]].mean(dtype=np.float64))))
    return np.array(found)
