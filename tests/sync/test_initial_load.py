"""A first load sets lineage aside: it has to end with what page by page would have led to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from exported import exported
from factories import NOON, rows
from generated_hub.models import generate
from pages import record
from sqlalchemy import Connection, text

from registry.catalog import families, lineage, models
from registry.demo.models import models as sample_models
from registry.sync import initial_load
from registry.sync.batch import Batch
from registry.sync.ingest import LineageWriter, take_in
from registry.sync.page import read
from registry.sync.readers import LoadTask, Task
from registry.sync.state import SyncState

LINEAGE = "SELECT child, parent, relation FROM registry.lineage ORDER BY 1, 2, 3"
SCORES = """
SELECT m.name, p.eval_results FROM store.pending_evaluations p JOIN store.models m USING (model_id)
 ORDER BY m.name COLLATE "C" """
PLACES = """
SELECT m.name, m.state, root.name, f.generation, f.in_cycle
  FROM store.models m
  JOIN store.model_families f USING (model_id)
  JOIN store.models root ON root.model_id = f.family_id
 ORDER BY m.name COLLATE "C" """


def load(
    connection: Connection,
    records: Sequence[Any],
    write_lineage: LineageWriter,
    page: int = 50,
) -> None:
    walk = SyncState(scope="test", kind="delta", as_of=NOON)
    for start in range(0, len(records), page):
        take_in(connection, walk, read(records[start : start + page]), write_lineage)


def load_batches(connection: Connection, walk: SyncState, *pages: Sequence[Any]) -> None:
    """Take pages in at once, made ready as readers of a first load do."""
    moment = walk.as_of.isoformat()
    batches = []
    for number, page in enumerate(pages):
        task = Task(orjson.dumps(page), f"http://hub/{number}", f"http://hub/{number + 1}")
        made = LoadTask(task, models.new_keys(connection, len(page)), moment).perform()
        assert isinstance(made, Batch)
        batches.append(replace(made, body=task.body))
    initial_load.take_in(connection, walk, batches)


def settle(connection: Connection) -> int:
    if not initial_load.unsettled(connection):
        return 0
    initial_load.resolve(connection, as_of=NOON)
    return initial_load.settle(connection)


@pytest.mark.parametrize("backwards", [False, True])
def test_both_ways_lead_to_the_same_catalog(connection: Connection, *, backwards: bool) -> None:
    records = [*sample_models(NOON.date()), *generate(600)]
    if backwards:
        records.reverse()
    savepoint = connection.begin_nested()
    load(connection, records, lineage.write_edges)
    paged = exported(connection)
    savepoint.rollback()

    assert initial_load.under_way(connection)
    load(connection, records, initial_load.set_aside)
    assert initial_load.under_way(connection)
    assert rows(connection, "SELECT count(*) FROM store.edges") == [(0,)]
    added = settle(connection)
    assert not initial_load.under_way(connection)
    assert rows(connection, "SELECT count(*) FROM store.edges") == [(added,)]
    for table, lines in exported(connection).items():
        assert lines == paged[table], table
    assert settle(connection) == 0


def test_batches_lead_to_the_same_catalog(connection: Connection) -> None:
    """With odd records among them: every text of a row has to be escaped as the driver would."""
    odd = [
        {"id": None},
        "no record",
        record("o/odd", "finetune:o/base", cardData={"x\ty": "a\nb\\c\r", "license": "\\N"}),
        record("o/scored", evalResults=[{"dataset": {"id": "a\\b\tc"}, "value": 1}]),
        record("o/ärger", cardData={"base_model": ["old/base", "o/odd"], "tags": ["ü"]}),
    ]
    records = [*sample_models(NOON.date()), *odd, *generate(600)]
    pages = [records[start : start + 50] for start in range(0, len(records), 50)]
    walks = [SyncState(scope="test", kind="delta", as_of=NOON) for _ in range(2)]
    savepoint = connection.begin_nested()
    for page in pages:
        take_in(connection, walks[0], read(page), initial_load.set_aside)
    settle(connection)
    paged = exported(connection)
    scores = rows(connection, SCORES)
    assert scores
    savepoint.rollback()

    for start in range(0, len(pages), 3):
        load_batches(connection, walks[1], *pages[start : start + 3])
    settle(connection)
    for table, lines in exported(connection).items():
        assert lines == paged[table], table
    assert rows(connection, SCORES) == scores
    assert walks[0] == walks[1]
    assert walks[1].counts.quarantined == 2


def test_batches_that_repeat_models_are_compared_with_what_is_there(
    connection: Connection,
) -> None:
    walk = SyncState(scope="test", kind="full", as_of=NOON)
    load_batches(connection, walk, [record("o/a", hub_id="1", sha="1"), record("o/b", sha="1")])
    load_batches(
        connection,
        walk,
        [record("o/c"), record("o/renamed", hub_id="1", sha="1")],
        [record("o/c"), record("o/b", sha="2"), record("o/d")],
    )
    settle(connection)
    counts = walk.counts
    assert (counts.pages, counts.records, counts.new) == (3, 7, 4)
    assert (counts.changed, counts.unchanged) == (2, 1)
    assert rows(connection, "SELECT name, sha FROM registry.models ORDER BY name") == [
        ("o/b", "2"),
        ("o/c", None),
        ("o/d", None),
        ("o/renamed", "1"),
    ]
    listed = rows(connection, "SELECT page, cardinality(model_ids) FROM store.sweep_pages")
    assert sorted(listed) == [(1, 2), (2, 2), (3, 3)]


def test_odd_parents(connection: Connection) -> None:
    records = [
        record("o/self", "finetune:o/self"),
        record("o/one", "finetune:o/two"),
        record("o/two", "finetune:o/one"),
        record("o/below", "adapter:o/two"),
        record("o/cased", "finetune:O/ROOT"),
        record("o/root"),
        record("o/lost", "finetune:gone/Missing"),
        record("o/lost-too", "quantized:gone/missing"),
        record("o/merge", "merge:o/cased", "merge:o/root"),
    ]
    load(connection, records, initial_load.set_aside, page=2)
    settle(connection)
    assert rows(connection, PLACES) == [
        ("gone/Missing", "stub", "gone/Missing", 0, False),
        ("o/below", "available", "o/one", 2, False),
        ("o/cased", "available", "o/root", 1, False),
        ("o/lost", "available", "gone/Missing", 1, False),
        ("o/lost-too", "available", "gone/Missing", 1, False),
        ("o/merge", "available", "o/root", 2, False),
        ("o/one", "available", "o/one", 0, True),
        ("o/root", "available", "o/root", 0, False),
        ("o/self", "available", "o/self", 0, False),
        ("o/two", "available", "o/one", 1, True),
    ]


def test_of_a_model_that_is_listed_again_the_last_counts(connection: Connection) -> None:
    load(connection, [record("o/a", "finetune:o/old"), record("o/b")], initial_load.set_aside)
    load(connection, [record("o/a", "finetune:o/b")], initial_load.set_aside)
    settle(connection)
    assert rows(connection, LINEAGE) == [("o/a", "o/b", "finetune")]


def test_a_former_name_of_a_parent_stands_for_it(connection: Connection) -> None:
    records = [
        record("o/a", "finetune:new/base", cardData={"base_model": "old/base"}),
        record("o/b", cardData={"base_model": "old/base"}),
        record("new/base"),
    ]
    load(connection, records, initial_load.set_aside)
    settle(connection)
    assert rows(connection, LINEAGE) == [
        ("o/a", "new/base", "finetune"),
        ("o/b", "new/base", "finetune"),
    ]


def test_a_model_that_was_placed_meanwhile_is_placed_anew(connection: Connection) -> None:
    load(connection, [record("o/a", "finetune:o/b"), record("o/b")], initial_load.set_aside)
    families.refresh_families(
        connection, connection.scalars(text("SELECT model_id FROM store.models")).all()
    )
    assert not initial_load.under_way(connection)
    assert settle(connection) == 1
    assert [row[0::2] for row in rows(connection, PLACES)] == [
        ("o/a", "o/b", False),
        ("o/b", "o/b", False),
    ]


def test_a_listing_that_repeats_itself_is_compared_with_what_is_there(
    connection: Connection,
) -> None:
    walk = SyncState(scope="test", kind="delta", as_of=NOON)
    for page in (
        [record("o/a", hub_id="1", sha="1"), record("o/b", hub_id="2", sha="1")],
        [record("o/b", hub_id="2", sha="1"), record("o/c", hub_id="3")],
        [record("o/renamed", hub_id="1", sha="1"), record("o/d")],
        [record("o/d", sha="2")],
    ):
        initial_load.take_in(connection, walk, [read(page)])
    settle(connection)
    assert (walk.counts.new, walk.counts.changed, walk.counts.unchanged) == (4, 2, 1)
    assert rows(connection, "SELECT name, sha FROM registry.models ORDER BY name") == [
        ("o/b", "1"),
        ("o/c", None),
        ("o/d", "2"),
        ("o/renamed", "1"),
    ]
