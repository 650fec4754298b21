"""Means of named values over prompts, and metrics of such means with bootstrap intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.routing_evaluation.cost_metrics import Curve
from registry.learning.routing_evaluation.routing_intervals import (
    REPLICATES,
    Estimate,
    ItemSums,
    interval,
)


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Means by name.

    Attributes:
        values: float64, K.
        places: of the names.
        costs: places of the costs of operating points.
        qualities: places of their outcomes.
    """

    values: Reals
    places: Mapping[str, int]
    costs: Places
    qualities: Places

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.places[name]])

    @property
    def curve(self) -> Curve:
        """The operating points."""
        return Curve(self.values[self.costs], self.values[self.qualities])


MeanMetric: TypeAlias = Callable[[Means], float]


class PromptMeans:
    """Table of named values of prompts, and of values at operating points."""

    def __init__(
        self,
        items: Places,
        columns: Mapping[str, Reals],
        points: tuple[Reals, Reals] | None = None,
    ) -> None:
        """Keep the values.

        Args:
            items: int, n: item of each prompt.
            columns: float64, n each, by name; NaN where a prompt says nothing.
            points: costs and outcomes, n x L each, at L operating points.
        """
        self._places = {name: place for place, name in enumerate(columns)}
        costs, qualities = points or (np.zeros((len(items), 0)), np.zeros((len(items), 0)))
        first, count = len(columns), costs.shape[1]
        self._costs = np.arange(first, first + count)
        self._qualities = self._costs + count
        named = np.stack(list(columns.values()), axis=1)
        self._sums = ItemSums.of(items, np.concatenate([named, costs, qualities], axis=1))

    def __contains__(self, name: str) -> bool:
        """Return whether a column is there; `curve` stands for operating points."""
        return name in self._places or (name == "curve" and bool(self._costs.size))

    @property
    def means(self) -> Means:
        """The means over all prompts."""
        return self._of(self._sums.means())

    def estimates(
        self, metrics: Mapping[str, MeanMetric], *, replicates: int = REPLICATES, seed: int = 0
    ) -> dict[str, Estimate]:
        """Return metrics with their intervals; those that are not defined are left out.

        Args:
            metrics: by name, functions of the means.
            replicates: resamples of the items.
            seed: of the resampling.
        """
        whole = self.means
        drawn = [self._of(row) for row in self._sums.resampled(replicates, seed)]
        found = {
            name: interval(metric(whole), np.array([metric(means) for means in drawn]))
            for name, metric in metrics.items()
        }
        return {name: each for name, each in found.items() if np.isfinite(each.value)}

    def _of(self, values: Reals) -> Means:
        return Means(values, self._places, self._costs, self._qualities)
