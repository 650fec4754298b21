"""What a list changes, and the history that it leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from factories import NOON, rows
from sqlalchemy import Connection

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice
from registry.catalog.prices.store import WrittenPrices, write_prices

DAY = timedelta(days=1)


def day(number: int) -> datetime:
    return NOON + number * DAY


def price(given: float, taken: float = 2.0, **others: Any) -> TokenPrice:
    return TokenPrice(given, taken, **others)


def store(
    connection: Connection,
    as_of: datetime,
    prices: Mapping[str, TokenPrice | None],
    *,
    complete: bool = True,
    source: str = "list",
) -> WrittenPrices:
    rows_ = [PriceRow("p", name, each) for name, each in prices.items()]
    return write_prices(connection, PriceList(source, rows_, complete), as_of=as_of)


def dated(
    connection: Connection, changes: Sequence[tuple[str, int, TokenPrice | None]]
) -> WrittenPrices:
    rows_ = [PriceRow("p", name, each, day(number)) for name, number, each in changes]
    last = max(number for _, number, _ in changes)
    prices = PriceList("list", rows_, complete=False, seen_at=day(last))
    return write_prices(connection, prices, as_of=day(99))


def history(connection: Connection, name: str = "a") -> list[tuple[Any, ...]]:
    """Days from and to, and the price of input, of an offer; None for what has no end or price."""
    found = rows(
        connection,
        """SELECT valid_from, valid_to, input_per_million
             FROM store.prices JOIN store.price_offers USING (offer_id)
            WHERE name = :name ORDER BY valid_from""",
        name=name,
    )
    return [((a - NOON).days, b and (b - NOON).days, c) for a, b, c in found]


def test_a_new_price_closes_the_old_one(connection: Connection) -> None:
    assert store(connection, day(0), {"a": price(1.0)}) == WrittenPrices(1, 1, 1, 0, 0)
    assert store(connection, day(2), {"a": price(3.0)}) == WrittenPrices(1, 0, 1, 0, 0)
    assert history(connection) == [(0, 2, 1.0), (2, None, 3.0)]


def test_the_same_list_changes_nothing(connection: Connection) -> None:
    prices = {"a": price(1.0), "b": price(0.0, 0.0), "c": price(2.0, context=5, tiered=True)}
    store(connection, day(0), prices)
    before = rows(connection, "SELECT * FROM store.prices")
    assert store(connection, day(0), prices) == WrittenPrices(3, 0, 0, 0, 3)
    assert store(connection, day(5), prices) == WrittenPrices(3, 0, 0, 0, 3)
    assert rows(connection, "SELECT * FROM store.prices") == before


def test_each_part_of_a_price_is_compared(connection: Connection) -> None:
    different = (
        price(1.0), price(1.5), price(1.5, 2.5), price(1.5, 2.5, context=5),
        price(1.5, 2.5, context=5, tiered=True),
        price(1.5, 2.5, context=5, tiered=True, cached_input_per_million=0.1),
        price(1.5, 2.5, context=5, tiered=True, cached_input_per_million=0.1, currency="EUR"),
    )  # fmt: skip
    for number, each in enumerate(different):
        assert store(connection, day(number), {"a": each}).changed == 1
    assert len(history(connection)) == len(different)
    last = rows(
        connection,
        """SELECT input_per_million, output_per_million, cached_input_per_million, context,
                  currency, tiered FROM store.prices WHERE valid_to IS NULL""",
    )
    assert last == [tuple(different[-1])]


def test_what_a_complete_list_lacks_is_withdrawn(connection: Connection) -> None:
    store(connection, day(0), {"a": price(1.0), "b": price(2.0)})
    assert store(connection, day(1), {"b": price(2.0)}) == WrittenPrices(1, 0, 0, 1, 1)
    assert history(connection, "a") == [(0, 1, 1.0), (1, None, None)]
    assert store(connection, day(2), {"b": price(2.0)}).withdrawn == 0
    assert store(connection, day(3), {"a": price(1.0), "b": price(2.0)}).changed == 1
    assert history(connection, "a") == [(0, 1, 1.0), (1, 3, None), (3, None, 1.0)]


def test_a_part_of_a_list_withdraws_nothing(connection: Connection) -> None:
    store(connection, day(0), {"a": price(1.0), "b": price(2.0)})
    assert store(connection, day(1), {"b": price(2.0)}, complete=False).withdrawn == 0
    assert history(connection, "a") == [(0, None, 1.0)]


def test_other_sources_keep_their_offers(connection: Connection) -> None:
    store(connection, day(0), {"a": price(1.0)})
    assert store(connection, day(1), {"b": price(2.0)}, source="other").withdrawn == 0
    assert history(connection, "a") == [(0, None, 1.0)]


def test_an_entry_without_a_usable_price_ends_the_one_before(connection: Connection) -> None:
    store(connection, day(0), {"a": price(1.0)})
    found = store(connection, day(1), {"a": None, "never": None}, complete=False)
    assert found == WrittenPrices(0, 0, 0, 1, 0)
    assert history(connection) == [(0, 1, 1.0), (1, None, None)]
    assert history(connection, "never") == []


def test_an_older_list_fills_in_the_history(connection: Connection) -> None:
    store(connection, day(4), {"a": price(4.0)})
    store(connection, day(0), {"a": price(1.0), "b": price(1.0)})
    assert history(connection) == [(0, 4, 1.0), (4, None, 4.0)]
    seen = dict(rows(connection, "SELECT name, seen_at FROM store.price_offers"))
    assert seen == {"a": day(4), "b": day(0)}


def test_dated_changes(connection: Connection) -> None:
    changes = [
        ("a", 0, price(1.0)), ("a", 1, price(1.0)), ("a", 2, price(2.0)), ("a", 3, None),
        ("a", 5, price(2.0)), ("b", 1, None), ("b", 2, price(7.0)),
    ]  # fmt: skip
    assert dated(connection, changes) == WrittenPrices(2, 2, 4, 1, 1)
    expected = [(0, 2, 1.0), (2, 3, 2.0), (3, 5, None), (5, None, 2.0)]
    assert history(connection, "a") == expected
    assert history(connection, "b") == [(2, None, 7.0)]
    assert dated(connection, changes) == WrittenPrices(2, 0, 0, 0, 5)
    assert history(connection, "a") == expected


def test_a_corrected_change_replaces_what_it_corrects(connection: Connection) -> None:
    dated(connection, [("a", 0, price(1.0)), ("a", 2, price(2.0))])
    assert dated(connection, [("a", 0, price(1.0)), ("a", 2, price(3.0))]).changed == 1
    assert history(connection) == [(0, 2, 1.0), (2, None, 3.0)]


def test_an_offer_is_seen_until_the_end_of_a_dated_list_or_until_it_is_gone(
    connection: Connection,
) -> None:
    dated(connection, [("a", 0, price(1.0)), ("gone", 0, price(1.0)), ("gone", 2, None),
                       ("last", 5, price(1.0))])  # fmt: skip
    seen = dict(rows(connection, "SELECT name, seen_at FROM store.price_offers"))
    assert seen == {"a": day(5), "gone": day(2), "last": day(5)}


def test_of_two_prices_at_a_time_the_last_counts(connection: Connection) -> None:
    dated(connection, [("a", 0, price(1.0)), ("a", 0, price(2.0))])
    assert history(connection) == [(0, None, 2.0)]
