"""Prices that cannot be right."""

import math

import pytest

from registry.catalog.prices.checks import check
from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice


def listed(*prices: TokenPrice | None, usual: int = 20) -> PriceList:
    """A list of prices around 1 and 2 dollars, and of some others."""
    sound = [PriceRow("p", f"sound{n}", TokenPrice(1.0, 2.0)) for n in range(usual)]
    odd = [PriceRow("p", f"odd{n}", price) for n, price in enumerate(prices)]
    return PriceList("test", [*sound, *odd], complete=True)


def checked(*prices: TokenPrice | None, usual: int = 20) -> tuple[list[bool], dict[str, list[str]]]:
    prices_ = listed(*prices, usual=usual)
    check(prices_)
    return [row.price is not None for row in prices_.rows[usual:]], prices_.left_out


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        (TokenPrice(-0.001, 2.0), "negative prices"),
        (TokenPrice(1.0, -0.001), "negative prices"),
        (TokenPrice(1.0, 2.0, -0.001), "negative prices"),
        (TokenPrice(math.nan, 2.0), "prices that are no number"),
        (TokenPrice(1.0, math.inf), "prices that are no number"),
        (TokenPrice(1.0, 2.0, math.nan), "prices that are no number"),
        (TokenPrice(1.0, 2.0, currency="dollars"), "no code of ISO 4217"),
        (TokenPrice(1001.0, 2.0), "more than 1,000 times the median"),
        (TokenPrice(1.0, 2001.0), "more than 1,000 times the median"),
        (TokenPrice(0.000999, 2.0), "less than a 1,000th of the median"),
        (TokenPrice(1.0, 0.00199), "less than a 1,000th of the median"),
    ],
)
def test_what_cannot_be_right_is_left_out_with_a_reason(price: TokenPrice, reason: str) -> None:
    (kept,), left_out = checked(price)
    assert not kept
    assert [names for found, names in left_out.items() if reason in found] == [["p/odd0"]]


@pytest.mark.parametrize(
    "price",
    [
        None,
        TokenPrice(0.0, 0.0),
        TokenPrice(0.01, 0.0),
        TokenPrice(1000.0, 2000.0),
        TokenPrice(0.001, 0.002),
        TokenPrice(5000.0, 9000.0, currency="JPY"),
    ],
)
def test_what_may_be_right_stays(price: TokenPrice | None) -> None:
    (kept,), left_out = checked(price)
    assert kept == (price is not None)
    assert left_out == {}


def test_few_prices_say_nothing_of_what_is_usual() -> None:
    assert checked(TokenPrice(9999.0, 9999.0), usual=18)[0] == [True]


def test_medians_are_of_paid_prices_in_dollars() -> None:
    free = [TokenPrice(0.0, 0.0)] * 30
    yen = [TokenPrice(9000.0, 9000.0, currency="JPY")] * 30
    kept, _ = checked(*free, *yen, TokenPrice(900.0, 900.0))
    assert all(kept)
    kept, _ = checked(*free, *yen, TokenPrice(1100.0, 900.0))
    assert kept == [True] * 60 + [False]
