from datetime import timedelta

import pytest
from evaluated import block, run, write
from factories import NOON
from sqlalchemy import Connection

from registry.catalog.resolution import StatedName, state_names
from registry.evaluations.read import ranked_blocks, stored_blocks
from registry.evaluations.records import Setup, Source

JOINS = ("hashjoin", "mergejoin", "nestloop")


@pytest.fixture(params=JOINS)
def joined(connection: Connection, request: pytest.FixtureRequest) -> Connection:
    """Runs of two models, one by two spellings; all tables are joined in one way."""
    state_names(connection, [StatedName("b", "org/b", 1.0)], as_of=NOON)
    # Keys of setups, sources and spellings are in another order than the runs have to be in.
    runs = [
        run(
            spelling,
            [1, 0],
            source=Source(name=f"source {day}"),
            evaluated_at=NOON + timedelta(days=day),
            setup=Setup(shots=5 - day),
        )
        for day in (3, 1, 2)
        for spelling in ("org/b", "b", "org/a")
    ]
    write(connection, block("x", *runs))
    for other in JOINS:
        if other != request.param:
            connection.exec_driver_sql(f"SET LOCAL enable_{other} = off")
    return connection


def test_the_newest_run_of_each_model_comes_first(joined: Connection) -> None:
    runs = [each for block in ranked_blocks(joined) for each in block.runs]
    order = [(each.model.removeprefix("org/"), each.evaluated_at) for each in runs]
    days = [NOON + timedelta(days=day) for day in (3, 2, 1)]
    assert order == [*(("a", day) for day in days), *(("b", day) for day in days for _ in range(2))]


def test_all_runs_come_by_spelling(joined: Connection) -> None:
    runs = [each for block in stored_blocks(joined) for each in block.runs]
    assert [each.model for each in runs] == ["b"] * 3 + ["org/a"] * 3 + ["org/b"] * 3
