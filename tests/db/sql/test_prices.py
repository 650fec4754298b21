"""Views and functions of prices."""

from datetime import timedelta
from typing import Any

import pytest
from factories import NOON, alias, model, rows, stub
from priced import offer
from sqlalchemy import Connection

DAY = timedelta(days=1)


def current(connection: Connection) -> list[tuple[Any, ...]]:
    return rows(
        connection,
        """SELECT m.name, c.provider, c.input_per_million, c.output_per_million, c.context
             FROM store.current_prices c JOIN store.models m USING (model_id) ORDER BY 1""",
    )


def cost(connection: Connection, *arguments: Any) -> Any:
    names = [f"a{place}" for place in range(len(arguments))]
    ((found,),) = rows(
        connection,
        f"SELECT registry.cost({', '.join(f':{name}' for name in names)})",
        **dict(zip(names, arguments, strict=True)),
    )
    return found


def test_the_current_price_is_the_cheapest_for_three_tokens_in_to_one_out(
    connection: Connection,
) -> None:
    key = model(connection, "org/a")
    # 3 * 2 + 10 = 16, 3 * 1 + 12.5 = 15.5, and 3 * 4 + 1 = 13, which is no longer sold.
    offer(connection, "a", key, (2.0, 10.0), provider="one", context=100)
    offer(connection, "a", key, (1.0, 12.5), provider="two", context=200)
    offer(connection, "a", key, (4.0, 1.0), None, provider="three")
    assert current(connection) == [("org/a", "two", 1.0, 12.5, 200)]


def test_the_current_price_is_the_last(connection: Connection) -> None:
    offer(connection, "a", model(connection, "org/a"), (1.0, 1.0), (2.0, 3.0))
    assert current(connection) == [("org/a", "openrouter", 2.0, 3.0, None)]


def test_nothing_is_planned_by_free_offers_or_other_currencies(connection: Connection) -> None:
    key = model(connection, "org/a")
    offer(connection, "a:free", key, (0.0, 0.0))
    offer(connection, "a", key, (0.5, 0.5), currency="CNY")
    assert current(connection) == []
    # An embedding's output costs nothing, which does not make it free.
    offer(connection, "a", key, (0.5, 0.0), provider="paid")
    assert current(connection) == [("org/a", "paid", 0.5, 0.0, None)]


def test_names_without_a_model_are_in_the_view_alone(connection: Connection) -> None:
    offer(connection, "gpt-4o", None, (2.5, 10.0), None, provider="openai")
    assert current(connection) == []
    assert rows(
        connection,
        "SELECT model, provider, valid_from, valid_to, free, resolved_by FROM registry.prices",
    ) == [("gpt-4o", "openai", NOON, NOON + DAY, False, None)]


def test_prices_have_the_name_of_the_model(connection: Connection) -> None:
    offer(connection, "a:free", model(connection, "org/a"), (0.0, 0.0))
    found = "SELECT model, offered_as, free, resolved_by, name_confidence FROM registry.prices"
    assert rows(connection, found) == [("org/a", "a:free", True, "exact", 1.0)]


@pytest.mark.parametrize(
    ("days", "price"), [(-0.1, None), (0, 1.0), (0.99, 1.0), (1, None), (2, 3.0), (9, 3.0)]
)
def test_a_price_holds_from_its_time_until_before_the_next(
    connection: Connection, days: float, price: float | None
) -> None:
    offer(connection, "a", model(connection, "org/a"), (1.0, 2.0), None, (3.0, 4.0))
    found = rows(
        connection,
        "SELECT input_per_million FROM registry.price_at('ORG/A', :at)",
        at=NOON + days * DAY,
    )
    assert found == ([(price,)] if price else [])


def test_offers_of_a_time_come_cheapest_first_and_dollars_before_others(
    connection: Connection,
) -> None:
    key = model(connection, "org/a")
    alias(connection, key, "nick")
    offer(connection, "a", key, (2.0, 10.0), provider="dear")
    offer(connection, "a", key, (0.1, 0.1), provider="yuan", currency="CNY")
    offer(connection, "a", key, (1.0, 12.5), provider="cheap")
    found = "SELECT provider FROM registry.price_at('nick')"
    assert rows(connection, found) == [("cheap",), ("dear",), ("yuan",)]
    only = "SELECT provider FROM registry.price_at('nick', now(), 'dear')"
    assert rows(connection, only) == [("dear",)]


def test_a_name_without_a_model_has_its_own_prices(connection: Connection) -> None:
    offer(connection, "gpt-4o", None, (2.5, 10.0))
    offer(connection, "gpt-4o", stub(connection, "other"), (1.0, 1.0), provider="of-another")
    found = "SELECT input_per_million FROM registry.price_at('GPT-4o')"
    assert rows(connection, found) == [(2.5,)]


