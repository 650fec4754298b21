"""Portions of a computation, by what its fits cost."""

import pytest

from registry.learning.factorization.portions import cost
from registry.learning.factorization.text_gp import TextRegression

pytest.importorskip("torch")


def test_landmarks_bound_the_cost_of_a_regression_on_texts() -> None:
    def seconds(items: int) -> float:
        return cost(TextRegression(landmarks=100), (10, items))

    assert seconds(800) == pytest.approx(2 * seconds(400)), "each item is compared with as many"
    assert seconds(100) > 2 * seconds(50), "so few are all landmarks"
