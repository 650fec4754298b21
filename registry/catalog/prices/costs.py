"""Costs of answers in dollars: estimated tokens of prompts and replies, times prices.

The numbers are those of view `store.run_tokens`, which estimates the same of runs, and of the
routers in SQL, which know the vector of a prompt but not its length.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.learning.arrays import Reals

CHARACTERS_PER_TOKEN = 4.1
"""Of prompts; on 809 prompts of 36 benchmarks two models had 3.6 and 4.7."""

TYPICAL_INPUT = 750.0
"""Tokens of a prompt of which the vector alone is known."""

INPUT_PER_OUTPUT = 3.0
"""Tokens of a prompt for one of its reply, where nothing is stated of replies."""

_MILLION = 1e6


class TokenCounts(NamedTuple):
    """Tokens of N prompts and of their replies, float64 each."""

    input: Reals
    output: Reals


def estimate_tokens(prompts: Sequence[str]) -> TokenCounts:
    """Return tokens of prompts, by their lengths, and of replies."""
    given = np.array([len(prompt) for prompt in prompts], np.float64) / CHARACTERS_PER_TOKEN
    return TokenCounts(given, given / INPUT_PER_OUTPUT)


def token_prices(
    connection: Connection, models: Sequence[str], at: datetime | None = None
) -> Reals:
    """Return the prices of models at their cheapest paid provider, for three tokens in to one out.

    Args:
        connection: to read from.
        models: any of their names.
        at: when; None: today.

    Returns:
        float64, M x 2: dollars for a million tokens of input and of output; NaN without a price.
    """
    rows = connection.execute(
        text("""
        SELECT w.place, p.input_per_million, p.output_per_million
          FROM unnest(CAST(:models AS text[])) WITH ORDINALITY AS w (name, place)
         CROSS JOIN LATERAL (
               SELECT p.input_per_million, p.output_per_million
                 FROM registry.price_at(w.name, coalesce(CAST(:at AS timestamptz), now())) p
                WHERE p.counts AND p.currency = 'USD' AND NOT p.free
                ORDER BY 3 * p.input_per_million + p.output_per_million, p.provider LIMIT 1) p"""),
        {"models": list(models), "at": at},
    )
    prices = np.full((len(models), 2), np.nan)
    for row in rows:
        prices[row.place - 1] = row.input_per_million, row.output_per_million
    return prices


def answer_costs(prices: Reals, tokens: TokenCounts) -> Reals:
    """Return what answers cost.

    Args:
        prices: M x 2, as `token_prices` returns them.
        tokens: of N prompts and their replies.

    Returns:
        float64, M x N: dollars; NaN for a model without a price.
    """
    counts = np.stack([tokens.input, tokens.output])
    costs: Reals = prices @ counts / _MILLION
    return costs
