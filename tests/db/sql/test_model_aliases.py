from factories import NOON, alias, model, rows
from sqlalchemy import Connection


def test_the_present_name_is_one_of_the_names(connection: Connection) -> None:
    model(connection, "org/new")
    alias(connection, "org/new", "org/old", source="rename", valid_to=NOON)
    alias(connection, "org/new", "a name", source="user", confidence=0.5)
    assert rows(
        connection, "SELECT * FROM registry.model_aliases ORDER BY confidence DESC, alias"
    ) == [
        ("org/new", "org/new", "name", 1, None, None),
        ("org/new", "org/old", "rename", 1, None, NOON),
        ("org/new", "a name", "user", 0.5, None, None),
    ]
