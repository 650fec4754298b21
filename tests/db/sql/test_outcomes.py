import numpy as np
import pytest
from evaluated import Grid, block, generated, grid, items, run, write
from factories import rows
from sqlalchemy import Connection

from registry.evaluations.records import Item


def told(made: Grid) -> dict[tuple[str, str], float]:
    return {
        (model, f"i{place}"): outcome
        for model, outcomes in made.items()
        for place, outcome in enumerate(outcomes)
        if outcome is not None
    }


@pytest.mark.parametrize("graded", [False, True])
def test_one_row_for_each_outcome_observed(connection: Connection, *, graded: bool) -> None:
    one, other = generated(1, 9, 60, graded=graded), generated(2, 5, 130)
    write(connection, grid("one", one), grid("other", other))
    for benchmark, made in (("one", one), ("other", other)):
        found = rows(
            connection,
            "SELECT model, item, outcome FROM registry.outcomes WHERE benchmark = :benchmark",
            benchmark=benchmark,
        )
        assert {(model, item): outcome for model, item, outcome in found} == pytest.approx(
            told(made), rel=1e-6
        )
        assert len(found) == len(told(made))
    # However it is planned, no bit is asked for that is not there.
    for way in ("hashjoin", "mergejoin", "nestloop"):
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        assert rows(connection, "SELECT count(*), sum(outcome) FROM registry.outcomes") == [
            (
                len(told(one)) + len(told(other)),
                pytest.approx(np.sum([*told(one).values(), *told(other).values()]), rel=1e-5),
            )
        ]
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = on")


def test_of_one_model_and_of_one_item(connection: Connection) -> None:
    made = generated(3, 6, 40)
    write(connection, grid("b", made))
    found = rows(connection, "SELECT item, outcome FROM registry.outcomes WHERE model = 'org/m3'")
    assert dict(found) == {i: each for (model, i), each in told(made).items() if model == "org/m3"}
    found = rows(connection, "SELECT model, outcome FROM registry.outcomes WHERE item = 'i0'")
    assert dict(found) == {model: each for (model, i), each in told(made).items() if i == "i0"}


def test_answers_and_what_they_took(connection: Connection) -> None:
    texts = [f"text {number % 300}" for number in range(600)]
    outcomes = [float(number % 2) if number % 7 else None for number in range(600)]
    latencies = np.array([number / 4 for number in range(600)], np.float32)
    latencies[5] = np.nan
    write(
        connection,
        block(
            "b",
            run("m", outcomes, answers=texts, latencies=latencies),
            run("short", [1.0, *[None] * 599], answers=["A", *[None] * 599]),
            run("silent", [1.0] * 600),
            asked=items(600),
        ),
    )
    found = rows(
        connection,
        "SELECT item, answer, is_right, latency_ms, input_tokens FROM registry.answers"
        " WHERE model = 'm'",
    )
    assert {row[0]: row[1:] for row in found} == {
        f"i{place}": (
            texts[place],
            outcome == 1,
            None if place == 5 else place / 4,
            None,
        )
        for place, outcome in enumerate(outcomes)
        if outcome is not None
    }
    assert rows(connection, "SELECT item, answer FROM registry.answers WHERE model = 'short'") == [
        ("i0", "A")
    ]
    assert rows(connection, "SELECT count(*) FROM registry.answers WHERE model = 'silent'") == [
        (0,)
    ]


def test_items_and_benchmarks(connection: Connection) -> None:
    asked = [Item("q", prompt="?", choices=("a", 'b"c'), answer="a", domain="d"), Item("r")]
    write(connection, block("b", run("m", [1, 0]), version="2", asked=asked))
    assert rows(
        connection,
        "SELECT benchmark, version, item, ordinal, domain, prompt, choices, answer,"
        "       content_hash IS NULL FROM registry.items ORDER BY ordinal",
    ) == [
        ("b", "2", "q", 0, "d", "?", ["a", 'b"c'], "a", False),
        ("b", "2", "r", 1, None, None, [], None, True),
    ]
    assert rows(
        connection, "SELECT benchmark, version, metric, items, runs FROM registry.benchmarks"
    ) == [("b", "2", "acc", 2, 1)]
