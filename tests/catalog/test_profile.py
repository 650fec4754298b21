from factories import edge
from sqlalchemy import Connection

from registry.catalog.profile import read_profile


def test_children_count_once_for_each_relation(connection: Connection) -> None:
    for source in ("tag", "merge_config"):
        edge(connection, "org/merge", "org/base", "merge", source=source)
    edge(connection, "org/merge", "org/base", "finetune", source="card")
    for name in ("org/a", "org/b"):
        edge(connection, name, "org/base", "finetune")
    edge(connection, "org/base", "org/base", "finetune")
    children = read_profile(connection, "org/base", similar=0).children
    assert list(children.items()) == [("finetune", 3), ("merge", 1)]
