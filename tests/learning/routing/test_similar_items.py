"""Baselines of similar items and clusters, against loops in plain Python."""

import numpy as np
import pytest

from registry.learning.routing import similar_items
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing.similar_items import ItemClusters, SimilarItems


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, 6)).astype(np.float32)
    normalised: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


@pytest.fixture
def problem() -> RoutingProblem:
    rng = np.random.default_rng(0)
    outcomes = (rng.random((3, 80)) < 0.5).astype(np.float32)
    outcomes[1, rng.random(80) < 0.4] = np.nan
    return RoutingProblem(outcomes, unit(rng, 80), np.zeros(80, np.intp), np.ones((3, 80)))


@pytest.mark.parametrize("sharpness", [0.0, 8.0])
def test_neighbours(
    problem: RoutingProblem, sharpness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = unit(np.random.default_rng(5), 30)
    monkeypatch.setattr(similar_items, "_AT_ONCE", 800)
    found = SimilarItems(10, sharpness).fit(problem).predict(prompts).probabilities
    for prompt, row in zip(prompts, found, strict=True):
        cosines = problem.vectors @ prompt
        near = np.argsort(-cosines)[:10]
        weights = np.exp(sharpness * cosines[near])
        for model in range(3):
            seen = ~np.isnan(problem.outcomes[model, near])
            values = problem.outcomes[model, near][seen]
            assert row[model] == pytest.approx(np.average(values, weights=weights[seen]), abs=3e-3)


def test_what_no_neighbour_says_is_the_mean(problem: RoutingProblem) -> None:
    outcomes = problem.outcomes.copy()
    outcomes[1, 0], outcomes[1, 1:] = 1, np.nan
    outcomes[2] = np.nan
    sparse = RoutingProblem(outcomes, problem.vectors, problem.groups, problem.costs)
    found = SimilarItems(5).fit(sparse).predict(-problem.vectors[:1])
    assert found.probabilities[0, 1] == 1
    assert found.probabilities[0, 2] == pytest.approx(np.nanmean(outcomes))
    few = SimilarItems(500).fit(problem).predict(problem.vectors[:2]).probabilities
    assert few[0] == pytest.approx(np.nanmean(problem.outcomes, axis=1), abs=1e-3)


def test_ties_go_to_the_better_model(problem: RoutingProblem) -> None:
    outcomes = np.array([[1, 0, 0, 0], [1, 1, 1, 1]], np.float32)
    vectors = np.eye(4, dtype=np.float32)
    tied = RoutingProblem(outcomes, vectors, np.zeros(4, np.intp), np.ones((2, 4)))
    found = SimilarItems(1).fit(tied).predict(vectors[:1]).probabilities
    assert found[0, 1] > found[0, 0]


def test_clusters_have_the_means_of_their_items() -> None:
    rng = np.random.default_rng(3)
    centres = np.eye(4, dtype=np.float32)[:3] * 5
    labels = np.repeat([0, 1, 2], 20)
    vectors = (centres[labels] + rng.normal(0, 0.1, (60, 4))).astype(np.float32)
    outcomes = np.zeros((3, 60), np.float32)
    outcomes[labels, np.arange(60)] = 1
    outcomes[0, :5] = np.nan
    clustered = RoutingProblem(outcomes, vectors, labels, np.ones((3, 60)))
    found = ItemClusters(3).fit(clustered).predict(centres)
    assert found.probabilities == pytest.approx(np.eye(3), abs=1e-3)
    two = ItemClusters(3, nearest=2).fit(clustered).predict(centres[:1] + centres[1] / 2)
    assert two.probabilities[0] == pytest.approx([15 / 35, 0.5, 0], abs=1e-3)
    assert ItemClusters(50).fit(clustered.only(np.arange(9))).predict(centres).probabilities.shape
