"""Edges, stubs and families, as pages of records make them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from factories import NOON, alias, edge, model, rows, stub
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import record, take
from sqlalchemy import Connection, Engine, text

from registry.catalog import families
from registry.db import schema

LATER = NOON + timedelta(days=1)
FAMILIES = "SELECT name, family_root, generation FROM registry.models ORDER BY name"
LINEAGE = "SELECT child, parent, relation FROM registry.lineage ORDER BY 1, 2, 3"


def test_a_family_follows_first_parents(connection: Connection) -> None:
    take(
        connection,
        record("org/root"),
        record("me/tuned", "finetune:org/root"),
        record("me/gguf", "quantized:me/tuned"),
        record("else/alone"),
    )
    assert rows(connection, FAMILIES) == [
        ("else/alone", "else/alone", 0),
        ("me/gguf", "org/root", 2),
        ("me/tuned", "org/root", 1),
        ("org/root", "org/root", 0),
    ]


def test_children_may_come_before_their_parents(connection: Connection) -> None:
    take(connection, record("me/gguf", "quantized:me/tuned"))
    assert rows(connection, FAMILIES) == [("me/gguf", "me/tuned", 1), ("me/tuned", "me/tuned", 0)]
    assert rows(connection, "SELECT name, author FROM registry.models WHERE state = 'stub'") == [
        ("me/tuned", "me")
    ]
    take(connection, record("me/tuned", "finetune:org/root"))
    assert rows(connection, FAMILIES) == [
        ("me/gguf", "org/root", 2),
        ("me/tuned", "org/root", 1),
        ("org/root", "org/root", 0),
    ]


def test_a_merge_belongs_to_its_first_source(connection: Connection) -> None:
    take(connection, record("me/merge", "merge:org/b", "merge:org/a"))
    assert rows(connection, FAMILIES) == [
        ("me/merge", "org/b", 1),
        ("org/a", "org/a", 0),
        ("org/b", "org/b", 0),
    ]


@pytest.mark.parametrize("relation", ["finetune", "adapter", "quantized"])
def test_what_a_model_was_trained_from_comes_before_merge_sources(
    connection: Connection, relation: str
) -> None:
    child = model(connection, "me/child")
    edge(connection, child, "org/unsure", "base_unknown")
    edge(connection, child, "org/source", "merge")
    assert family_of(connection, child) == "org/source"
    edge(connection, child, "org/base", relation, source="card", confidence=0.1, position=9)
    assert family_of(connection, child) == "org/base"


def test_of_equal_relations_the_surest_then_the_first_counts(connection: Connection) -> None:
    child = model(connection, "me/child")
    edge(connection, child, "org/c", source="card", confidence=0.5, position=0)
    assert family_of(connection, child) == "org/c"
    edge(connection, child, "org/b", position=2)
    assert family_of(connection, child) == "org/b"
    edge(connection, child, "org/a", position=1)
    assert family_of(connection, child) == "org/a"


def family_of(connection: Connection, key: int) -> str:
    parents = connection.scalars(
        text("SELECT parent_id FROM store.edges WHERE child_id = :key"), {"key": key}
    ).all()
    families.refresh_families(connection, [key, *parents])
    ((root,),) = rows(
        connection,
        "SELECT family_root FROM registry.models WHERE name = 'me/child' AND generation = 1",
    )
    assert isinstance(root, str)
    return root


def test_a_family_that_gets_another_root_moves_as_a_whole(connection: Connection) -> None:
    take(
        connection,
        record("me/base"),
        record("me/tuned", "finetune:me/base"),
        record("me/gguf", "quantized:me/tuned"),
    )
    take(connection, record("me/base", "finetune:org/root"))
    assert rows(connection, FAMILIES) == [
        ("me/base", "org/root", 1),
        ("me/gguf", "org/root", 3),
        ("me/tuned", "org/root", 2),
        ("org/root", "org/root", 0),
    ]
    take(connection, record("me/tuned"))
    assert rows(connection, FAMILIES) == [
        ("me/base", "org/root", 1),
        ("me/gguf", "me/tuned", 1),
        ("me/tuned", "me/tuned", 0),
        ("org/root", "org/root", 0),
    ]


def test_a_circle_is_a_family_rooted_in_the_name_that_sorts_first(connection: Connection) -> None:
    take(
        connection,
        record("me/c", "finetune:me/b"),
        record("me/b", "finetune:me/a"),
        record("me/a", "finetune:me/c"),
        record("me/gguf", "quantized:me/c"),
    )
    assert rows(connection, FAMILIES) == [
        ("me/a", "me/a", 0),
        ("me/b", "me/a", 1),
        ("me/c", "me/a", 2),
        ("me/gguf", "me/a", 3),
    ]
    circle = "SELECT model FROM registry.lineage_problems WHERE problem = 'cycle' ORDER BY 1"
    assert rows(connection, circle) == [("me/a",), ("me/b",), ("me/c",)]
    take(connection, record("me/b"))
    assert rows(connection, circle) == []
    assert rows(connection, FAMILIES) == [
        ("me/a", "me/b", 2),
        ("me/b", "me/b", 0),
        ("me/c", "me/b", 1),
        ("me/gguf", "me/b", 2),
    ]


def test_a_self_edge_is_kept_and_leads_nowhere(connection: Connection) -> None:
    take(connection, record("me/self", "finetune:me/self"))
    assert rows(connection, FAMILIES) == [("me/self", "me/self", 0)]
    assert rows(connection, LINEAGE) == [("me/self", "me/self", "finetune")]


def test_edges_are_those_of_the_last_record(connection: Connection) -> None:
    take(connection, record("me/child", "merge:org/a", "merge:org/b"))
    take(connection, record("me/child", "merge:org/b", "finetune:org/c"))
    assert rows(connection, LINEAGE) == [
        ("me/child", "org/b", "merge"),
        ("me/child", "org/c", "finetune"),
    ]


def test_parents_are_found_by_name_then_case_then_alias(connection: Connection) -> None:
    take(connection, record("Org/Base", hub_id="1"), record("org/other"))
    take(connection, record("Org/New", hub_id="1"))
    take(
        connection,
        record("me/exact", "finetune:org/other"),
        record("me/case", "finetune:ORG/NEW"),
        record("me/former", "finetune:Org/Base"),
    )
    assert rows(connection, LINEAGE) == [
        ("me/case", "Org/New", "finetune"),
        ("me/exact", "org/other", "finetune"),
        ("me/former", "Org/New", "finetune"),
    ]


def test_two_spellings_of_an_unknown_parent_are_one_stub(connection: Connection) -> None:
    take(connection, record("me/a", "finetune:Org/Base"), record("me/b", "finetune:org/base"))
    assert rows(connection, "SELECT count(*) FROM store.models WHERE state = 'stub'") == [(1,)]
    assert rows(connection, "SELECT count(DISTINCT family) FROM registry.models") == [(1,)]


def test_a_stub_in_another_case_goes_into_the_model(connection: Connection) -> None:
    take(connection, record("me/child", "finetune:org/base"))
    take(connection, record("Org/Base"))
    assert rows(connection, LINEAGE) == [("me/child", "Org/Base", "finetune")]
    assert rows(
        connection, "SELECT model, alias, source FROM registry.model_aliases WHERE source <> 'name'"
    ) == [("Org/Base", "org/base", "case")]
    assert rows(connection, FAMILIES) == [("Org/Base", "Org/Base", 0), ("me/child", "Org/Base", 1)]


def test_a_stub_goes_into_the_model_that_a_card_calls_so(connection: Connection) -> None:
    """The card keeps a parent's former name, while the Hub's tag follows the rename."""
    take(connection, record("org/new"))
    take(connection, record("me/early", "finetune:org/old"))
    assert rows(connection, LINEAGE) == [("me/early", "org/old", "finetune")]
    take(
        connection,
        record("me/late", "finetune:org/new", cardData={"base_model": "org/old"}),
    )
    assert rows(connection, LINEAGE) == [
        ("me/early", "org/new", "finetune"),
        ("me/late", "org/new", "finetune"),
    ]
    assert rows(connection, FAMILIES) == [
        ("me/early", "org/new", 1),
        ("me/late", "org/new", 1),
        ("org/new", "org/new", 0),
    ]


def test_children_stay_with_a_name_when_its_repository_is_made_again(
    connection: Connection,
) -> None:
    take(connection, record("org/base", hub_id="1"), record("me/child", "finetune:org/base"))
    take(connection, record("org/base", hub_id="2"))
    assert rows(connection, LINEAGE) == [("me/child", "org/base", "finetune")]
    assert rows(connection, FAMILIES) == [
        ("me/child", "org/base", 1),
        ("org/base", "org/base", 0),
        ("org/base@1", "org/base@1", 0),
    ]


def test_a_card_does_not_rename_a_model_that_is_there(connection: Connection) -> None:
    take(connection, record("org/new"), record("org/old"))
    take(
        connection,
        record("me/child", "finetune:org/new", cardData={"base_model": "org/old"}),
    )
    assert rows(connection, "SELECT count(*) FROM store.model_aliases") == [(0,)]
    assert rows(connection, LINEAGE) == [("me/child", "org/new", "finetune")]


def test_the_number_of_models_that_moved_is_told(connection: Connection) -> None:
    keys = [model(connection, name) for name in ("a", "b", "c")]
    assert families.refresh_families(connection, []) == 0
    assert families.refresh_families(connection, keys) == 3
    assert families.refresh_families(connection, keys) == 0
    edge(connection, "c", "b")
    edge(connection, "b", "a")
    assert families.refresh_families(connection, keys) == 2


def test_a_stub_has_a_place_too(connection: Connection) -> None:
    key = stub(connection, "org/unseen")
    families.refresh_families(connection, [key])
    assert rows(connection, FAMILIES) == [("org/unseen", "org/unseen", 0)]


# Models are numbers; a batch gives some of them new lists of parents, with relation and position.
NUMBERS = range(8)
PARENTS = st.lists(
    st.tuples(
        st.sampled_from(NUMBERS),
        st.sampled_from(["finetune", "merge", "base_unknown"]),
        st.sampled_from([0.5, 1.0]),
    ),
    max_size=3,
    unique_by=lambda parent: parent[:2],
)
BATCHES = st.lists(
    st.dictionaries(st.sampled_from(NUMBERS), PARENTS, min_size=1, max_size=5), max_size=4
)
Edges = Mapping[int, Sequence[tuple[int, str, float]]]


@settings(
    max_examples=50,
    deadline=None,
)
@given(batches=BATCHES)
def test_families_kept_batch_by_batch_are_those_computed_at_once(
    migrated: Engine, batches: Sequence[Edges]
) -> None:
    with migrated.connect() as connection:
        keys = [model(connection, f"m{number}") for number in NUMBERS]
        families.refresh_families(connection, keys)
        edges: dict[int, Sequence[tuple[int, str, float]]] = {}
        for batch in batches:
            edges |= batch
            connection.execute(
                text("DELETE FROM store.edges WHERE child_id = ANY (:keys)"),
                {"keys": [keys[child] for child in batch]},
            )
            written = [
                {
                    "child_id": keys[child],
                    "parent_id": keys[parent],
                    "relation": relation,
                    "source": "tag",
                    "confidence": confidence,
                    "position": position,
                }
                for child, parents in batch.items()
                for position, (parent, relation, confidence) in enumerate(parents)
            ]
            if written:
                connection.execute(schema.edges.insert(), written)
            families.refresh_families(connection, [keys[child] for child in batch])
            found = rows(
                connection,
                "SELECT model_id, family_id, generation, in_cycle FROM store.model_families",
            )
            assert {
                keys.index(key): (keys.index(root), generation, in_cycle)
                for key, root, generation, in_cycle in found
            } == {number: place(number, edges) for number in NUMBERS}


def place(number: int, edges: Edges) -> tuple[int, int, bool]:
    """Walk up from one model, step by step."""
    way = [number]
    while True:
        parent = first_parent(way[-1], edges)
        if parent is None:
            return way[-1], len(way) - 1, False
        if parent in way:
            circle = way[way.index(parent) :]
            steps = way.index(parent)
            # From the root of the circle it is as far down to where the way enters it as up.
            return min(circle), steps + (steps_up(parent, min(circle), edges)), number in circle
        way.append(parent)


def steps_up(number: int, to: int, edges: Edges) -> int:
    steps = 0
    while number != to:
        parent = first_parent(number, edges)
        assert parent is not None
        number, steps = parent, steps + 1
    return steps


def first_parent(number: int, edges: Edges) -> int | None:
    order = {"finetune": 1, "merge": 2, "base_unknown": 3}
    candidates = [
        (order[relation], -confidence, position, parent)
        for position, (parent, relation, confidence) in enumerate(edges.get(number, ()))
        if parent != number
    ]
    return min(candidates)[-1] if candidates else None


def test_an_alias_of_two_models_is_neither(connection: Connection) -> None:
    for name in ("org/a", "org/b"):
        model(connection, name)
        alias(connection, name, "old/shared")
    alias(connection, "org/b", "old/own")
    take(connection, record("me/child", "merge:old/shared", "merge:old/own"))
    assert rows(connection, LINEAGE) == [
        ("me/child", "old/shared", "merge"),
        ("me/child", "org/b", "merge"),
    ]
    assert rows(connection, "SELECT state FROM registry.models WHERE name = 'old/shared'") == [
        ("stub",)
    ]


def test_of_two_spellings_a_parent_goes_to_its_own(connection: Connection) -> None:
    names = ["org/a", "Org/A", "ORG/A"]
    take(connection, *map(record, names))
    take(connection, *(record(f"me/{place}", name) for place, name in enumerate(names)))
    parents = rows(connection, "SELECT parent FROM registry.lineage ORDER BY child")
    assert [parent for (parent,) in parents] == names
