"""What a page of records changes: models, names and aliases, counters and history, quarantine."""

from datetime import timedelta
from typing import Any

import pytest
from factories import NOON, alias, edge, model, rows, stub
from pages import record, take
from sqlalchemy import Connection, text

from registry.catalog import merge, models
from registry.catalog import names as model_names
from registry.catalog.listing import PageComparison
from registry.sync import quarantine
from registry.sync.batch import RejectedRecord

LATER = NOON + timedelta(days=1)
MODELS = "SELECT name, state, hub_id FROM store.models ORDER BY name"
ALIASES = """
SELECT m.name, a.alias, a.source, a.valid_to
  FROM store.model_aliases a JOIN store.models m USING (model_id) ORDER BY 1, 2"""
HISTORY = """
SELECT m.name, h.observed_at, h.downloads, h.likes
  FROM store.model_history h JOIN store.models m USING (model_id) ORDER BY 1, 2"""


def test_a_page_tells_new_changed_and_unchanged_apart(connection: Connection) -> None:
    stub(connection, "org/stub")
    first = take(connection, record("org/a", sha="1"), record("org/b", sha="1"))
    assert first == PageComparison(
        new=frozenset({"org/a", "org/b"}),
        stubs=frozenset(),
        changed=frozenset(),
        unchanged=frozenset(),
        orphans=(),
    )
    second = take(
        connection, record("org/a", sha="1"), record("org/b", sha="2"), record("org/stub")
    )
    assert second.stubs == {"org/stub"}
    assert second.changed == {"org/b"}
    assert second.unchanged == {"org/a"}
    assert rows(connection, "SELECT name, sha, state FROM store.models ORDER BY name") == [
        ("org/a", "1", "available"),
        ("org/b", "2", "available"),
        ("org/stub", None, "available"),
    ]


def test_only_what_changed_is_dated_anew(connection: Connection) -> None:
    take(connection, record("org/a", sha="1"), record("org/b", sha="1"))
    take(connection, record("org/a", sha="1"), record("org/b", sha="2"), as_of=LATER)
    assert rows(
        connection, "SELECT name, first_seen, changed_at FROM store.models ORDER BY name"
    ) == [("org/a", NOON, NOON), ("org/b", NOON, LATER)]


def test_what_a_record_no_longer_states_is_forgotten(connection: Connection) -> None:
    take(connection, record("org/a", hub_id="1", cardData={"license": "mit"}))
    assert rows(connection, "SELECT license FROM registry.models") == [("mit",)]
    take(connection, record("org/a"))
    assert rows(connection, "SELECT license, card FROM registry.models") == [(None, None)]
    assert rows(connection, MODELS) == [("org/a", "available", "1")], "the key is kept"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "available"),
        ({"gated": "auto"}, "gated"),
        ({"gated": False, "private": True}, "private"),
        ({"gated": "manual", "private": True, "disabled": True}, "disabled"),
    ],
)
def test_a_model_has_one_state(connection: Connection, fields: dict[str, Any], state: str) -> None:
    take(connection, record("org/a", **fields))
    assert rows(connection, "SELECT state FROM store.models") == [(state,)]


def test_a_gone_model_that_is_listed_again_is_back(connection: Connection) -> None:
    take(connection, record("org/a"))
    connection.exec_driver_sql("UPDATE store.models SET state = 'gone', gone_at = now()")
    assert take(connection, record("org/a")).changed == {"org/a"}
    assert rows(connection, "SELECT state, gone_at FROM store.models") == [("available", None)]


def test_counters_keep_a_line_of_history_for_each_change(connection: Connection) -> None:
    take(connection, record("org/a", downloads=1, likes=0), record("org/b", downloads=7))
    take(
        connection, record("org/a", downloads=1, likes=0), record("org/b", downloads=8), as_of=LATER
    )
    assert rows(connection, HISTORY) == [
        ("org/a", NOON, 1, 0),
        ("org/b", NOON, 7, None),
        ("org/b", LATER, 8, None),
    ]
    assert rows(connection, "SELECT downloads FROM registry.models ORDER BY name") == [(1,), (8,)]


def test_counters_alone_are_no_change_of_the_record(connection: Connection) -> None:
    take(connection, record("org/a", downloads=1))
    assert take(connection, record("org/a", downloads=2), as_of=LATER).unchanged == {"org/a"}
    assert rows(connection, "SELECT changed_at FROM store.models") == [(NOON,)]


