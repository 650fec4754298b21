"""Costs of answers: stated tokens, estimated ones, and prices that are not known."""

import numpy as np
import pytest

from registry.catalog.prices.costs import CHARACTERS_PER_TOKEN, INPUT_PER_OUTPUT
from registry.prediction.routing_evaluation.item_costs import (
    ItemUsage,
    PoolPrice,
    PoolPrices,
    item_costs,
)

NAN = float("nan")
MODELS = ["a", "b", "c"]
PRICES = PoolPrices({"a": PoolPrice(1.0, 10.0), "b": PoolPrice(2.0, 2.0)})


def usage(inputs: list[list[float]], outputs: list[list[float]]) -> ItemUsage:
    return ItemUsage(np.array(inputs), np.array(outputs), np.array([41.0, 82.0]))


def test_stated_tokens_are_priced() -> None:
    found = item_costs(
        PRICES, MODELS, usage([[10, 20], [30, 40], [1, 1]], [[1, 2], [3, 4], [1, 1]])
    )
    assert found.dollars[:2] == pytest.approx(np.array([[20, 40], [66, 88]]) / 1e6)
    assert np.isnan(found.dollars[2]).all()
    assert found.basis == {"stated": 4, "estimated": 0, "unknown": 2}


def test_tokens_that_are_not_stated_are_of_others() -> None:
    found = item_costs(
        PRICES,
        MODELS,
        usage([[10, NAN], [NAN, NAN], [20, NAN]], [[6, NAN], [NAN, NAN], [9, 12]]),
    )
    # Prompts: other models' tokens, or the length; answers: the model's mean, or that of all.
    length = 82 / CHARACTERS_PER_TOKEN
    assert found.dollars[0] == pytest.approx([70e-6, (length + 60) / 1e6])
    assert found.dollars[1] == pytest.approx([(2 * 15 + 2 * 9) / 1e6, (2 * length + 18) / 1e6])
    assert found.basis == {"stated": 1, "estimated": 3, "unknown": 2}


def test_where_nothing_is_stated_lengths_decide() -> None:
    nothing = ItemUsage.unknown(3, 2)
    nothing.characters[:] = [41, 82]
    found = item_costs(PRICES, MODELS, nothing)
    tokens = np.array([41, 82]) / CHARACTERS_PER_TOKEN
    assert found.dollars[0] == pytest.approx(tokens * (1 + 10 / INPUT_PER_OUTPUT) / 1e6)
    assert found.dollars[1] == pytest.approx(tokens * (2 + 2 / INPUT_PER_OUTPUT) / 1e6)


def test_a_limit_is_on_the_blended_price() -> None:
    limited = PoolPrices(PRICES.prices, 2.0)
    assert PoolPrice(1, 10).blended == pytest.approx(3.25)
    assert [limited.allows(name) for name in MODELS] == [False, True, False]
    assert all(PRICES.allows(name) for name in MODELS)
