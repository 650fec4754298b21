"""Calibration of intervals and of trust, on scores that were held out.

A prediction's standard deviation is multiplied by an empirical quantile of |error| / deviation of
held-out scores with as much evidence (split conformal prediction: Lei et al. 2018, section 5.2),
after a factor for each benchmark, so that intervals hold what they say on each of them.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals

LEVELS = np.array([0.0, *np.arange(0.05, 0.96, 0.05).round(2), 0.975, 0.99])
"""Levels whose quantiles are kept; at level 0 the quantile is 0."""

NORMAL = np.array([NormalDist().inv_cdf((1 + level) / 2) for level in LEVELS])
"""Quantiles where no score could be held out: those of the normal distribution."""

LEAST_LEVEL = 0.5
"""Least level of an interval."""

FEW_OWN = 5
"""Other scores of a model, below which it has few."""

FEW_OF_BENCHMARK = 10
"""Scores of a benchmark, below which it has few."""

GROUPS = ("no other scores", "few other scores", "benchmark with few scores", "many scores")

LEAST_IN_GROUP = 40
"""Held-out scores that a group's own quantiles need; smaller groups use those of all."""

MEAN_WEIGHT, TAIL_WEIGHT = 10.0, 100.0
"""Held-out scores that no difference between benchmarks is worth: in the mean logarithm of ratios,
and, beyond that, in their quantile at `JUDGED`, which takes many scores to know."""

LEAST_RATIO = 0.01
"""Smaller ratios of error to deviation count as this in means of logarithms."""

LEAST_QUANTILE = 1e-9

JUDGED = 0.9
"""Level at which benchmarks are compared."""