def test_of_two_changes_at_one_time_the_last_counts(connection: Connection) -> None:
    take(connection, record("org/a", downloads=1))
    take(connection, record("org/a", downloads=2))
    assert rows(connection, HISTORY) == [("org/a", NOON, 2, None)]


def test_a_renamed_model_is_followed_by_its_key(connection: Connection) -> None:
    take(connection, record("org/old", hub_id="1", downloads=5))
    ((key,),) = rows(connection, "SELECT model_id FROM store.models")
    compared = take(connection, record("org/new", hub_id="1", downloads=5), as_of=LATER)
    assert compared.changed == {"org/new"}
    assert rows(connection, "SELECT model_id, name FROM store.models") == [(key, "org/new")]
    assert rows(connection, ALIASES) == [("org/new", "org/old", "rename", LATER)]
    assert rows(connection, HISTORY) == [("org/new", NOON, 5, None)]
    assert model_names.model_id(connection, "org/old") == key


def test_a_model_that_gets_its_former_name_back_has_it_once(connection: Connection) -> None:
    for name in ("org/a", "org/b", "org/a"):
        take(connection, record(name, hub_id="1"))
    assert rows(
        connection, "SELECT model, alias, source FROM registry.model_aliases ORDER BY alias"
    ) == [("org/a", "org/a", "name"), ("org/a", "org/b", "rename")]


def test_two_models_that_swap_their_names_are_told_apart(connection: Connection) -> None:
    take(connection, record("org/a", hub_id="1"), record("org/b", hub_id="2"))
    before = {hub_id: name for name, _, hub_id in rows(connection, MODELS)}
    take(connection, record("org/b", hub_id="1"), record("org/a", hub_id="2"), as_of=LATER)
    assert before == {"1": "org/a", "2": "org/b"}
    assert rows(connection, MODELS) == [("org/a", "available", "2"), ("org/b", "available", "1")]
    assert rows(connection, ALIASES) == [
        ("org/a", "org/b", "rename", LATER),
        ("org/b", "org/a", "rename", LATER),
    ]


def test_three_models_that_each_take_the_name_of_the_next(connection: Connection) -> None:
    take(connection, *(record(f"org/{n}", hub_id=str(n)) for n in range(3)))
    take(connection, *(record(f"org/{n + 1}", hub_id=str(n)) for n in range(3)))
    assert rows(connection, MODELS) == [(f"org/{n + 1}", "available", str(n)) for n in range(3)]


def test_a_name_that_another_repository_took_is_no_longer_the_former_holders(
    connection: Connection,
) -> None:
    take(connection, record("org/a", hub_id="1", downloads=5))
    compared = take(connection, record("org/a", hub_id="2", downloads=0), as_of=LATER)
    assert compared.new == {"org/a"}
    assert rows(connection, MODELS) == [("org/a", "available", "2"), ("org/a@1", "gone", "1")]
    assert rows(connection, ALIASES) == [("org/a@1", "org/a", "rename", LATER)]
    assert rows(connection, HISTORY) == [("org/a", LATER, 0, None), ("org/a@1", NOON, 5, None)]

    take(connection, record("org/b", hub_id="1"), as_of=LATER)
    assert rows(connection, MODELS) == [("org/a", "available", "2"), ("org/b", "available", "1")]
    assert rows(connection, ALIASES) == [("org/b", "org/a", "rename", LATER)]


def test_a_name_held_without_a_key_can_be_taken_too(connection: Connection) -> None:
    take(connection, record("org/a", hub_id="1"), record("org/b"))
    take(connection, record("org/b", hub_id="1"), as_of=LATER)
    assert [row[1:] for row in rows(connection, MODELS)] == [("available", "1"), ("gone", None)]
    assert rows(connection, "SELECT name FROM store.models WHERE hub_id = '1'") == [("org/b",)]


def test_a_model_known_without_a_key_is_given_its_own(connection: Connection) -> None:
    take(connection, record("org/a"))
    take(connection, record("org/a", hub_id="1"))
    assert rows(connection, MODELS) == [("org/a", "available", "1")]


