"""Picks, by probabilities alone and with costs weighed against them."""

import numpy as np
import pytest

from registry.learning.routing.picks import at, cost_weights, one_hot, pick, pick_at

NAN = float("nan")
P = np.array([[0.5, 0.9, 0.9], [0.7, NAN, 0.2], [NAN, NAN, 0.1]], np.float32)
COSTS = np.array([1.0, 3.0, 2.0])


def test_the_first_of_the_most_likely_is_picked() -> None:
    assert pick(P).tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="prompt 1 has no model"):
        pick(np.array([[0.5], [NAN]], np.float32))


def test_costs_are_weighed_against_probabilities() -> None:
    assert pick_at(P, COSTS, 0).tolist() == [1, 0, 2]
    # Of equal probabilities the cheaper one, with any weight; then the saving counts.
    assert pick_at(P, COSTS, 1e-6).tolist() == [2, 0, 2]
    assert pick_at(P, COSTS, 0.39).tolist() == [2, 0, 2]
    assert pick_at(P, COSTS, 0.41).tolist() == [0, 0, 2]
    each = np.array([[1, 3, 2], [5, 1, 1], [1, 1, 1.0]])
    assert pick_at(P, each, 0.2).tolist() == [2, 2, 2]


def test_an_infinite_weight_picks_the_cheapest_possible_model() -> None:
    assert pick_at(P, COSTS, np.inf).tolist() == [0, 0, 2]
    assert pick_at(P[:1], np.array([2.0, 2, 2]), np.inf).tolist() == [1]


def test_costs_must_be_known_where_they_count() -> None:
    unknown = np.array([1.0, 3.0, NAN])
    assert pick_at(P, unknown, 0).tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="no known cost"):
        pick_at(P, unknown, 1)
    assert pick_at(P[:, :2][:2], unknown[:2], 1).tolist() == [0, 0]
    with pytest.raises(ValueError, match="at least 0, not -1"):
        pick_at(P, COSTS, -1)


def test_weights_lead_from_the_best_to_the_cheapest() -> None:
    weights = cost_weights(np.array([[1.0, NAN], [5.0, 2.0]]), 3)
    assert weights.tolist() == [0, 1e-3 / 4, 0.25, 250, np.inf]
    assert cost_weights(np.array([2.0, 2.0])).tolist() == [0]
    assert cost_weights(np.array([NAN])).tolist() == [0]


def test_values_of_picks() -> None:
    assert at(P, np.array([0, 2, 2])).tolist() == pytest.approx([0.5, 0.2, 0.1])
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
