from factories import NOON, counters, family, model, rows
from sqlalchemy import Connection


def test_a_family_is_counted_with_its_root(connection: Connection) -> None:
    root = model(connection, "org/root", parameters=8, license="mit")
    for name, generation, parameters, downloads in (
        ("me/child", 1, 7, 5),
        ("me/grandchild", 2, 1, None),
        ("me/unknown", 1, None, 10),
    ):
        key = model(connection, name, parameters=parameters)
        family(connection, key, root, parent=root, generation=generation)
        counters(connection, key, downloads=downloads)
    family(connection, root, root)
    alone = model(connection, "org/alone")
    family(connection, alone, alone)
    assert rows(connection, "SELECT * FROM registry.families ORDER BY models DESC") == [
        (root, "org/root", 4, 2, 7, 15, "mit", NOON),
        (alone, "org/alone", 1, 0, None, None, None, NOON),
    ]