def test_a_stub_of_the_new_name_goes_into_the_renamed_model(connection: Connection) -> None:
    take(connection, record("org/old", hub_id="1"), record("me/child", "finetune:org/new"))
    take(connection, record("org/new", hub_id="1"))
    assert rows(connection, MODELS) == [
        ("me/child", "available", None),
        ("org/new", "available", "1"),
    ]
    assert rows(connection, "SELECT child, parent FROM registry.lineage") == [
        ("me/child", "org/new")
    ]
    assert rows(connection, "SELECT family_root FROM registry.models") == [("org/new",)] * 2


def test_a_model_that_a_stub_turns_out_to_be_keeps_a_family_of_its_own(
    connection: Connection,
) -> None:
    """It named as its parent what it was to be called itself."""
    take(connection, record("org/old", "finetune:org/new", hub_id="1"))
    take(connection, record("org/new", "finetune:org/new", hub_id="1"))
    assert rows(connection, "SELECT name, family_root, generation FROM registry.models") == [
        ("org/new", "org/new", 0)
    ]


def test_a_merged_stub_leaves_names_and_children_behind(connection: Connection) -> None:
    into = model(connection, "org/a")
    gone = stub(connection, "org/stub")
    alias(connection, gone, "nickname")
    edge(connection, "me/child", gone, "merge", source="card", position=3)
    edge(connection, "me/child", into, "merge", source="card", position=1)
    edge(connection, "me/other", gone, "adapter")
    children = merge.merge_stub(connection, gone, into=into, source="card", as_of=NOON)
    assert len(children) == 2
    assert rows(
        connection, "SELECT child, parent, relation, position FROM registry.lineage ORDER BY child"
    ) == [("me/child", "org/a", "merge", 1), ("me/other", "org/a", "adapter", 0)]
    assert rows(connection, ALIASES) == [
        ("org/a", "nickname", "user", None),
        ("org/a", "org/stub", "card", NOON),
    ]


def test_a_stub_is_merged_only_into_a_model_that_is_there(connection: Connection) -> None:
    unseen, known = stub(connection, "org/unseen"), model(connection, "org/known")
    assert merge.merge_renamed_stub(connection, unseen, "org/none", as_of=NOON) == []
    assert merge.merge_renamed_stub(connection, unseen, "org/unseen", as_of=NOON) == []
    assert merge.merge_renamed_stub(connection, known, "org/unseen", as_of=NOON) == []
    assert rows(connection, "SELECT count(*) FROM store.models") == [(2,)]
    merge.merge_renamed_stub(connection, unseen, "org/known", as_of=NOON)
    assert rows(connection, ALIASES) == [("org/known", "org/unseen", "rename", NOON)]


def test_text_of_any_kind_comes_through_unharmed(connection: Connection) -> None:
    odd = ["a,b", '"quoted"', "{braces}", "back\\slash", "NULL", "tab\there", "é 模型"]
    take(connection, record("org/a", sha="\\N", tags=odd, library_name="new\nline"))
    assert rows(connection, "SELECT tags, sha FROM registry.models") == [(odd, "\\N")]


def test_a_record_in_quarantine_is_kept_until_it_can_be_read(connection: Connection) -> None:
    rejected = [RejectedRecord("org/a", "is odd", "{"), RejectedRecord("org/b", "is odd", "[")]
    quarantine.add(connection, "hub", rejected, as_of=NOON)
    quarantine.add(connection, "hub", rejected[:1], as_of=LATER)
    quarantine.add(connection, "hub", [RejectedRecord("org/b", "is worse", "[")], as_of=LATER)
    query = "SELECT key, reason, seen_at, payload FROM registry.quarantine ORDER BY key"
    assert rows(connection, query) == [
        ("org/a", "is odd", NOON, "{"),
        ("org/b", "is worse", LATER, "["),
    ]
    take(connection, record("org/a"))
    quarantine.release(connection, "hub", ["org/a"])
    assert rows(connection, query) == [("org/b", "is worse", LATER, "[")]


def test_the_models_of_a_page_are_known_by_their_keys(connection: Connection) -> None:
    take(connection, record("org/other"))
    take(connection, record("org/b"), record("org/a"))
    keys = models.model_ids(connection, ["org/b", "nobody", "org/a"])
    assert keys == sorted(keys)
    assert set(
        connection.scalars(
            text("SELECT name FROM store.models WHERE model_id = ANY (:keys)"), {"keys": keys}
        )
    ) == {"org/a", "org/b"}
