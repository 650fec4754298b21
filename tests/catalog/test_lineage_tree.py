from factories import counters, edge
from sqlalchemy import Connection

from registry.catalog.lineage_tree import read_tree


def test_children_without_downloads_come_last(connection: Connection) -> None:
    for name, downloads in (("org/few", 1), ("org/null", None), ("org/many", 9)):
        edge(connection, name, "org/base")
        counters(connection, name, downloads=downloads)
    edge(connection, "org/no-counters", "org/base")
    tree = read_tree(connection, "org/base", "down")
    assert [each.name for each in tree.branches[:2]] == ["org/many", "org/few"]
    assert {each.name for each in tree.branches[2:]} == {"org/null", "org/no-counters"}
    shown = read_tree(connection, "org/base", "down", most=1)
    assert ([each.name for each in shown.branches], shown.more) == (["org/many"], 3)
