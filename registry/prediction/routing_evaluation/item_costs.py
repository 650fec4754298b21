"""Costs of models' answers to items in dollars: tokens, stated or estimated, times prices.

Tokens that no source states are estimated: those of a prompt from its length, those of an answer
from the model's others, or from other models' answers, or else from the prompt's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from registry.catalog.prices.costs import CHARACTERS_PER_TOKEN, INPUT_PER_OUTPUT, token_prices
from registry.learning.arrays import Reals

INPUT_SHARE = 0.75
"""Share of input among the tokens that a price in one number is of, as in `current_prices`."""


class PoolPrice(NamedTuple):
    """Dollars for a million tokens."""

    input: float
    output: float

    @property
    def blended(self) -> float:
        """Price of three tokens of input to one of output."""
        return INPUT_SHARE * self.input + (1 - INPUT_SHARE) * self.output


@dataclass(frozen=True, slots=True)
class PoolPrices:
    """Cheapest present prices of models, by name, and the most that one may cost."""

    prices: Mapping[str, PoolPrice]
    most: float | None = None

    def allows(self, model: str) -> bool:
        """Return whether a model is within the limit; one without a price is not."""
        if self.most is None:
            return True
        return model in self.prices and self.prices[model].blended <= self.most


def read_prices(
    connection: Connection, models: Sequence[str], most: float | None = None
) -> PoolPrices:
    """Read the cheapest present price of each model, where one is known.

    Args:
        connection: to read from.
        models: names, as they are now.
        most: dollars per million tokens, blended.
    """
    found = token_prices(connection, models)
    return PoolPrices(
        {
            name: PoolPrice(*price)
            for name, price in zip(models, found.tolist(), strict=True)
            if not np.isnan(price).any()
        },
        most,
    )


@dataclass(frozen=True, slots=True, eq=False)
class ItemUsage:
    """Tokens of M models on N items.

    Attributes:
        input_tokens: float64, M x N; NaN where not stated.
        output_tokens: likewise.
        characters: float64, N: length of the prompts.
    """

    input_tokens: Reals
    output_tokens: Reals
    characters: Reals

    @classmethod
    def unknown(cls, models: int, items: int) -> "ItemUsage":
        """Return usage of which nothing is stated, to be filled in."""
        nothing = np.full((models, items), np.nan)
        return cls(nothing, nothing.copy(), np.zeros(items))

    def only(self, items: np.ndarray[tuple[int], np.dtype[np.intp]]) -> "ItemUsage":
        """Return the usage on some items."""
        return ItemUsage(
            self.input_tokens[:, items], self.output_tokens[:, items], self.characters[items]
        )


@dataclass(frozen=True, slots=True, eq=False)
class ItemCosts:
    """Costs of M models on N items.

    Attributes:
        dollars: float64, M x N; NaN for a model without a price.
        basis: how many are of stated tokens, of estimated ones, and unknown.
    """

    dollars: Reals
    basis: Mapping[str, int]


def item_costs(prices: PoolPrices, models: Sequence[str], usage: ItemUsage) -> ItemCosts:
    """Return what each answer costs, at present prices.

    Args:
        prices: of the models, where known.
        models: names of the rows.
        usage: tokens, where stated.
    """
    stated = ~np.isnan(usage.input_tokens) & ~np.isnan(usage.output_tokens)
    unknown = (np.nan, np.nan)
    each = np.array([prices.prices.get(name, unknown) for name in models]).reshape(-1, 2)
    inputs = _inputs(usage)
    outputs = _outputs(usage.output_tokens, inputs / INPUT_PER_OUTPUT)
    dollars = (inputs * each[:, :1] + outputs * each[:, 1:]) / 1e6
    priced = ~np.isnan(dollars)
    basis = {
        "stated": int((priced & stated).sum()),
        "estimated": int((priced & ~stated).sum()),
        "unknown": int((~priced).sum()),
    }
    return ItemCosts(dollars, basis)


def _inputs(usage: ItemUsage) -> Reals:
    by_item = _mean(usage.input_tokens, 0)
    guessed = np.where(np.isnan(by_item), usage.characters / CHARACTERS_PER_TOKEN, by_item)
    return np.where(np.isnan(usage.input_tokens), guessed, usage.input_tokens)


def _outputs(stated: Reals, guessed: Reals) -> Reals:
    """Return tokens of answers: stated, else the model's mean, else that of all models.

    Where nothing is stated of any answer, they are guessed from the prompts.
    """
    overall = _mean(stated.ravel()[None], 1)[0]
    by_model = _mean(stated, 1)[:, None]
    expected = np.where(np.isnan(by_model), guessed if np.isnan(overall) else overall, by_model)
    return np.where(np.isnan(stated), expected, stated)


def _mean(values: Reals, axis: int) -> Reals:
    counts = (~np.isnan(values)).sum(axis=axis)
    sums = np.nansum(values, axis=axis)
    means: Reals = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means
