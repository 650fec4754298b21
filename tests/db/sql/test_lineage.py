from factories import edge, rows, stub
from sqlalchemy import Connection


def test_one_row_for_child_parent_and_relation_with_the_surest_source(
    connection: Connection,
) -> None:
    edge(connection, "me/merge", "org/a", "merge", source="card", confidence=0.9, position=2)
    edge(connection, "me/merge", "org/a", "merge", source="merge_config", confidence=0.95)
    edge(connection, "me/merge", "org/a", "finetune", source="tag", confidence=0.5)
    edge(connection, "me/merge", "org/b", "merge", source="tag", position=1)
    assert rows(connection, "SELECT * FROM registry.lineage ORDER BY parent, relation") == [
        ("me/merge", "org/a", "finetune", "tag", 0.5, ["tag"], 0, False, False),
        (
            *("me/merge", "org/a", "merge", "merge_config"),
            *(rows(connection, "SELECT 0.95::real")[0][0], ["merge_config", "card"], 0),
            *(False, False),
        ),
        ("me/merge", "org/b", "merge", "tag", 1, ["tag"], 1, False, False),
    ]


def test_of_equally_sure_sources_the_hub_comes_first(connection: Connection) -> None:
    for source in ("card", "tag", "merge_config"):
        edge(connection, "me/merge", "org/a", "merge", source=source)
    assert rows(connection, "SELECT source, sources FROM registry.lineage") == [
        ("tag", ["tag", "merge_config", "card"])
    ]


def test_self_edges_and_missing_parents_are_marked(connection: Connection) -> None:
    stub(connection, "org/unseen")
    edge(connection, "me/self", "me/self")
    edge(connection, "me/self", "org/unseen")
    assert rows(
        connection,
        "SELECT parent, self_edge, parent_missing FROM registry.lineage ORDER BY parent",
    ) == [("me/self", True, False), ("org/unseen", False, True)]
