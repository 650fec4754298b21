"""The fast routers that are served, as methods."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.problem import Context, ItemTexts, Problem
from registry.learning.factorization.selection import with_serving
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing.served_routers import ServedNeighbours, ServingVectors


def problem(seed: int, count: int = 240) -> RoutingProblem:
    """Return outcomes of three models, each right where one direction of the vectors is high."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chances = 1 / (1 + np.exp(-5 * vectors[:, :3].T))
    return RoutingProblem(
        (rng.random((3, count)) < chances).astype(np.float32),
        vectors.astype(np.float32),
        np.zeros(count, np.intp),
        np.full((3, count), np.nan),
    )


def test_neighbours_are_the_weighted_mean_of_the_nearest_items() -> None:
    of, held = problem(0), problem(1, 20)
    fitted = ServedNeighbours().fit(of, Context(seed=3))
    settings, subjects = fitted.served.settings, fitted.served.subjects
    items = subjects.extended(of.vectors, settings.subject_weight)
    prompts = subjects.extended(held.vectors, settings.subject_weight)
    found = fitted.predict(held.vectors).probabilities
    for prompt, row in zip(prompts, found, strict=True):
        cosines = items @ prompt
        nearest = np.argsort(-cosines)[: settings.k]
        weights = np.exp(settings.sharpness * cosines[nearest])
        expected = (of.outcomes[:, nearest] * weights).sum(axis=1) / weights.sum()
        assert row == pytest.approx(expected, abs=1e-5)


def test_serving_vectors_tell_models_apart_by_prompts() -> None:
    of, held = problem(0, 600), problem(1, 300)
    found = ServingVectors().fit(of, Context(seed=3)).predict(held.vectors)
    assert found.probabilities.shape == (300, 3)
    assert np.isnan(found.deviations).all()
    picked = held.outcomes[found.probabilities.argmax(axis=1), np.arange(300)].mean()
    assert picked > held.outcomes.mean(axis=1).max() + 0.1
    # Those that a training learns: rank one of three models.
    texts = ItemTexts(of.vectors, np.zeros((600, 0), np.float32), csr_array((600, 0)))
    whole = Problem(of.outcomes, texts)
    fit = ItemResponse(rank=1, prior=0.5, sweeps=20).fit(whole, context=Context(seed=3))
    serving = with_serving(fit, whole).serving
    assert serving is not None
    logits = np.column_stack([held.vectors, np.ones(300)]) @ serving.T
    assert found.probabilities == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-4)


def test_too_few_items_give_no_serving_vectors_but_means() -> None:
    of = problem(0, 19)
    found = ServingVectors().fit(of).predict(of.vectors[:2]).probabilities
    assert found == pytest.approx(np.tile(of.outcomes.mean(axis=1), (2, 1)))
