"""Outcomes on a part of the items of a stated score: kept beside it, never instead of it."""

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from databases import Databases
from evaluated import ACC, block, long_table, run, write
from factories import rows
from harness_runs import HarnessRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from registry.db import connection as database
from registry.evaluations.exporter import export
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.outcomes import read_outcomes
from registry.evaluations.records import Item

FOUND = "SELECT score, items, outcomes, has_outcomes, complete FROM registry.runs ORDER BY score"
MAPPING = """
layout: scores
columns: {model: model, benchmark: =b, metric: =acc, score: score, items: items, source: =tests}
"""


def part(score: float = 0.62, items: int | None = 1000, **fields: Any) -> Any:
    return run("org/m", [1, 0, 0], score=score, items=items, **fields)


def test_a_part_has_the_score_as_stated(connection: Connection) -> None:
    write(connection, block("b", part(standard_error=0.25)))
    assert rows(connection, FOUND) == [(0.62, 1000, 3, True, True)]
    for view in ("leaderboard", "canonical_leaderboard"):
        shown = f"SELECT kind, score, standard_error, items FROM registry.{view}"
        assert rows(connection, shown) == [("reported", 0.62, 0.25, 1000)], view
    assert rows(connection, "SELECT sum(outcome) FROM registry.outcomes") == [(1.0,)]


@pytest.mark.parametrize(
    ("score", "items", "expected"),
    [
        (0.5, 3, (pytest.approx(1 / 3), 3)),  # on as many items: the score is their mean
        (0.5, 2, (pytest.approx(1 / 3), 3)),
        (0.5, 4, (0.5, 4)),
        (0.33, None, (pytest.approx(1 / 3), 3)),
        (0.3333, None, (pytest.approx(1 / 3), 3)),
        (0.34, None, (0.34, None)),
        (0.335, None, (0.335, None)),
    ],
)
def test_a_score_of_more_items_is_no_mean(
    connection: Connection, score: float, items: int | None, expected: tuple[object, object]
) -> None:
    write(connection, block("b", part(score, items)))
    [found] = rows(connection, FOUND)
    assert found[:2] == expected


stated = st.tuples(st.sampled_from([0.25, 0.5, 0.62]), st.sampled_from([4, 6, 9]))


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(score=stated, observed=st.integers(1, 9), data=st.data())
def test_the_order_of_files_does_not_matter(
    connection: Connection, score: tuple[float, int], observed: int, data: st.DataObject
) -> None:
    """A score, outcomes on some items, and both in one: whichever comes first."""
    value, items = score
    outcomes = data.draw(st.lists(st.sampled_from([0, 1]), min_size=observed, max_size=observed))
    alone = block("b", run("org/m", score=value, items=items))
    seen = block("b", run("org/m", outcomes))
    both = block("b", run("org/m", outcomes, score=value, items=items))
    expected: tuple[Any, ...] = (value, items, observed, True, True)
    if observed >= items:
        expected = (pytest.approx(np.mean(outcomes)), observed, observed, True, True)
    chosen = data.draw(st.sampled_from([(alone, seen), (alone, both), (seen, both), (both,)]))
    for order in permutations(chosen):
        savepoint = connection.begin_nested()
        for each in order:
            write(connection, each)
        assert rows(connection, FOUND) == [expected]
        # Again, nothing changes.
        assert [write(connection, each).changes for each in order] == [0] * len(order)
        assert rows(connection, FOUND) == [expected]
        savepoint.rollback()


def test_fewer_outcomes_do_not_replace_those_on_all_items(connection: Connection) -> None:
    answers = ["a", "b", "c", None]
    write(connection, block("b", run("org/m", [1, 1, 1, 0], answers=answers)))
    written = write(
        connection, block("b", run("org/m", [1, 0], score=0.75, items=4, answers=["x", "y"]))
    )
    assert written.changes == 0
    assert rows(connection, FOUND) == [(0.75, 4, 4, True, True)]
    found = rows(connection, "SELECT answer FROM registry.answers ORDER BY item")
    assert found == [("a",), ("b",), ("c",), (None,)]


