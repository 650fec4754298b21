from factories import alias, counters, family, model, rows
from sqlalchemy import Connection


def test_all_members_come_by_generation_and_name(connection: Connection) -> None:
    root = model(connection, "org/root", parameters=7, license="mit")
    child = model(connection, "me/b", state="gone")
    family(connection, root, root)
    family(connection, child, root, parent=root, generation=1)
    family(connection, "me/a", root, parent=root, generation=1)
    family(connection, "me/0", root, parent=child, generation=2)
    family(connection, "else/alone", "else/alone")
    counters(connection, root, downloads=3)
    alias(connection, "me/0", "me/old")
    members = [
        ("org/root", 0, None, "available", "mit", 7, 3),
        ("me/a", 1, "org/root", "available", None, None, None),
        ("me/b", 1, "org/root", "gone", None, None, None),
        ("me/0", 2, "me/b", "available", None, None, None),
    ]
    for name in ("org/root", "me/0", "ME/OLD"):
        assert rows(connection, "SELECT * FROM registry.family(:name)", name=name) == members
    assert rows(connection, "SELECT member FROM registry.family('else/alone')") == [("else/alone",)]
    assert rows(connection, "SELECT member FROM registry.family('nobody')") == []
