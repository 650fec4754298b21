"""An initial load defers lineage: it ends with the catalog that page by page would lead to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pytest
from exported import exported
from factories import NOON, rows
from generated_hub.models import generate
from pages import record
from sqlalchemy import Connection, text

from registry.catalog import families, models
from registry.demo.models import models as sample_models
from registry.enums import SyncKind
from registry.sync import initial_load
from registry.sync.ingest import Incremental, StoredPage, Strategy, ingest, store_compared
from registry.sync.initial_load import InitialLoad
from registry.sync.page import RecordPage, read
from registry.sync.readers import ReadTask
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


@dataclass(frozen=True)
class Compared(InitialLoad):
    """An initial load that compares every page, as one that repeats models."""

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterator[StoredPage]:
        for page in pages:
            yield store_compared(connection, page, self, as_of=as_of)


def new_state(kind: SyncKind = SyncKind.DELTA) -> SyncState:
    return SyncState(scope="test", kind=kind, as_of=NOON)


def load(
    connection: Connection, records: Sequence[Any], strategy: Strategy, page: int = 50
) -> SyncState:
    """Store records page by page, each read by this process."""
    state = new_state()
    for start in range(0, len(records), page):
        ingest(connection, state, [read(records[start : start + page])], strategy)
    return state


def load_batches(connection: Connection, state: SyncState, *pages: Sequence[Any]) -> None:
    """Store pages at once, prepared as by the readers of an initial load."""
    prepared = []
    for number, records in enumerate(pages):
        keys = models.new_keys(connection, len(records))
        task = ReadTask(
            orjson.dumps(records), f"http://hub/{number}", f"http://hub/{number + 1}",
            keys, state.as_of.isoformat(),
        )  # fmt: skip
        page = task.perform()
        assert page.batch is not None
        page.body = task.body
        prepared.append(page)
    ingest(connection, state, prepared, InitialLoad())


def finalize(connection: Connection) -> int:
    if not initial_load.unfinished(connection):
        return 0
    initial_load.resolve(connection, as_of=NOON)
    return initial_load.finalize(connection)


@pytest.mark.parametrize("strategy", [Compared(), InitialLoad()])
@pytest.mark.parametrize("backwards", [False, True])
def test_all_ways_lead_to_the_same_catalog(
    connection: Connection, strategy: Strategy, *, backwards: bool
) -> None:
    records = [*sample_models(NOON.date()), *generate(600)]
    if backwards:
        records.reverse()
    savepoint = connection.begin_nested()
    load(connection, records, Incremental())
    paged = exported(connection)
    savepoint.rollback()

    assert initial_load.under_way(connection)
    load(connection, records, strategy)
    assert initial_load.under_way(connection)
    assert rows(connection, "SELECT count(*) FROM store.edges") == [(0,)]
    added = finalize(connection)
    assert not initial_load.under_way(connection)
    assert rows(connection, "SELECT count(*) FROM store.edges") == [(added,)]
    for table, lines in exported(connection).items():
        assert lines == paged[table], table
    assert finalize(connection) == 0


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
    savepoint = connection.begin_nested()
    compared = load(connection, records, Compared())
    finalize(connection)
    paged = exported(connection)
    scores = rows(connection, SCORES)
    assert scores
    savepoint.rollback()

    batched = new_state()
    for start in range(0, len(pages), 3):
        load_batches(connection, batched, *pages[start : start + 3])
    finalize(connection)
    for table, lines in exported(connection).items():
        assert lines == paged[table], table
    assert rows(connection, SCORES) == scores
    assert batched == compared
    assert batched.counts.quarantined == 2


def test_batches_that_repeat_models_are_compared_with_what_is_there(
    connection: Connection,
) -> None:
    state = new_state(SyncKind.FULL)
    load_batches(connection, state, [record("o/a", hub_id="1", sha="1"), record("o/b", sha="1")])
    load_batches(
        connection,
        state,
        [record("o/c"), record("o/renamed", hub_id="1", sha="1")],
        [record("o/c"), record("o/b", sha="2"), record("o/d")],
    )
    finalize(connection)
    counts = state.counts
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
    load(connection, records, InitialLoad(), page=2)
    finalize(connection)
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
    load(connection, [record("o/a", "finetune:o/old"), record("o/b")], InitialLoad())
    load(connection, [record("o/a", "finetune:o/b")], InitialLoad())
    finalize(connection)
    assert rows(connection, LINEAGE) == [("o/a", "o/b", "finetune")]


def test_a_former_name_of_a_parent_stands_for_it(connection: Connection) -> None:
    records = [
        record("o/a", "finetune:new/base", cardData={"base_model": "old/base"}),
        record("o/b", cardData={"base_model": "old/base"}),
        record("new/base"),
    ]
    load(connection, records, InitialLoad())
    finalize(connection)
    assert rows(connection, LINEAGE) == [
        ("o/a", "new/base", "finetune"),
        ("o/b", "new/base", "finetune"),
    ]


def test_a_model_that_was_placed_meanwhile_is_placed_anew(connection: Connection) -> None:
    load(connection, [record("o/a", "finetune:o/b"), record("o/b")], InitialLoad())
    families.refresh_families(
        connection, connection.scalars(text("SELECT model_id FROM store.models")).all()
    )
    assert not initial_load.under_way(connection)
    assert finalize(connection) == 1
    assert [row[0::2] for row in rows(connection, PLACES)] == [
        ("o/a", "o/b", False),
        ("o/b", "o/b", False),
    ]


def test_a_listing_that_repeats_itself_is_compared_with_what_is_there(
    connection: Connection,
) -> None:
    state = new_state()
    for page in (
        [record("o/a", hub_id="1", sha="1"), record("o/b", hub_id="2", sha="1")],
        [record("o/b", hub_id="2", sha="1"), record("o/c", hub_id="3")],
        [record("o/renamed", hub_id="1", sha="1"), record("o/d")],
        [record("o/d", sha="2")],
    ):
        ingest(connection, state, [read(page)], InitialLoad())
    finalize(connection)
    assert (state.counts.new, state.counts.changed, state.counts.unchanged) == (4, 2, 1)
    assert rows(connection, "SELECT name, sha FROM registry.models ORDER BY name") == [
        ("o/b", "1"),
        ("o/c", None),
        ("o/d", "2"),
        ("o/renamed", "1"),
    ]
