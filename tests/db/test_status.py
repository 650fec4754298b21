from factories import family, model
from sqlalchemy import Connection

from registry.db.status import read_overview


def test_a_model_alone_is_no_family(connection: Connection) -> None:
    for name in ("root", "child", "alone"):
        model(connection, name)
    family(connection, "root", "root")
    family(connection, "child", "root", parent="root", generation=1)
    family(connection, "alone", "alone")
    assert read_overview(connection).families == 1
