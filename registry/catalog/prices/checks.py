"""Checks of prices: what cannot be a price of tokens, or is not one of the list's kind."""

import math
import re
from collections.abc import Iterable
from statistics import median

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice

ABSURD = 1_000.0
"""How many times the median of a list a price may be, and of how many times it a fraction.

The dearest models cost 400 times the median of lists of 2026. Beyond are prices that were entered
by token or by a thousand of them, and prices of minutes and pictures: 31 of 19,000.
"""

FEWEST = 20
"""Prices of which a median says what is usual."""

_CURRENCY = re.compile("[A-Z]{3}", re.ASCII)


def check(prices: PriceList) -> None:
    """Take prices that cannot be right out of a list; their offers stay, without a price.

    What is refused is in `left_out`, with the reason: negative prices, those that are no finite
    number, currencies that are no code of ISO 4217, and prices in dollars more than ABSURD times
    the median of the list, or less than that part of it. A price of 0 is none of these.
    """
    usual = _Usual(row.price for row in prices.rows)
    kept: list[PriceRow] = []
    for row in prices.rows:
        problem = row.price and (_fault(row.price) or usual.fault(row.price))
        if problem:
            prices.leave_out(problem, f"{row.provider}/{row.name}")
        kept.append(row._replace(price=None) if problem else row)
    prices.rows = kept


def _fault(price: TokenPrice) -> str | None:
    stated = [price.input_per_million, price.output_per_million]
    if price.cached_input_per_million is not None:
        stated.append(price.cached_input_per_million)
    if not all(map(math.isfinite, stated)):
        return "prices that are no number"
    if min(stated) < 0:
        return "negative prices"
    if not _CURRENCY.fullmatch(price.currency):
        return "prices in a currency that is no code of ISO 4217"
    return None


class _Usual:
    """The usual prices of a list, in dollars."""

    def __init__(self, prices: Iterable[TokenPrice | None]) -> None:
        sound = [each for each in prices if each and not _fault(each) and each.currency == "USD"]
        self._input = _median(each.input_per_million for each in sound)
        self._output = _median(each.output_per_million for each in sound)

    def fault(self, price: TokenPrice) -> str | None:
        """Return what is absurd about a price."""
        if price.currency != "USD":
            return None
        for stated, usual in (
            (price.input_per_million, self._input),
            (price.output_per_million, self._output),
        ):
            if usual and stated > ABSURD * usual:
                return f"prices more than {ABSURD:,.0f} times the median of the list"
            if usual and 0 < stated < usual / ABSURD:
                return f"prices less than a {ABSURD:,.0f}th of the median of the list"
        return None


def _median(prices: Iterable[float]) -> float | None:
    paid = [each for each in prices if each > 0]
    return median(paid) if len(paid) >= FEWEST else None
