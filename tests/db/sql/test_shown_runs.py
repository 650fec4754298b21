"""The table of runs that leaderboards show, against the ranking that it follows from."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from evaluated import block, day, run, setup, write
from factories import rows
from sqlalchemy import Connection, text

from registry.catalog.merge import merge_stub
from registry.evaluations import benchmarks
from registry.evaluations.records import Measure, Setup

ACC, F1 = Measure(metric="acc"), Measure(metric="f1")

RANKED = """
SELECT model_id, benchmark_id, run_id FROM store.ranked_runs
 WHERE rank = 1 AND is_shown ORDER BY 1, 2
"""


def _agrees(connection: Connection) -> int:
    """Check that the table has the best run of each model and benchmark; return their number."""
    shown = rows(connection, "SELECT * FROM store.shown_runs ORDER BY 1, 2")
    assert shown == rows(connection, RANKED)
    return len(shown)


def _runs(chance: random.Random, count: int) -> list[Any]:
    return [
        run(
            f"m{chance.randrange(6)}",
            score=chance.random(),
            measure=chance.choice((ACC, ACC, F1)),
            complete=chance.random() < 0.5,
            revision=chance.choice((None, "step1", "step2")),
            evaluated_at=day(chance.randrange(1, 9)),
            setup=Setup(shots=number, variant=chance.choice((None, "best-of-2"))),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_changes_runs_keeps_it(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        write(connection, *(block(name, *_runs(chance, 12)) for name in ("a", "b", "c")))
        assert _agrees(connection)
        # Less than half of the runs, and none of some pairs.
        connection.execute(text("DELETE FROM store.runs WHERE run_id % 3 = 0"))
        _agrees(connection)
        connection.execute(
            text("UPDATE store.runs SET complete = NOT complete WHERE run_id % 5 = 0")
        )
        _agrees(connection)
        benchmarks.choose_measures(
            connection, connection.scalars(text("SELECT benchmark_id FROM store.benchmarks")).all()
        )
        _agrees(connection)


def test_a_merge_shows_the_runs_of_both_models(connection: Connection) -> None:
    write(connection, block("a", run("m", score=0.1), run("n", score=0.2, evaluated_at=day(3))))
    write(connection, block("b", run("n", score=0.3)))
    keys = dict(rows(connection, "SELECT name, model_id FROM store.models"))
    merge_stub(connection, keys["n"], into=keys["m"], source="user", as_of=datetime.now(UTC))
    assert _agrees(connection) == 2
    assert rows(connection, "SELECT score FROM registry.leaderboard ORDER BY benchmark") == [
        (0.2,),
        (0.3,),
    ]


def test_many_pairs_at_once_are_those_of_their_benchmarks(connection: Connection) -> None:
    """Beyond some thousand pairs, whole benchmarks are ranked."""
    write(connection, block("b", *(run(f"m{n}", score=0.5) for n in range(2100))))
    write(connection, block("c", run("m1", score=0.5, setup=setup(number="1"))))
    assert _agrees(connection) == 2101
    connection.execute(text("DELETE FROM store.runs"))
    assert _agrees(connection) == 0


def test_of_many_pairs_those_without_a_score_by_the_shown_measure_have_none(
    connection: Connection,
) -> None:
    others = [run(f"f{n}", score=0.5, measure=F1) for n in range(3)]
    write(connection, block("b", *(run(f"m{n}", score=0.5) for n in range(2100)), *others))
    connection.execute(text("DELETE FROM store.shown_runs"))
    pairs = "SELECT array_agg(model_id), array_agg(benchmark_id) FROM store.runs"
    [(of_models, of_benchmarks)] = rows(connection, pairs)
    show = text("SELECT store.show_runs(:models, :benchmarks)")
    connection.execute(show, {"models": of_models, "benchmarks": of_benchmarks})
    assert _agrees(connection) == 2100


def test_planners_expect_one_run_of_each_shown_one(connection: Connection) -> None:
    """A join of leaderboards ends only as they do: runs have a unique key of one column."""
    write(
        connection, *(block(f"b{n}", *(run(f"m{k}", score=0.5) for k in range(40))) for n in "123")
    )
    connection.execute(text("ANALYZE store.shown_runs, store.runs"))
    [(plan,)] = rows(
        connection,
        "EXPLAIN (FORMAT json) SELECT FROM store.shown_runs s JOIN store.runs r"
        " ON r.run_id = s.run_id",
    )
    assert plan[0]["Plan"]["Plan Rows"] == 120


def test_runs_move_to_a_model_that_shows_others(connection: Connection) -> None:
    write(connection, block("b", run("one", score=0.5), run("two", score=0.7)))
    connection.execute(
        text("""
        UPDATE store.runs SET model_id = (SELECT model_id FROM store.models WHERE name = 'two')
         WHERE model_id = (SELECT model_id FROM store.models WHERE name = 'one')""")
    )
    assert _agrees(connection) == 1
