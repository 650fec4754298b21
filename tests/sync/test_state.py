"""Cursor and watermark of a kind of sync, as stored."""

from datetime import timedelta

from factories import NOON
from sqlalchemy import Connection

from registry.enums import SyncKind
from registry.sync import state
from registry.sync.state import SyncState


def test_a_watermark_never_moves_back(connection: Connection) -> None:
    done = SyncState(scope="test", kind=SyncKind.DELTA, as_of=NOON)
    for moved, expected in ((0, 0), (-1, 0), (None, 0), (1, 1)):
        watermark = None if moved is None else NOON + timedelta(days=moved)
        state.finish(connection, done, watermark=watermark)
        stored = state.load(connection, "test", SyncKind.DELTA).watermark
        assert stored == NOON + timedelta(days=expected)
