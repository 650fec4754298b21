"""Costs of answers in dollars."""

from datetime import timedelta

import numpy as np
from factories import NOON, model
from numpy.testing import assert_allclose
from priced import offer
from sqlalchemy import Connection

from registry.catalog.prices.costs import TokenCounts, answer_costs, estimate_tokens, token_prices


def test_prices_are_those_of_the_cheapest_paid_offer(connection: Connection) -> None:
    key = model(connection, "org/a")
    model(connection, "org/unpriced")
    offer(connection, "a", key, (2.0, 10.0), (1.0, 10.0), provider="one")
    offer(connection, "a", key, (0.0, 0.0), provider="free")
    offer(connection, "a", key, (0.1, 0.1), provider="yuan", currency="CNY")
    offer(connection, "a", key, (0.5, 14.0), provider="two")
    names = ["org/unpriced", "ORG/A", "nobody", "org/a"]
    nothing = [float("nan")] * 2
    assert_allclose(token_prices(connection, names), [nothing, [1.0, 10.0], nothing, [1.0, 10.0]])
    # 3 * 2 + 10 = 16 was more than 3 * 0.5 + 14 = 15.5.
    assert_allclose(token_prices(connection, ["org/a"], NOON), [[0.5, 14.0]])
    assert_allclose(token_prices(connection, ["org/a"], NOON - timedelta(1)), [nothing])


def test_costs_are_tokens_times_prices() -> None:
    tokens = estimate_tokens(["x" * 41, "x" * 123])
    assert_allclose(tokens.input, [10, 30])
    assert_allclose(tokens.output, [10 / 3, 10])
    costs = answer_costs(np.array([[3.0, 6.0], [np.nan, np.nan]]), tokens)
    assert_allclose(costs, [[50e-6, 150e-6], [np.nan, np.nan]])
    assert answer_costs(np.ones((1, 2)), TokenCounts(np.zeros(0), np.zeros(0))).shape == (1, 0)
