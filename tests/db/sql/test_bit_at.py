from dataclasses import replace

import factories
import numpy as np
from factories import NOON
from sqlalchemy import Connection

from registry.evaluations.load import write_blocks
from registry.evaluations.records import Benchmark, Block, Item, Measure, Run, Source


def test_a_bit_beyond_the_end_is_null(connection: Connection) -> None:
    query = "SELECT store.bit_at(B'10', p) FROM generate_series(0, 2) AS p"
    assert factories.rows(connection, query) == [(1,), (0,), (None,)]


def test_runs_limited_to_some_items_can_be_asked_in_any_order(connection: Connection) -> None:
    """Whatever is asked of items may be asked of those beyond a run's last one."""
    items = [Item(f"i{number}", domain="d") for number in range(300)]
    whole = Run(
        model="org/whole",
        measure=Measure(metric="acc"),
        source=Source(name="mine"),
        outcomes=np.ones(300, np.float32),
    )
    some = np.full(300, np.nan, np.float32)
    some[1:3] = 0
    limited = replace(
        whole, model="org/limited", outcomes=some, complete=False, answers=["B"] * 300
    )
    block = Block(benchmark=Benchmark(name="b"), items=items, runs=[whole, limited])
    write_blocks(connection, [block], as_of=NOON)
    for condition in ("outcome < 0.5", "outcome < 0.5 AND benchmark = 'b'", "outcome + 0 = 0"):
        query = f"SELECT model, item FROM registry.outcomes WHERE {condition} ORDER BY item"
        wanted = [("org/limited", "i1"), ("org/limited", "i2")]
        assert factories.rows(connection, query) == wanted
    query = "SELECT count(*) FROM registry.answers WHERE answer = 'B' AND NOT is_right"
    assert factories.rows(connection, query) == [(2,)]
    query = "SELECT item FROM registry.separating_items('org/whole', 'org/limited', 'b') ORDER BY 1"
    assert factories.rows(connection, query) == [("i1",), ("i2",)]
    query = "SELECT items, accuracy FROM registry.accuracy_by_domain('org/limited', 'b')"
    assert factories.rows(connection, query) == [(2, 0.0)]