def test_outcomes_on_all_items_are_preferred_to_a_part(connection: Connection) -> None:
    write(connection, block("b", run("org/m", [1, 1, 0, 0])))
    newer = datetime(2030, 1, 1, tzinfo=UTC)
    write(connection, block("b", run("org/m", [0, 0], score=0.9, items=4, evaluated_at=newer)))
    # The newest score is shown; outcomes are those of the run that has them all.
    assert rows(connection, "SELECT score FROM registry.leaderboard") == [(0.9,)]
    matrix = read_outcomes(connection)
    np.testing.assert_array_equal(matrix.values, [[1, 1, 0, 0]])
    write(connection, block("b", run("org/n", [1, 1, 0, 1])))
    assert rows(
        connection, "SELECT items, agreement FROM registry.agreement('org/m', 'org/n', 'b')"
    ) == [(4, 0.75)]


def test_tables_of_scores_and_of_outcomes(engine: Engine, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(MAPPING)
    scores, outcomes = tmp_path / "scores.csv", tmp_path / "outcomes.csv"
    scores.write_text("model,score,items\norg/m,0.62,1000\n")
    long_table(outcomes, [("org/m", "b", f"i{n}", n % 2) for n in range(4)])
    options = ImportOptions(roles={"source": "=tests"})
    for _ in range(2):
        [first] = import_files(engine, [scores], ImportOptions(mapping=str(mapping)))
        [second] = import_files(engine, [outcomes], options)
        assert (first.replaced, second.replaced) == ({}, {})
        with engine.connect() as connection:
            assert rows(connection, FOUND) == [(0.62, 1000, 4, True, True)]
    assert (first.status, second.status) == ("unchanged", "unchanged")


@pytest.mark.parametrize("format_", ["parquet", "csv", "lm-eval", "every-eval-ever"])
def test_exports_hold_a_part(
    databases: Databases, engine: Engine, tmp_path: Path, format_: str
) -> None:
    items = [Item(f"i{n}", f"{n}?") for n in range(4)]
    whole = run("org/n", [1, 0, None, 1])
    with engine.begin() as connection:
        runs = [part(), whole, run("org/o", [1, 0], score=0.125, items=9, measure=ACC)]
        for each in runs:
            count = 0 if each.outcomes is None else len(each.outcomes)
            write(connection, block("b", each, asked=items[:count]))
        wanted = rows(connection, FOUND), rows(connection, "TABLE registry.scores")
    export(engine, tmp_path / "out", format_)
    with databases.made(template=databases.template()) as url:
        other = database.create_engine(url)
        reports = import_files(other, [tmp_path / "out"])
        assert [report.error for report in reports if report.error] == []
        with other.connect() as connection:
            assert rows(connection, FOUND) == wanted[0]
            kinds = "SELECT kind FROM registry.scores ORDER BY model"
            assert rows(connection, kinds) == [("reported",), ("measured",), ("reported",)]
        other.dispose()


def test_a_table_of_outcomes_says_that_it_loses_scores(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        write(connection, block("b", part(), run("org/n", [1, 0, 1])))
    report = export(engine, tmp_path / "out.csv", "long")
    assert report.left_out["scores of more items than the outcomes"] == 1


def test_the_report_says_that_outcomes_are_a_part(engine: Engine, tmp_path: Path) -> None:
    score = HarnessRun(questions=["1?", "2?"], outcomes={"none": [1.0, 0.0]}, items=9,
                       scores={"none": 0.75}).write(tmp_path)  # fmt: skip
    results, samples = import_files(engine, score)
    assert results.left_out == {}
    assert samples.left_out == {
        "files with fewer samples than their results": 1,
        "runs' outcomes on the other items of their score": 1,
    }