def test_cost_is_that_of_the_cheapest_offer_for_these_tokens(connection: Connection) -> None:
    key = model(connection, "org/a")
    offer(connection, "a", key, (1.0, 10.0), provider="cheap-input")
    offer(connection, "a", key, (5.0, 2.0), provider="cheap-output")
    offer(connection, "a", key, (0.01, 0.01), provider="yuan", currency="CNY")
    offer(connection, "a", key, (0.0, 0.0), provider="free")
    assert cost(connection, "org/a", 1e6, 1e5) == pytest.approx(1.0 + 1.0)
    assert cost(connection, "org/a", 1e5, 1e6) == pytest.approx(0.5 + 2.0)
    at = NOON + DAY
    assert cost(connection, "org/a", 1e5, 1e6, at, "cheap-input") == pytest.approx(0.1 + 10.0)
    assert cost(connection, "org/a", 1e5, 1e6, at, "free") == 0
    assert cost(connection, "org/a", 1e6, 1e5, NOON - DAY) is None
    assert cost(connection, "org/a", -1.0, 1e5) is None
    assert cost(connection, "org/a", 1e6, -1.0) is None
    assert cost(connection, "nobody", 1e6, 1e5) is None


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ((2.0, 2.0), (1.0, 2.0), "cheaper"),
        ((2.0, 2.0), (2.0, 1.0), "cheaper"),
        ((2.0, 2.0), (3.0, 2.0), "dearer"),
        ((2.0, 2.0), (2.0, 3.0), "dearer"),
        ((2.0, 2.0), (1.0, 3.0), "both"),
        ((2.0, 2.0), (3.0, 1.0), "both"),
        ((2.0, 2.0), None, "gone"),
        ((2.0, 2.0), (2.0, 2.0), None),
    ],
)
def test_kinds_of_changes(
    connection: Connection,
    before: tuple[float, float],
    after: tuple[float, float] | None,
    change: str | None,
) -> None:
    offer(connection, "a", None, before, after)
    found = rows(connection, "SELECT change, input_before, input_after FROM registry.price_changes")
    assert found == ([(change, before[0], after and after[0])] if change else [])


def test_what_a_list_had_at_first_is_not_new_and_what_comes_back_is(
    connection: Connection,
) -> None:
    offer(connection, "first", None, (1.0, 1.0), None, (1.0, 1.0))
    offer(connection, "later", None, (1.0, 1.0), since=NOON + DAY)
    offer(connection, "of another list", None, (1.0, 1.0), since=NOON + DAY, source="other")
    found = rows(
        connection,
        "SELECT offered_as, change FROM registry.price_changes ORDER BY changed_at, offered_as",
    )
    assert found == [("first", "gone"), ("later", "new"), ("first", "new")]


def test_of_lists_that_disagree_on_a_provider_the_last_seen_counts(connection: Connection) -> None:
    key = model(connection, "org/a")
    offer(connection, "a", key, (1.0, 1.0), source="old", provider="p", since=NOON - DAY)
    offer(connection, "a", key, (2.0, 2.0), source="new", provider="p", seen_at=NOON + DAY)
    offer(connection, "a", key, (3.0, 3.0), source="old", provider="q")
    assert current(connection) == [("org/a", "p", 2.0, 2.0, None)]
    counting = "SELECT source FROM registry.price_at('org/a', :at) WHERE counts ORDER BY 1"
    assert rows(connection, counting, at=NOON + DAY) == [("new",), ("old",)]
    assert cost(connection, "org/a", 1e6, 0.0, NOON + DAY) == 2.0
    # On a day that both have seen, the one that states the later change.
    assert cost(connection, "org/a", 1e6, 0.0, NOON) == 2.0
    # Before it, there was no other.
    assert cost(connection, "org/a", 1e6, 0.0, NOON - DAY / 2) == 1.0


def test_of_lists_that_were_seen_since_the_later_change_counts(connection: Connection) -> None:
    key = model(connection, "org/a")
    offer(connection, "a", key, (1.0, 1.0), source="coarse", seen_at=NOON + 9 * DAY)
    since = {"since": NOON + DAY, "seen_at": NOON + 5 * DAY}
    offer(connection, "a", key, (2.0, 2.0), source="dated", **since)
    assert cost(connection, "org/a", 1e6, 0.0, NOON + 2 * DAY) == 2.0
    assert cost(connection, "org/a", 1e6, 0.0, NOON + 7 * DAY) == 1.0
