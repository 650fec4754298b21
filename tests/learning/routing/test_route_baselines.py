"""Baselines of routers, on outcomes where each one's choice is known."""

import numpy as np
import pytest

from registry.learning.factorization.problem import Context
from registry.learning.routing import route_baselines as baselines
from registry.learning.routing.picks import pick, pick_at
from registry.learning.routing.routing_problem import RoutingProblem

NAN = float("nan")
OUTCOMES = np.array([[1, 1, 0, 0], [1, 0, NAN, 1], [0, 0, 1, 1]], np.float32)
COSTS = np.array([[1, 1, 1, 1], [5, 5, 5, NAN], [1, 1, 1, 1]], np.float64)
PROBLEM = RoutingProblem(OUTCOMES, np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1]), COSTS)
PROMPTS = np.zeros((3, 4), np.float32)


def test_means_predict_every_model() -> None:
    found = baselines.ModelMeans().fit(PROBLEM).predict(PROMPTS)
    assert found.probabilities.shape == (3, 3)
    assert found.probabilities[2] == pytest.approx([0.5, 2 / 3, 0.5])
    assert found.deviations[0, 0] == pytest.approx(0.25)
    assert pick_at(found.probabilities, np.array([1, 5, 1]), 1).tolist() == [0, 0, 0]


def test_constant_choices() -> None:
    best = baselines.BestSingle().fit(PROBLEM).predict(PROMPTS).probabilities
    assert np.isnan(best[:, [0, 2]]).all()
    assert best[:, 1] == pytest.approx([2 / 3] * 3)
    better = RoutingProblem(np.roll(OUTCOMES, 1, axis=0), PROBLEM.vectors, PROBLEM.groups, COSTS)
    cheapest = baselines.Cheapest().fit(better).predict(PROMPTS).probabilities
    assert pick(cheapest).tolist() == [2, 2, 2]  # 0 and 2 cost the same, and 2 is better
    free = RoutingProblem(OUTCOMES, PROBLEM.vectors, PROBLEM.groups, COSTS * NAN)
    with pytest.raises(ValueError, match="no model has a known cost"):
        baselines.Cheapest().fit(free)


def test_random_picks_have_the_frequencies_given() -> None:
    router = baselines.RandomRouter((0.2, 0.8, 0.0)).fit(PROBLEM, Context(seed=4))
    picks = pick(router.predict(np.zeros((2000, 4), np.float32)).probabilities)
    assert np.bincount(picks, minlength=3) / 2000 == pytest.approx([0.2, 0.8, 0], abs=0.03)
    again = pick(router.predict(np.zeros((2000, 4), np.float32)).probabilities)
    assert (again == picks).all()
    uniform = baselines.RandomRouter().fit(PROBLEM).predict(np.zeros((900, 4), np.float32))
    assert np.bincount(pick(uniform.probabilities)).min() > 250
    with pytest.raises(ValueError, match="2 frequencies of 3 models"):
        baselines.RandomRouter((0.5, 0.5)).fit(PROBLEM)


def test_expected_outcomes_of_the_same_frequencies() -> None:
    outcomes = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    found = baselines.same_frequencies(outcomes, np.array([0, 0, 0, 1]))
    assert found.tolist() == [0.75, 0.25, 1, 0]


def test_oracles() -> None:
    task = baselines.oracle_by_task(PROBLEM, np.array([1, 0, 7])).probabilities
    assert task[0] == pytest.approx([0, 1, 1])
    assert task[1] == pytest.approx([1, 0.5, 0])
    assert task[2] == pytest.approx([0.5, 2 / 3, 0.5])
    truth = np.array([[0, 1, 1], [0.2, 0.1, 0.2], [0, 0, 0]])
    assert baselines.oracle_by_instance(truth).probabilities == pytest.approx(truth)
    costs = np.array([1.0, 3.0, 2.0])
    cheap = baselines.oracle_by_cost(truth, costs).probabilities
    assert pick(cheap).tolist() == [2, 0, 0]
    assert np.isnan(cheap[0, :2]).all()
    unknown = baselines.oracle_by_cost(truth, np.array([1.0, 3.0, NAN])).probabilities
    assert pick(unknown).tolist() == [1, 0, 0]


def test_mean_costs_are_over_known_ones() -> None:
    assert baselines.mean_costs(COSTS).tolist() == [1, 5, 1]
    assert np.isnan(baselines.mean_costs(np.array([[NAN, NAN]]))).all()
