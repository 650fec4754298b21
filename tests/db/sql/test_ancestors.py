import pytest
from factories import alias, edge, model, rows, stub
from sqlalchemy import Connection

WALK = "SELECT ancestor, depth, child FROM registry.ancestors(:model)"


def test_a_diamond_is_walked_once_the_nearest_first(connection: Connection) -> None:
    for child, parent in (("d", "b"), ("d", "c"), ("b", "a"), ("c", "a"), ("a", "root")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="d") == [
        ("b", 1, "d"),
        ("c", 1, "d"),
        ("a", 2, "b"),
        ("root", 3, "a"),
    ]


def test_the_shortest_way_counts(connection: Connection) -> None:
    for child, parent in (("c", "b"), ("b", "a"), ("c", "a")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="c") == [("a", 1, "c"), ("b", 1, "c")]


def test_a_circle_ends_where_it_closes(connection: Connection) -> None:
    for child, parent in (("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("c", "top")):
        edge(connection, child, parent)
    assert rows(connection, WALK, model="a") == [("b", 1, "a"), ("c", 2, "b"), ("top", 3, "c")]


def test_a_self_edge_leads_nowhere(connection: Connection) -> None:
    edge(connection, "a", "a")
    assert rows(connection, WALK, model="a") == []


def test_a_step_is_told_by_its_surest_source(connection: Connection) -> None:
    stub(connection, "a")
    edge(connection, "b", "a", "base_unknown", source="card", confidence=0.5)
    edge(connection, "b", "a", "quantized", source="tag")
    assert rows(
        connection, "SELECT relation, source, confidence, state FROM registry.ancestors('b')"
    ) == [("quantized", "tag", 1, "stub")]


def test_any_name_will_do(connection: Connection) -> None:
    edge(connection, "me/child", "org/a")
    alias(connection, "me/child", "me/old")
    assert rows(connection, WALK, model="ME/OLD") == [("org/a", 1, "me/child")]


@pytest.mark.parametrize("name", ["org/none", "org/root", None])
def test_there_is_nothing_above_a_root_or_an_unknown_model(
    connection: Connection, name: str | None
) -> None:
    model(connection, "org/root")
    assert rows(connection, WALK, model=name) == []


def test_a_long_line_is_walked_to_its_end(connection: Connection) -> None:
    for n in range(40):
        edge(connection, f"m{n:02}", f"m{n + 1:02}")
    assert rows(connection, WALK, model="m00")[-1] == ("m40", 40, "m39")


@pytest.mark.parametrize("sources", [("tag", "card"), ("card", "tag"), ("merge_config", "card")])
def test_of_equally_sure_sources_both_directions_name_the_same(
    connection: Connection, sources: tuple[str, str]
) -> None:
    for source in sources:
        edge(connection, "b", "a", "merge", source=source, confidence=0.9)
    expected = [(max(sources),)]
    assert rows(connection, "SELECT source FROM registry.ancestors('b')") == expected
    assert rows(connection, "SELECT source FROM registry.descendants('a')") == expected
