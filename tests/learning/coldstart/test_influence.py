"""Influence of known models: the largest weights of either sign."""

import numpy as np
import pytest

from registry.learning.coldstart.influence import STRONGEST, Influence


@pytest.mark.parametrize("models", [7, 1000], ids=["ranked", "in groups"])
def test_a_negative_weight_counts_by_its_size(models: int) -> None:
    weights = np.linspace(-1, 0.9, models, dtype=np.float32)[None]
    near = Influence(np.array([0]), weights).strongest(np.ones((1, 1), np.float32))
    expected = np.argsort(-np.abs(weights[0]), kind="stable")[:STRONGEST]
    assert near.places.tolist() == [expected.tolist()]
    assert near.weights[0].tolist() == weights[0, expected].tolist()
    assert near.weights[0, 0] == -1
