"""Contest of routers: each learns from the same items and predicts the same held-out ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import Context, Matrix
from registry.learning.routing import route_baselines as baselines
from registry.learning.routing.routing_problem import RouterMethod, RoutingProblem
from registry.learning.routing_evaluation.cascade import chain
from registry.learning.routing_evaluation.scorecard import HeldOutPrompts
from registry.workers import Progress, no_progress

Predictor: TypeAlias = Callable[[RoutingProblem, RoutingProblem, Context], Matrix]
"""From what may be learned from, and held-out items, to probabilities: float32, P x M."""


@dataclass(frozen=True, slots=True)
class RoutingContender:
    """What is compared.

    Attributes:
        name: of the router, baseline or oracle.
        predict: its predictions; an oracle's may read the held-out outcomes, groups and costs.
    """

    name: str
    predict: Predictor


def contender(method: RouterMethod) -> RoutingContender:
    """Return a method as a contender: it is given the vectors of held-out items alone."""

    def predict(known: RoutingProblem, held: RoutingProblem, context: Context) -> Matrix:
        return method.fit(known, context).predict(held.vectors).probabilities

    return RoutingContender(method.name, predict)


def oracles(*, priced: bool) -> list[RoutingContender]:
    """Return the oracles by task, by instance and, where costs are known, by cost."""

    def by_task(known: RoutingProblem, held: RoutingProblem, _: Context) -> Matrix:
        return baselines.oracle_by_task(known, held.groups).probabilities

    def by_instance(_: RoutingProblem, held: RoutingProblem, __: Context) -> Matrix:
        return baselines.oracle_by_instance(held.outcomes.T).probabilities

    def by_cost(_: RoutingProblem, held: RoutingProblem, __: Context) -> Matrix:
        return baselines.oracle_by_cost(held.outcomes.T, held.costs.T).probabilities

    found = [
        RoutingContender("oracle-by-task", by_task),
        RoutingContender("oracle-by-instance", by_instance),
    ]
    return [*found, RoutingContender("oracle-by-cost", by_cost)] if priced else found


@dataclass(frozen=True, slots=True, eq=False)
class ContestResult:
    """Predictions of all contenders on the held-out prompts of all splits.

    Attributes:
        held: the n prompts.
        probabilities: by contender, float32, n x M.
        means: float64, splits x M: mean outcomes of what may be learned from.
        chains: of each split, the models that a cascade asks, in order; empty without costs.
    """

    held: HeldOutPrompts
    probabilities: Mapping[str, Matrix]
    means: Reals
    chains: Sequence[Places]


def run_contest(
    problem: RoutingProblem,
    folds: Sequence[Places],
    contenders: Sequence[RoutingContender],
    *,
    seed: int = 0,
    device: str = "cpu",
    on_progress: Progress = no_progress,
) -> ContestResult:
    """Fit each contender on the rest of each split, and predict what the split holds out.

    Args:
        problem: outcomes without a NaN.
        folds: items that each split holds out.
        contenders: with names of their own.
        seed: of the first split; the others count on.
        device: of torch.
        on_progress: receives the fits, with their total.
    """
    parts, chains, averages = [], [], []
    predictions: dict[str, list[Matrix]] = {each.name: [] for each in contenders}
    total = len(folds) * len(contenders)
    for split, items in enumerate(folds):
        known, held = problem.only(_rest(problem, items)), problem.only(items)
        expected = baselines.mean_costs(known.costs)
        means = known.outcomes.mean(axis=1, dtype=np.float64)
        averages.append(means)
        parts.append(_held_out(held, items, split, expected, int(means.argmax())))
        priced = not np.isnan(expected).any()
        chains.append(chain(means[None], expected) if priced else np.zeros(0, np.intp))
        for place, each in enumerate(contenders):
            on_progress("fitting routers", split * len(contenders) + place, total)
            predicted = each.predict(known, held, Context(device, seed + split))
            predictions[each.name].append(predicted)
    on_progress("fitting routers", total, total)
    return ContestResult(
        HeldOutPrompts.joined(parts),
        {name: np.concatenate(each) for name, each in predictions.items()},
        np.stack(averages),
        chains,
    )


def singles(held: HeldOutPrompts) -> Iterator[tuple[int, Reals, Reals]]:
    """Yield each model's number, costs and outcomes on the held-out prompts: float64, n each."""
    for model in range(held.outcomes.shape[1]):
        yield model, held.costs[:, model], np.asarray(held.outcomes[:, model], np.float64)


def _held_out(
    held: RoutingProblem, items: Places, split: int, expected: Reals, best: int
) -> HeldOutPrompts:
    count = len(items)
    return HeldOutPrompts(
        items=items,
        clusters=items,
        splits=np.full(count, split, np.intp),
        outcomes=held.outcomes.T,
        costs=held.costs.T,
        expected_costs=np.broadcast_to(expected, (count, len(expected))),
        best_single=np.full(count, best, np.intp),
    )


def _rest(problem: RoutingProblem, items: Places) -> Places:
    return np.setdiff1d(np.arange(problem.outcomes.shape[1]), items)
