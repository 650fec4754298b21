import pytest
from factories import alias, edge, model, rows
from sqlalchemy import Connection

WAY = "SELECT step, model, direction, relation FROM registry.lineage_path(:a, :b)"


@pytest.fixture
def tree(connection: Connection) -> Connection:
    """A root with two branches, a merge of both, and a model that has nothing to do with them."""
    edge(connection, "left", "root", "finetune")
    edge(connection, "leaf", "left", "quantized")
    edge(connection, "right", "root", "adapter")
    edge(connection, "merge", "left", "merge")
    edge(connection, "merge", "right", "merge", position=1)
    edge(connection, "self", "self")
    model(connection, "stranger")
    return connection


def test_up_to_an_ancestor(tree: Connection) -> None:
    assert rows(tree, WAY, a="leaf", b="root") == [
        (0, "leaf", "start", None),
        (1, "left", "up", "quantized"),
        (2, "root", "up", "finetune"),
    ]


def test_down_to_a_descendant(tree: Connection) -> None:
    assert rows(tree, WAY, a="root", b="leaf") == [
        (0, "root", "start", None),
        (1, "left", "down", "finetune"),
        (2, "leaf", "down", "quantized"),
    ]


def test_up_and_down_by_way_of_the_nearest_common_ancestor(tree: Connection) -> None:
    assert rows(tree, WAY, a="leaf", b="right") == [
        (0, "leaf", "start", None),
        (1, "left", "up", "quantized"),
        (2, "root", "up", "finetune"),
        (3, "right", "down", "adapter"),
    ]
    assert rows(tree, WAY, a="leaf", b="merge") == [
        (0, "leaf", "start", None),
        (1, "left", "up", "quantized"),
        (2, "merge", "down", "merge"),
    ]


def test_the_steps_of_both_sides_count(connection: Connection) -> None:
    for child, parent in ("ax", "ay", "yz", "bp", "pq", "qx", "bz"):
        edge(connection, child, parent)
    assert [row[1] for row in rows(connection, WAY, a="a", b="b")] == ["a", "y", "z", "b"]
    assert [row[1] for row in rows(connection, WAY, a="b", b="a")] == ["b", "z", "y", "a"]


def test_a_model_is_related_to_itself(tree: Connection) -> None:
    assert rows(tree, WAY, a="leaf", b="leaf") == [(0, "leaf", "start", None)]
    assert rows(tree, WAY, a="self", b="SELF") == [(0, "self", "start", None)]


@pytest.mark.parametrize("other", ["stranger", "nobody", None])
def test_there_is_no_way_between_strangers(tree: Connection, other: str | None) -> None:
    assert rows(tree, WAY, a="leaf", b=other) == []
    assert rows(tree, WAY, a=other, b="leaf") == []


def test_a_circle_is_no_obstacle(tree: Connection) -> None:
    edge(tree, "root", "leaf")
    assert rows(tree, WAY, a="root", b="left") == [
        (0, "root", "start", None),
        (1, "left", "down", "finetune"),
    ]


def test_any_name_will_do(tree: Connection) -> None:
    alias(tree, "root", "old root")
    assert rows(tree, WAY, a="LEFT", b="old root") == [
        (0, "left", "start", None),
        (1, "root", "up", "finetune"),
    ]
