"""Models that a listing no longer shows, and the names that the Hub is asked about."""

from datetime import timedelta

import pytest
from factories import NOON, edge, model, stub
from sqlalchemy import Connection

from registry.sync.tombstones import record_lookup, to_look_up


@pytest.mark.parametrize(("days", "again"), [(0, False), (29, False), (31, True)])
def test_a_name_is_asked_about_again_after_a_month(
    connection: Connection, days: int, *, again: bool
) -> None:
    stub(connection, "org/unseen")
    [first] = to_look_up(connection, as_of=NOON, limit=9)
    assert first.name == "org/unseen"
    record_lookup(connection, first, "gone", NOON)
    later = to_look_up(connection, as_of=NOON + timedelta(days=days), limit=9)
    assert later == ([first] if again else [])


def test_the_newly_gone_come_first_then_the_parents_of_most(connection: Connection) -> None:
    model(connection, "org/gone", state="gone", gone_at=NOON)
    model(connection, "org/long-gone", state="gone", gone_at=NOON - timedelta(days=9))
    for name in ("a/few", "b/many", "c/no name", "d/none"):
        stub(connection, name)
    for child, parent in (("me/1", "b/many"), ("me/2", "b/many"), ("me/1", "a/few")):
        edge(connection, child, parent)
    names = [each.name for each in to_look_up(connection, as_of=NOON, limit=9)]
    assert names == ["org/gone", "b/many", "a/few", "d/none"]
    assert [each.name for each in to_look_up(connection, as_of=NOON, limit=2)] == names[:2]
