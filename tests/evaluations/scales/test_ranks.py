"""Shares and ranks in SQL, and boards that mix no scales."""

import csv
import io
import itertools
from dataclasses import replace
from typing import Any

import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from registry.evaluations.benchmarks import choose_measures, measure_id
from registry.evaluations.records import Measure

BOUNDS = [(0.0, 1.0), (0.0, 100.0), (-1.0, 1.0), (0.0, None), (None, 100.0), (None, None)]
DIRECTIONS = [True, False, None]
VALUES = [-1.0, 0.0, 0.3, 1.0, 1.0000005, 1.1, 50.0, 100.0, 999.0]

LEADERS = """
SELECT model FROM registry.leaderboard WHERE benchmark = 'b'
 ORDER BY rank_value DESC NULLS LAST, model"""


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("higher", DIRECTIONS)
def test_shares_in_sql_are_those_in_python(
    connection: Connection,
    bounds: tuple[float | None, float | None],
    higher: bool | None,  # noqa: FBT001 - a fact
) -> None:
    measure = Measure(metric="m", lower=bounds[0], upper=bounds[1], higher_is_better=higher)
    for value in VALUES:
        values = {"raw": value, "lower": bounds[0], "upper": bounds[1], "higher": higher}
        share, rank = connection.execute(
            text("""
            SELECT store.share(:raw, CAST(:lower AS float8), CAST(:upper AS float8), :higher),
                   store.rank_value(:raw, CAST(:lower AS float8), CAST(:upper AS float8), :higher)
            """),
            values,
        ).one()
        assert share == pytest.approx(measure.normalised(value))
        if measure.width is not None or higher is None or not measure.allows(value):
            assert rank == share
        else:
            assert rank == (value if higher else -value)


MEASURES = [
    Measure(metric="m", lower=lower, upper=upper, higher_is_better=higher, unit=unit)
    for (lower, upper), higher, unit in itertools.product(BOUNDS, DIRECTIONS, [None, "%"])
]
SCORED = st.lists(
    st.tuples(st.sampled_from(MEASURES), st.sampled_from(VALUES)), min_size=1, max_size=8
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SCORED)
def test_a_board_has_one_scale(connection: Connection, scored: list[tuple[Measure, float]]) -> None:
    savepoint = connection.begin_nested()
    runs = [run(f"m{n}", score=value, measure=measure) for n, (measure, value) in enumerate(scored)]
    write(connection, block("b", *runs))
    keys: list[int] = list(connection.scalars(text("SELECT benchmark_id FROM store.benchmarks")))
    choose_measures(connection, keys)
    board: list[Any] = rows(
        connection,
        """
        SELECT l.model, l.score, l.raw_score, l.rank_value, k.higher_is_better, k.upper > k.lower
          FROM registry.leaderboard l
          JOIN store.runs r ON r.run_id = l.run
          JOIN store.measures k ON k.measure_id = r.measure_id""",
    )
    assert len({(higher, bounded is True) for *_, higher, bounded in board}) <= 1
    for model, share, raw, rank, higher, bounded in board:
        measure, value = scored[int(model[1:])]
        # A measure without a direction is that with one, where it differs in nothing else.
        assert measure.higher_is_better in (higher, None)
        measure = replace(measure, higher_is_better=higher)
        assert raw == value
        assert measure.allows(value)
        if bounded:
            assert (share, rank) == (measure.normalised(value), share)
        else:
            assert share is None
            assert rank == (None if higher is None else value if higher else -value)
    savepoint.rollback()


def test_the_other_direction_is_another_measure(connection: Connection) -> None:
    write(connection, block("b", run("m", score=0.5)))
    [key] = connection.scalars(text("SELECT benchmark_id FROM store.benchmarks"))
    unknown = Measure(metric="zonk", lower=None, upper=None, higher_is_better=None)
    up = Measure(metric="zonk", lower=None, upper=None)
    down = Measure(metric="zonk", lower=None, upper=None, higher_is_better=False)
    first = measure_id(connection, key, unknown)
    assert measure_id(connection, key, up) == first  # and now it is known
    assert measure_id(connection, key, unknown) == first
    assert measure_id(connection, key, down) not in (first, None)
    assert measure_id(connection, key, up) == first


def test_without_bounds_models_rank_by_raw_scores(commands: Commands, engine: Engine) -> None:
    ppl = Measure(metric="word_perplexity", upper=None, higher_is_better=False)
    hub = Measure(metric="score", lower=None, upper=None)
    zonk = Measure(metric="zonk", lower=None, upper=None, higher_is_better=None)
    with engine.begin() as connection:
        for name, measure in (("wikitext", ppl), ("cais/hle", hub), ("z", zonk)):
            scores = [("a/low", 8.5), ("a/high", 20.9), ("a/none", -1.0 if name != "z" else 3.0)]
            write(
                connection,
                block(name, *(run(model, score=each, measure=measure) for model, each in scores)),
            )
    [low, high] = commands.json("evals", "leaderboard", "--benchmark", "wikitext")
    assert [(each["model"], each["wikitext"]) for each in (low, high)] == [
        ("a/low", 8.5), ("a/high", 20.9),
    ]  # fmt: skip
    assert low["average"] is None
    result = commands("evals", "leaderboard", "--benchmark", "cais/hle", "--format", "csv")
    [first, *_] = csv.DictReader(io.StringIO(result.stdout))
    assert (first["model"], first["average"], first["cais/hle"]) == ("a/high", "", "20.9")
    assert "raw scores by score, higher is better" in result.stderr
    result = commands("evals", "leaderboard", "--benchmark", "z", "--format", "csv")
    assert "it is not known whether a higher or a lower zonk is better" in result.stderr
    assert "--better" in result.stderr
