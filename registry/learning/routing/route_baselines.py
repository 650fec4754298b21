"""Baselines of routers: constant choices, random ones, and oracles that know the answer.

A baseline that always chooses one model predicts nothing (NaN) of the others.
"""

from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.routing_problem import (
    FittedRouter,
    RoutePredictions,
    RoutingProblem,
)


@dataclass(frozen=True, slots=True, eq=False)
class ConstantRouter:
    """The same predictions for every prompt.

    Attributes:
        probabilities: float32, M; NaN for a model that is never chosen.
        deviations: float32, M.
    """

    probabilities: Matrix
    deviations: Matrix

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return the predictions for P prompts."""
        shape = (len(vectors), len(self.probabilities))
        return RoutePredictions(
            np.broadcast_to(self.probabilities, shape).copy(),
            np.broadcast_to(self.deviations, shape).copy(),
        )


@dataclass(frozen=True, slots=True)
class ModelMeans:
    """Each model's mean outcome, for every prompt: the best single model at any weight of costs."""

    @property
    def name(self) -> str:
        """Name of the method."""
        return "model-means"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> ConstantRouter:
        """Learn the means of models."""
        del context
        means, deviations = _means(problem.outcomes)
        return ConstantRouter(means, deviations)


@dataclass(frozen=True, slots=True)
class BestSingle:
    """The model with the highest mean outcome, for every prompt; the first of equal ones."""

    @property
    def name(self) -> str:
        """Name of the method."""
        return "best-single"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> ConstantRouter:
        """Choose the model by the outcomes that may be learned from."""
        del context
        means, deviations = _means(problem.outcomes)
        return _only(means, deviations, int(np.nanargmax(means)))


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The model with the lowest mean cost, for every prompt; the better one of equally cheap."""

    @property
    def name(self) -> str:
        """Name of the method."""
        return "cheapest"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> ConstantRouter:
        """Choose the model by mean costs.

        Raises:
            ValueError: when no model's costs are known.
        """
        del context
        costs = mean_costs(problem.costs)
        if np.isnan(costs).all():
            raise ValueError("no model has a known cost")
        means, deviations = _means(problem.outcomes)
        cheap = costs <= np.nanmin(costs)
        return _only(means, deviations, int(np.nanargmax(np.where(cheap, means, np.nan))))


@dataclass(frozen=True, slots=True)
class RandomRouter:
    """Models at random, with the same frequencies on every prompt.

    Attributes:
        frequencies: of the M models, those of another router's picks, for one; None is uniform.
    """

    frequencies: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        """Name of the method."""
        return "random"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> FittedRouter:
        """Keep frequencies and means; the seed of the context is that of the choice."""
        models = len(problem.outcomes)
        shares = self.frequencies or (1 / models,) * models
        if len(shares) != models:
            raise ValueError(f"there are {len(shares)} frequencies of {models} models")
        return _RandomChoice(np.array(shares), _means(problem.outcomes)[0], context.seed)


@dataclass(frozen=True, slots=True, eq=False)
class _RandomChoice:
    frequencies: Reals
    means: Matrix
    seed: int

    def predict(self, vectors: Matrix) -> RoutePredictions:
        models, prompts = len(self.means), len(vectors)
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(models, prompts, p=self.frequencies / self.frequencies.sum())
        probabilities = np.full((prompts, models), np.nan, np.float32)
        probabilities[np.arange(prompts), chosen] = self.means[chosen]
        return RoutePredictions(probabilities, np.zeros_like(probabilities))


def same_frequencies(outcomes: Floats, picks: Places) -> Reals:
    """Return the expected outcome of random picks with a router's frequencies, for each prompt.

    Args:
        outcomes: P x M, without a NaN.
        picks: int, P: the router's.

    Returns:
        float64, P: exact, without drawing.
    """
    frequencies = np.bincount(picks, minlength=outcomes.shape[1]) / len(picks)
    return np.asarray(outcomes @ frequencies, np.float64)


def oracle_by_task(known: RoutingProblem, groups: Places) -> RoutePredictions:
    """Predict the means of models on other items of each prompt's true task.

    It knows the task, and of the models what is known from `known`. Of a task that is not there, or
    has no outcomes of a model, it predicts the model's mean.

    Args:
        known: outcomes that may be learned from.
        groups: int, P: tasks of the prompts.
    """
    means, _ = _means(known.outcomes)
    tasks = np.unique(groups)
    table = np.stack([_task_means(known, int(task), means) for task in tasks])
    probabilities = table[np.searchsorted(tasks, groups)].astype(np.float32)
    return RoutePredictions(probabilities, np.zeros_like(probabilities))


def _task_means(known: RoutingProblem, task: int, means: Matrix) -> Matrix:
    items = known.outcomes[:, known.groups == task]
    counts = (~np.isnan(items)).sum(axis=1)
    sums = np.nansum(items, axis=1, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), means)


def oracle_by_instance(outcomes: Floats) -> RoutePredictions:
    """Predict the outcomes themselves: the most that any router can reach.

    Args:
        outcomes: P x M, without a NaN.
    """
    probabilities = outcomes.astype(np.float32)
    return RoutePredictions(probabilities, np.zeros_like(probabilities))


def oracle_by_cost(outcomes: Floats, costs: Reals) -> RoutePredictions:
    """Predict the outcome of the cheapest of the best models on each prompt, and nothing of others.

    Args:
        outcomes: P x M, without a NaN.
        costs: M or P x M, dollars; NaN, which is not known, is dearer than any.
    """
    best = outcomes >= outcomes.max(axis=1, keepdims=True)
    priced = np.where(best, np.nan_to_num(np.broadcast_to(costs, best.shape), nan=1e300), np.inf)
    cheapest = priced <= priced.min(axis=1, keepdims=True)
    probabilities = np.where(cheapest, outcomes, np.nan).astype(np.float32)
    return RoutePredictions(probabilities, np.zeros_like(probabilities))


def mean_costs(costs: Reals) -> Reals:
    """Return each model's mean cost over the items where it is known: float64, M; NaN for none."""
    counts = (~np.isnan(costs)).sum(axis=1)
    sums = np.nansum(costs, axis=1)
    means: Reals = np.divide(sums, counts, out=np.full(len(costs), np.nan), where=counts > 0)
    return means


def _means(outcomes: Matrix) -> tuple[Matrix, Matrix]:
    """Return the mean outcome of each model and its standard error; NaN without outcomes."""
    seen = ~np.isnan(outcomes)
    counts = seen.sum(axis=1)
    sums = np.where(seen, outcomes, 0).sum(axis=1, dtype=np.float64)
    means = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    errors = np.sqrt(means * (1 - means) / np.maximum(counts, 1))
    return means.astype(np.float32), errors.astype(np.float32)


def _only(means: Matrix, deviations: Matrix, model: int) -> ConstantRouter:
    chosen = np.arange(len(means)) == model
    return ConstantRouter(
        np.where(chosen, means, np.float32(np.nan)),
        np.where(chosen, deviations, np.float32(np.nan)),
    )