def evidence_groups(own: Places, of_benchmark: Places) -> Places:
    """Return the place in `GROUPS` of predictions, n.

    Args:
        own: other scores of the model, n.
        of_benchmark: scores of the benchmark, n.
    """
    some = np.where(of_benchmark < FEW_OF_BENCHMARK, 2, 3)
    return np.asarray(np.where(own == 0, 0, np.where(own < FEW_OWN, 1, some)), np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class ScorePredictions:
    """Predictions of n scores on the working scale, before calibration.

    Attributes:
        columns: intp, n: benchmark.
        mean: float64, n.
        sd: float64, n: standard deviation of a score around the mean, its residual included.
        groups: intp, n: place in `GROUPS`.
    """

    columns: Places
    mean: Reals
    sd: Reals
    groups: Places

    def __len__(self) -> int:
        return len(self.mean)

    def only(self, kept: NDArray[np.bool_] | Places) -> Self:
        """Return some of the predictions."""
        return type(self)(self.columns[kept], self.mean[kept], self.sd[kept], self.groups[kept])


class ScoreInterval(NamedTuple):
    """Predictions with intervals, float64, n each; on the scale of scores or the working scale."""

    score: Reals
    lower: Reals
    upper: Reals


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCalibration:
    """Quantiles of |error| / deviation by evidence, and factors of benchmarks.

    Attributes:
        levels: float64, L: from 0, ascending.
        quantiles: float64, groups x L.
        factors: float64, 2 x B: on deviations of models without and with other scores.
        counts: intp, groups: held-out scores of each group.
    """

    levels: Reals
    quantiles: Reals
    factors: Reals
    counts: Places

    @classmethod
    def of(cls, held: ScorePredictions, values: Reals, benchmarks: int) -> Self:
        """Return the calibration by held-out scores.

        Args:
            held: predictions of them.
            values: n, on the working scale.
            benchmarks: B.
        """
        ratios = np.abs(held.mean - values) / held.sd
        warm = (held.groups > 0).astype(np.intp)
        factors = _factors(ratios, warm, held.columns, benchmarks)
        # Quantiles are of scores whose benchmark's factor others gave, as those to come are.
        half = np.random.default_rng(0).permutation(len(ratios)) % 2 == 0
        scaled = np.empty(len(ratios))
        for own in (half, ~half):
            others = _factors(ratios[~own], warm[~own], held.columns[~own], benchmarks)
            scaled[own] = ratios[own] / others[warm[own], held.columns[own]]
        counts = np.bincount(held.groups, minlength=len(GROUPS))
        quantiles = np.empty((len(GROUPS), len(LEVELS)))
        for group, count in enumerate(counts):
            enough = count >= LEAST_IN_GROUP
            quantiles[group] = _quantiles(scaled[held.groups == group] if enough else scaled)
        return cls(LEVELS, quantiles, factors, counts)

    def deviations(self, predictions: ScorePredictions) -> Reals:
        """Return deviations with the benchmarks' factors, n."""
        warm = (predictions.groups > 0).astype(np.intp)
        return np.asarray(predictions.sd * self.factors[warm, predictions.columns])

    def half_widths(self, predictions: ScorePredictions, level: float) -> Reals:
        """Return half the width of central intervals on the working scale, n.

        Raises:
            ValueError: for a level outside [0.5, 0.99].
        """
        if not LEAST_LEVEL <= level <= self.levels[-1]:
            raise ValueError(
                f"level is to be from {LEAST_LEVEL:g} to {self.levels[-1]:g}, not {level:g}"
            )
        by_group = np.array([np.interp(level, self.levels, each) for each in self.quantiles])
        return np.asarray(self.deviations(predictions) * by_group[predictions.groups])

    def trust(self, predictions: ScorePredictions, lower: Reals, upper: Reals) -> Reals:
        """Return the probability that scores are between two values, in [0, 1], n.

        Args:
            predictions: of n scores.
            lower: n, on the working scale, at most the mean.
            upper: n, at least the mean.
        """
        deviations = self.deviations(predictions)
        below = self._share(predictions.groups, (predictions.mean - lower) / deviations)
        above = self._share(predictions.groups, (upper - predictions.mean) / deviations)
        return np.asarray((below + above) / 2)

    def _share(self, groups: Places, ratios: Reals) -> Reals:
        """Return the share of held-out scores with smaller ratios."""
        shares = np.empty(len(ratios))
        for group in range(len(GROUPS)):
            own = groups == group
            # Beyond the last level, nothing is known but that it is above that level.
            shares[own] = np.interp(ratios[own], self.quantiles[group], self.levels)
        return shares


def _quantiles(ratios: Reals) -> Reals:
    """Return the conformal quantiles: of n values, the ceil(level (n + 1))-th smallest."""
    if not len(ratios):
        return NORMAL
    ranked = np.sort(ratios)
    places = np.ceil(LEVELS * (len(ranked) + 1)).astype(np.intp) - 1
    found = ranked[np.clip(places, 0, len(ranked) - 1)]
    found[LEVELS == 0] = 0
    # Interpolation needs levels whose quantiles differ.
    return np.asarray(np.maximum.accumulate(found + 1e-9 * np.arange(len(found))))


def _factors(ratios: Reals, warm: Places, columns: Places, benchmarks: int) -> Reals:
    """Return the factor of each benchmark, 2 x B, drawn towards 1."""
    factors = np.ones((2, benchmarks))
    for kind in np.unique(warm):
        those, own = ratios[warm == kind], columns[warm == kind]
        counts = np.bincount(own, minlength=benchmarks)
        logs = np.log(np.maximum(those, LEAST_RATIO))
        sums = np.bincount(own, logs - logs.mean(), benchmarks)
        factors[kind] = np.exp(sums / (counts + MEAN_WEIGHT))
        those = those / factors[kind, own]
        of_all = max(float(np.quantile(those, JUDGED)), LEAST_QUANTILE)
        parts = np.split(those[np.argsort(own, kind="stable")], counts.cumsum()[:-1])
        for column in np.flatnonzero(counts):
            ratio = max(float(np.quantile(parts[column], JUDGED)), LEAST_QUANTILE) / of_all
            factors[kind, column] *= ratio ** (counts[column] / (counts[column] + TAIL_WEIGHT))
    return factors
