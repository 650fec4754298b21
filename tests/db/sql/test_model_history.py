from datetime import timedelta

from factories import NOON, history, model, rows
from sqlalchemy import Connection


def test_counters_over_time(connection: Connection) -> None:
    model(connection, "org/a")
    history(connection, "org/a", NOON, downloads=1, downloads_all_time=5, likes=0)
    history(connection, "org/a", NOON + timedelta(days=1), downloads=3, trending_score=0.5)
    assert rows(connection, "SELECT * FROM registry.model_history ORDER BY observed_at") == [
        ("org/a", NOON, 1, 5, 0, None),
        ("org/a", NOON + timedelta(days=1), 3, None, None, 0.5),
    ]
