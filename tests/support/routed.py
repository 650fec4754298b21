"""Routers for tests: problems with subjects, and versions that route by what was learned."""

from typing import NamedTuple

import numpy as np
from evaluated import block, write
from evaluated import items as named
from learned import drawn, kept
from sqlalchemy import Connection

from registry.embeddings.routers.learned_router import LearnedRouter
from registry.evaluations.outcomes import Column
from registry.learning.factorization.problem import Matrix
from registry.learning.routing.router_blend import learn_blend
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing.served_blend import BlendSettings, ServedBlend

SETTINGS = BlendSettings(k=15, sharpness=6.0, subject_weight=0.7, kernel_subject_weight=1.2)


def unit(rng: np.random.Generator, count: int, dimension: int) -> Matrix:
    """Return vectors of length 1."""
    vectors = rng.normal(size=(count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32)


def subjects_problem(
    items: int = 240, models: int = 5, seed: int = 0, missing: float = 0.1, dimension: int = 8
) -> RoutingProblem:
    """Return models that are each good at one of three subjects, which vectors show in part."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, items)
    vectors = unit(rng, items, dimension) + 1.2 * np.eye(dimension)[groups]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    skill = np.where(np.arange(models)[:, None] % 3 == np.arange(3), 0.9, 0.3)
    outcomes = (rng.random((models, items)) < skill[:, groups]).astype(np.float32)
    outcomes[rng.random((models, items)) < missing] = np.nan
    outcomes[0, np.isnan(outcomes).all(axis=0)] = 1
    return RoutingProblem(
        outcomes, vectors.astype(np.float32), groups, np.full(outcomes.shape, np.nan)
    )


class KeptRouter(NamedTuple):
    """A version that routes, its number and its models' names; org/m0 has the first row."""

    version: int
    blend: ServedBlend
    models: list[str]


def kept_router(
    connection: Connection,
    problem: RoutingProblem | None = None,
    *,
    settings: BlendSettings | None = SETTINGS,
    current: bool = True,
) -> KeptRouter:
    """Store a version with a router, its models and items made as needed."""
    problem = subjects_problem() if problem is None else problem
    models, items = problem.outcomes.shape
    write(connection, block("routed", asked=named(items)))
    learned = learn_blend(problem, settings=settings)
    seen = ~np.isnan(problem.outcomes)
    dimension = problem.vectors.shape[1]
    version = kept(
        connection,
        drawn(models),
        serving=drawn(models, dimension + 1, seed=3),
        encoder="small",
        items=[Column("routed", "", f"i{place}") for place in range(items)],
        router=LearnedRouter(
            learned.served,
            np.arange(models),
            np.arange(items),
            seen.sum(axis=1),
            learned.figures,
        ),
        current=current,
    )
    return KeptRouter(version, learned.served, [f"org/m{place}" for place in range(models)])
