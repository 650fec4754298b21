"""Routing problem: outcomes, vectors and costs of the same items."""

import numpy as np
import pytest

from registry.learning.routing.routing_problem import RoutingProblem


def _problem(items: int = 3) -> RoutingProblem:
    return RoutingProblem(
        np.array([[0, 0.5, 0.25], [0.5, 0.75, 1]], np.float32),
        np.eye(items, 4, dtype=np.float32),
        np.arange(items),
        np.arange(6, dtype=np.float64).reshape(2, 3),
    )


def test_a_part_has_the_same_items_throughout() -> None:
    part = _problem().only(np.array([2, 0]))

    assert part.outcomes.tolist() == [[0.25, 0], [1, 0.5]]
    assert part.vectors.argmax(axis=1).tolist() == [2, 0]
    assert part.groups.tolist() == [2, 0]
    assert part.costs.tolist() == [[2, 0], [5, 3]]


def test_other_numbers_of_items_are_refused() -> None:
    with pytest.raises(ValueError, match="of 3 items"):
        _problem(items=4)
