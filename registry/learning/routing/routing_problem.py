"""Routing problem: outcomes of models on items with vectors; and what a router of it predicts."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import CPU, Context, Matrix


@dataclass(frozen=True, slots=True, eq=False)
class RoutingProblem:
    """Outcomes of M models on N items.

    Attributes:
        outcomes: float32, M x N, in [0, 1]; NaN where not observed.
        vectors: float32, N x T: the items' texts, of length 1.
        groups: int, N: group of each item, such as its task or subject, from 0.
        costs: float64, M x N, of an answer, in dollars; NaN where not known.
    """

    outcomes: Matrix
    vectors: Matrix
    groups: Places
    costs: Reals

    def __post_init__(self) -> None:
        items = self.outcomes.shape[1]
        if not len(self.vectors) == len(self.groups) == items:
            raise ValueError(f"vectors and groups are to be of {items} items")
        if self.costs.shape != self.outcomes.shape:
            raise ValueError(f"costs are to be of shape {self.outcomes.shape}")

    def only(self, items: Places) -> "RoutingProblem":
        """Return the problem of some items."""
        return replace(
            self,
            outcomes=self.outcomes[:, items],
            vectors=self.vectors[items],
            groups=self.groups[items],
            costs=self.costs[:, items],
        )


class RoutePredictions(NamedTuple):
    """What a router predicts of P prompts and M models.

    Attributes:
        probabilities: float32, P x M: expected outcome, in [0, 1]; NaN where nothing is known.
        deviations: float32, P x M: standard deviation of that expectation, not of the outcome.
    """

    probabilities: Matrix
    deviations: Matrix


class FittedRouter(Protocol):
    """Function from prompts to expected outcomes of models."""

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions for prompts, P x T."""


class RouterMethod(Protocol):
    """Way to learn a router."""

    @property
    def name(self) -> str:
        """Name, as users write it."""

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> FittedRouter:
        """Learn a router from outcomes."""
