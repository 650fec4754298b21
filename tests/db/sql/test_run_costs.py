"""What runs cost: tokens, stated or estimated, at the price of the right day."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from evaluated import block, items, run, write
from factories import NOON, model, rows
from priced import offer
from sqlalchemy import Connection

from registry.evaluations.records import Item, Measure, Setup, Source

DAY = timedelta(days=1)


def tokens(*numbers: int) -> Any:
    return np.array(numbers, np.int32)


def costs(connection: Connection, columns: str = "cost, cost_per_item, basis") -> list[Any]:
    query = f"SELECT model, {columns} FROM registry.run_costs ORDER BY model, cost"
    return [pytest.approx(row) for row in rows(connection, query)]


@pytest.fixture
def priced(connection: Connection) -> Connection:
    """A model at 1 and 10 dollars, on the next day 2 and 20; one at a third of that; one free."""
    a, b, free = (model(connection, f"org/{name}") for name in ("a", "b", "free"))
    model(connection, "org/unpriced")
    offer(connection, "a", a, (1.0, 10.0), (2.0, 20.0))
    offer(connection, "b", b, (3.0, 9.0))
    offer(connection, "free", free, (0.0, 0.0))
    return connection


def test_stated_tokens_are_counted(priced: Connection) -> None:
    stated = {"input_tokens": tokens(100, 200), "output_tokens": tokens(10, 30)}
    write(
        priced,
        block(
            "b",
            run("org/a", [1, 0], **stated),
            run("org/unpriced", [1, 0], **stated),
            run("org/free", [1, 0], output_tokens=tokens(1000, 1000)),
        ),
    )
    assert costs(priced) == [("org/a", (300 * 2 + 40 * 20) / 1e6, 1400e-6 / 2, "tokens")]
    assert costs(priced, "input_tokens, output_tokens, items, currency") == [
        ("org/a", 300.0, 40.0, 2, "USD")
    ]


@pytest.mark.parametrize(
    ("days", "price", "which"),
    [(0.5, 1.0, "its date"), (1.5, 2.0, "its date"), (-5.0, 1.0, "first known"),
     (None, 2.0, "today")],
)  # fmt: skip
def test_the_price_is_that_of_the_day_of_the_run(
    priced: Connection, days: float | None, price: float, which: str
) -> None:
    at = None if days is None else NOON + days * DAY
    stated = {"input_tokens": tokens(1000), "output_tokens": tokens(0)}
    write(priced, block("b", run("org/a", [1], evaluated_at=at, **stated)))
    found = costs(priced, "input_per_million, output_per_million, price_of, cost")
    assert found == [("org/a", price, 10 * price, which, price * 1e-3)]
    ((priced_at,),) = rows(priced, "SELECT priced_at FROM registry.run_costs")
    if days is not None:
        assert priced_at == (at if days > 0 else NOON)


def test_without_tokens_prompts_are_measured_by_their_length(priced: Connection) -> None:
    # 41 characters; and 30 with two choices of 4 and the ends of their lines: 40.
    asked = [Item("i0", "x" * 41), Item("i1", "x" * 30, choices=("1234", "5678"))]
    write(priced, block("b", run("org/b", [1, 0]), asked=asked))
    given = 81 / 4.1
    assert costs(priced) == [
        ("org/b", (given * 3 + given / 3 * 9) / 1e6, given * 6 / 2e6, "estimated")
    ]


def test_examples_are_as_long_as_items(priced: Connection) -> None:
    asked = items(2, prompt="x" * 41)
    write(priced, block("b", run("org/b", [1, 0], setup=Setup(shots=4)), asked=asked))
    assert costs(priced, "input_tokens, output_tokens") == [("org/b", 100.0, 100 / 3)]


def test_replies_are_as_long_as_others_on_the_benchmark(priced: Connection) -> None:
    asked = items(2, prompt="x" * 41)
    others = run("org/a", [1, 0], output_tokens=tokens(7, 13))
    write(priced, block("b", run("org/b", [1, 0]), others, asked=asked))
    write(priced, block("other", run("org/a", [1], output_tokens=tokens(900))))
    found = costs(priced, "input_tokens, output_tokens, basis")
    assert found == [("org/a", 20.0, 20.0, "estimated"), ("org/b", 20.0, 20.0, "estimated")]


def test_tokens_of_some_items_stand_for_all(priced: Connection) -> None:
    stated = {"input_tokens": tokens(100, -1), "output_tokens": tokens(-1, 30)}
    write(priced, block("b", run("org/a", [1, 0], **stated)))
    assert costs(priced, "input_tokens, output_tokens, basis") == [
        ("org/a", 200.0, 60.0, "estimated")
    ]


def test_items_that_were_not_observed_cost_nothing(priced: Connection) -> None:
    asked = items(4, prompt="x" * 41)
    write(priced, block("b", run("org/b", [1, None, 0, None]), asked=asked))
    assert costs(priced, "items, input_tokens") == [("org/b", 2, 20.0)]


def test_what_nobody_knows_has_no_cost(priced: Connection) -> None:
    write(priced, block("b", run("org/a", [1, 0]), run("org/b", score=0.5)))
    assert costs(priced) == []


def test_a_model_that_was_not_sold_on_the_day_has_no_cost(priced: Connection) -> None:
    (key,) = rows(priced, "SELECT model_id FROM store.models WHERE name = 'org/unpriced'")[0]
    offer(priced, "u", key, (1.0, 1.0), None, (3.0, 3.0))
    stated = {"input_tokens": tokens(1000), "output_tokens": tokens(0)}
    on = [NOON + days * DAY for days in (0.5, 1.5, 2.5)]
    for number, at in enumerate(on):
        write(priced, block(f"b{number}", run("org/unpriced", [1], evaluated_at=at, **stated)))
    assert costs(priced, "cost") == [("org/unpriced", 1e-3), ("org/unpriced", 3e-3)]


def test_the_cheapest_provider_for_the_tokens_of_the_run(priced: Connection) -> None:
    (key,) = rows(priced, "SELECT model_id FROM store.models WHERE name = 'org/b'")[0]
    offer(priced, "b", key, (1.0, 12.0), provider="cheap-input")
    stated = {"input_tokens": tokens(100), "output_tokens": tokens(1)}
    talkative = {"input_tokens": tokens(1), "output_tokens": tokens(100)}
    write(priced, block("b", run("org/b", [1], **stated)))
    write(priced, block("c", run("org/b", [1], **talkative)))
    found = rows(priced, "SELECT benchmark, provider FROM registry.run_costs ORDER BY 1")
    assert found == [("b", "cheap-input"), ("c", "openrouter")]


def test_neither_free_offers_nor_lists_that_another_replaced_count(priced: Connection) -> None:
    (key,) = rows(priced, "SELECT model_id FROM store.models WHERE name = 'org/b'")[0]
    offer(priced, "b", key, (0.0, 0.0), provider="free")
    offer(priced, "b", key, (0.5, 0.5), source="older", seen_at=NOON - DAY, since=NOON - DAY)
    stated = {"input_tokens": tokens(1000), "output_tokens": tokens(0)}
    write(priced, block("b", run("org/b", [1], **stated)))
    assert costs(priced, "cost, provider") == [("org/b", 3e-3, "openrouter")]


DOLLARS = Measure(metric="total_cost", unit="USD", lower=None, upper=None, higher_is_better=False)


def test_a_cost_that_the_source_states_counts(priced: Connection) -> None:
    stated = {"input_tokens": tokens(100, 200), "output_tokens": tokens(10, 30)}
    low, high = Setup(variant="low"), Setup(variant="high")
    write(
        priced,
        block(
            "b",
            run("org/a", [1, 0], setup=low, **stated),
            run("org/a", measure=DOLLARS, score=0.5, setup=low),
            run("org/a", [1, 1], setup=high, **stated),
            run("org/unpriced", score=0.5, items=8),
            run("org/unpriced", measure=DOLLARS, score=4.0, items=8),
        ),
    )
    assert costs(priced) == [
        ("org/a", 1400e-6, 700e-6, "tokens"),
        ("org/a", 0.5, 0.25, "measured"),
        ("org/unpriced", 4.0, 0.5, "measured"),
    ]


@pytest.mark.parametrize(
    ("measure", "score"),
    [
        (replace(DOLLARS, unit="EUR"), 0.5),
        (replace(DOLLARS, metric="cost"), 0.5),
        (DOLLARS, 0.0),
    ],
)
def test_other_scores_are_no_costs(priced: Connection, measure: Measure, score: float) -> None:
    write(priced, block("b", run("org/a", score=0.5), run("org/a", measure=measure, score=score)))
    assert costs(priced) == []


@pytest.mark.parametrize(
    "other",
    [
        {"evaluated_at": NOON},
        {"revision": "main"},
        {"source": Source(name="another")},
        {"setup": Setup(shots=1)},
    ],
)
def test_a_cost_is_of_its_own_run_alone(priced: Connection, other: dict[str, Any]) -> None:
    write(priced, block("b", run("org/a", score=0.5), run("org/a", measure=DOLLARS, score=1.0,
                                                         **other)))  # fmt: skip
    assert costs(priced) == []


def item_costs(connection: Connection) -> list[Any]:
    found = rows(
        connection,
        """SELECT i.item, i.cost, i.basis, i.input_tokens, i.output_tokens
             FROM registry.runs r CROSS JOIN LATERAL registry.item_costs(r.run) i
            WHERE r.model <> 'org/unpriced'""",
    )
    return [pytest.approx(row) for row in found]


def test_costs_of_items_with_stated_tokens(priced: Connection) -> None:
    stated = {"input_tokens": tokens(100, -1, 200), "output_tokens": tokens(10, -1, 30)}
    write(priced, block("b", run("org/a", [1, None, 0], **stated)))
    assert item_costs(priced) == [
        ("i0", 400e-6, "tokens", 100.0, 10.0), ("i2", 1000e-6, "tokens", 200.0, 30.0)
    ]  # fmt: skip
    assert costs(priced, "cost") == [("org/a", 1400e-6)]


def test_costs_of_items_by_the_length_of_prompts(priced: Connection) -> None:
    asked = [Item("i0", "x" * 41), Item("i1", "x" * 80, choices=("12",)), Item("i2", "x" * 9)]
    setup = Setup(shots=1)
    some = {"output_tokens": tokens(4, -1)}
    write(priced, block("b", run("org/b", [1, 0], setup=setup, **some), asked=asked[:2]))
    write(priced, block("b", run("org/unpriced", [1, 0, 0]), asked=asked))
    assert item_costs(priced) == [
        ("i0", (20 * 3 + 4 * 9) / 1e6, "estimated", 20.0, 4.0),
        ("i1", (83 / 4.1 * 2 * 3 + 4 * 9) / 1e6, "estimated", 83 / 4.1 * 2, 4.0),
    ]


def test_items_have_no_share_of_a_measured_cost(priced: Connection) -> None:
    write(priced, block("b", run("org/a", [1, 0]), run("org/a", measure=DOLLARS, score=1.0)))
    assert item_costs(priced) == []
