import pytest
from factories import alias, edge, model, rows
from sqlalchemy import Connection

WALK = "SELECT descendant, depth, parent FROM registry.descendants(:model)"


def test_a_diamond_is_walked_once_the_nearest_first(connection: Connection) -> None:
    for child, parent in (("d", "b"), ("d", "c"), ("b", "a"), ("c", "a"), ("e", "d")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="a") == [
        ("b", 1, "a"),
        ("c", 1, "a"),
        ("d", 2, "b"),
        ("e", 3, "d"),
    ]


def test_the_shortest_way_counts(connection: Connection) -> None:
    for child, parent in (("c", "b"), ("b", "a"), ("c", "a")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="a") == [("b", 1, "a"), ("c", 1, "a")]


def test_a_circle_ends_where_it_closes(connection: Connection) -> None:
    for child, parent in (("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="a") == [("c", 1, "a"), ("b", 2, "c")]


def test_a_step_is_told_by_its_surest_source(connection: Connection) -> None:
    model(connection, "b", state="gone")
    edge(connection, "b", "a", "base_unknown", source="card", confidence=0.5)
    edge(connection, "b", "a", "adapter", source="tag")
    assert rows(
        connection, "SELECT relation, source, confidence, state FROM registry.descendants('a')"
    ) == [("adapter", "tag", 1, "gone")]


def test_any_name_will_do(connection: Connection) -> None:
    edge(connection, "me/child", "org/a")
    alias(connection, "org/a", "org/old")
    assert rows(connection, WALK, model="ORG/OLD") == [("me/child", 1, "org/a")]


@pytest.mark.parametrize("name", ["org/none", "org/leaf", None])
def test_there_is_nothing_below_a_leaf_or_an_unknown_model(
    connection: Connection, name: str | None
) -> None:
    model(connection, "org/leaf")
    assert rows(connection, WALK, model=name) == []
