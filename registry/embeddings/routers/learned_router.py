"""Router of a version, learned from the outcomes of its items that have texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.embeddings.dataset import TrainingData
from registry.learning.factorization.problem import Context, Factors, Matrix, Problem, sigmoid
from registry.learning.routing.router_blend import learn_blend
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing.served_blend import ServedBlend

LEAST_ITEMS, LEAST_MODELS = 40, 2
"""Items with texts, and models with outcomes on them, that routing by neighbours needs."""

MOST_MODELS = 8_000
"""Models whose outcomes are stored by item: those with the most of them."""

MOST_TEXT_DIMENSIONS = 3_900
"""Of an encoder: with subjects, an item's vector is to fit into a page of the database."""


@dataclass(frozen=True, slots=True, eq=False)
class LearnedRouter:
    """Router of a version.

    Attributes:
        blend: what is served.
        models: int, M': rows of the version's models, in the order of the blend's.
        items: int, N': places of the version's items, in the order of the blend's.
        outcomes: int, M': number of observed outcomes of each model.
        figures: by router, on items that were left out, with settings and weights of the others;
            see `router_figures.routing_figures`. Where outcomes are missing, the others' expected
            ones are of vectors that know all outcomes, so that they are a little optimistic.
    """

    blend: ServedBlend
    models: NDArray[np.intp]
    items: NDArray[np.intp]
    outcomes: NDArray[np.intp]
    figures: Mapping[str, Mapping[str, float]]


def learn_router(
    data: TrainingData, problem: Problem, factors: Factors, context: Context
) -> LearnedRouter | None:
    """Learn the router of a version; None where too few items have texts.

    Args:
        data: of the version: names and subjects of items.
        problem: the outcomes to learn from, of the same models and items.
        factors: vectors of models and items, which say what unobserved outcomes are expected to be:
            models that took other benchmarks would else be compared by their means on them.
        context: seed and progress.
    """
    texts = problem.texts
    if texts is None or texts.vectors.shape[1] > MOST_TEXT_DIMENSIONS:
        return None
    items = np.flatnonzero(problem.readable_items & problem.observed_items)
    counts = problem.observed[:, items].sum(axis=1)
    order = np.argsort(-counts, kind="stable")[:MOST_MODELS]
    models = np.sort(order[counts[order] > 0])
    items = items[problem.observed[np.ix_(models, items)].any(axis=0)]
    if len(items) < LEAST_ITEMS or len(models) < LEAST_MODELS:
        return None
    outcomes = problem.outcomes[np.ix_(models, items)]
    learned = learn_blend(
        RoutingProblem(
            outcomes,
            np.ascontiguousarray(texts.vectors[items], np.float32),
            subjects_of(data, items),
            np.full(outcomes.shape, np.nan),
        ),
        context,
        expected=_expected(factors, models, items),
    )
    return LearnedRouter(learned.served, models, items, counts[models], learned.figures)


def subjects_of(data: TrainingData, items: Sequence[int] | NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the subject of each item, by benchmark and domain: int, from 0."""
    names = [f"{data.matrix.columns[item].benchmark}\n{data.domains[item] or ''}" for item in items]
    return np.unique(np.array(names, np.str_), return_inverse=True)[1].astype(np.intp)


def _expected(factors: Factors, models: NDArray[np.intp], items: NDArray[np.intp]) -> Matrix:
    return sigmoid(factors.models[models] @ factors.items[items].T + factors.offsets[items])
