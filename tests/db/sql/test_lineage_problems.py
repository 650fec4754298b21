import pytest
from factories import edge, family, model, rows, stub
from sqlalchemy import Connection

PROBLEMS = "SELECT problem, model, parent, detail FROM registry.lineage_problems"


def test_a_self_edge(connection: Connection) -> None:
    for source in ("tag", "card"):
        edge(connection, "a", "a", source=source)
    assert rows(connection, PROBLEMS) == [("self_edge", "a", "a", "names itself as its parent")]


def test_a_circle(connection: Connection) -> None:
    edge(connection, "a", "b")
    edge(connection, "b", "a")
    family(connection, "a", "a", parent="b", in_cycle=True)
    family(connection, "b", "a", parent="a", generation=1, in_cycle=True)
    family(connection, "c", "a", parent="a", generation=1)
    assert sorted(rows(connection, PROBLEMS)) == [
        ("cycle", "a", "b", "first parents lead back to the model itself"),
        ("cycle", "b", "a", "first parents lead back to the model itself"),
    ]


def test_a_missing_parent(connection: Connection) -> None:
    stub(connection, "unseen")
    edge(connection, "a", "unseen", source="tag")
    edge(connection, "a", "unseen", source="card")
    assert rows(connection, PROBLEMS) == [
        ("missing_parent", "a", "unseen", "the parent has never been seen in a listing")
    ]


@pytest.mark.parametrize("state", ["gone", "disabled"])
def test_a_gone_parent(connection: Connection, state: str) -> None:
    model(connection, "parent", state=state)
    edge(connection, "a", "parent")
    assert rows(connection, PROBLEMS) == [("gone_parent", "a", "parent", f"the parent is {state}")]


def test_a_gone_model_is_no_gone_parent_of_itself(connection: Connection) -> None:
    model(connection, "a", state="gone")
    edge(connection, "a", "a")
    assert [row[:3] for row in rows(connection, PROBLEMS)] == [("self_edge", "a", "a")]


def test_licence_drift(connection: Connection) -> None:
    model(connection, "parent", license="llama2")
    model(connection, "drifted", license="mit")
    model(connection, "faithful", license="llama2")
    model(connection, "silent")
    for child in ("drifted", "faithful", "silent"):
        edge(connection, child, "parent")
    assert rows(connection, PROBLEMS) == [
        ("license_drift", "drifted", "parent", "mit, made from llama2")
    ]


@pytest.mark.parametrize("state", ["available", "gated", "private"])
def test_nothing_is_odd_about_an_ordinary_edge(connection: Connection, state: str) -> None:
    model(connection, "parent", state=state)
    edge(connection, "a", "parent")
    assert rows(connection, PROBLEMS) == []
