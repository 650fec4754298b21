"""Bootstrap intervals of metrics over items, and of paired differences of routers on them.

An item that several splits hold out is resampled with all its values: it is one draw from the
population, however often it was measured (Miller 2024, arXiv 2411.00640, on clustered questions).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from registry.learning.arrays import Places, Reals

REPLICATES = 1_000
LEVEL = 0.95

_AT_ONCE = 1 << 22
"""Weights in memory at a time: 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemSums:
    """Values of items, summed over the splits that held each out.

    Attributes:
        sums: float64, I x K: sums of K kinds of values; a value that is not known adds nothing.
        counts: float64, I x K: how many were added.
    """

    sums: Reals
    counts: Reals

    @classmethod
    def of(cls, items: Places, values: Reals) -> "ItemSums":
        """Sum values by item.

        Args:
            items: int, n: number of the item (or of its cluster) of each row, in any order.
            values: float64, n x K; NaN where not known.
        """
        _, places = np.unique(items, return_inverse=True)
        shape = (int(places.max()) + 1 if len(places) else 0, values.shape[1])
        known = ~np.isnan(values)
        sums, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, places, np.where(known, values, 0))
        np.add.at(counts, places, known)
        return cls(sums, counts)

    def means(self) -> Reals:
        """Return the K means over everything; NaN for one without a value."""
        return _ratios(self.sums.sum(axis=0), self.counts.sum(axis=0))

    def resampled(self, replicates: int = REPLICATES, seed: int = 0) -> Reals:
        """Return the K means of resampled items: float64, replicates x K.

        The same items and seed give the same resamples whatever the values, so that differences
        between two routers are paired.
        """
        items = len(self.sums)
        rng = np.random.default_rng(seed)
        step = max(1, _AT_ONCE // max(items, 1))
        parts = []
        for start in range(0, replicates, step):
            draws = min(step, replicates - start)
            weights = rng.multinomial(items, np.full(items, 1 / items), draws).astype(np.float64)
            parts.append(_ratios(weights @ self.sums, weights @ self.counts))
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its bootstrap interval.

    Attributes:
        value: of all items.
        lower: end of the interval that holds 0.95 of the resamples; NaN where undefined.
        upper: its other end.
    """

    value: float
    lower: float = field(default=float("nan"))
    upper: float = field(default=float("nan"))


def estimate(
    sums: ItemSums,
    metric: Callable[[Reals], float],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """Return a metric of means with its percentile interval (Efron 1979).

    Args:
        sums: of the items.
        metric: from the K means to a number.
        replicates: resamples of the items.
        seed: of the resampling.
    """
    drawn = np.array([metric(means) for means in sums.resampled(replicates, seed)])
    return interval(metric(sums.means()), drawn)


def interval(value: float, drawn: Reals, level: float = LEVEL) -> Estimate:
    """Return a value with the percentile interval of its resamples; those NaN are left out."""
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2 or not np.isfinite(value):  # noqa: PLR2004 - an interval has two ends
        return Estimate(value)
    tail = (1 - level) / 2
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return Estimate(value, float(lower), float(upper))


def _ratios(sums: Reals, counts: Reals) -> Reals:
    ratios: Reals = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return ratios
