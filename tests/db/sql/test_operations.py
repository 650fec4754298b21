from factories import NOON, rows
from sqlalchemy import Connection

from registry.db import schema


def test_job_runs(connection: Connection) -> None:
    connection.execute(
        schema.job_runs.insert().values(
            job="sync", started_at=NOON, finished_at=NOON, status="done", summary={"pages": 2}
        )
    )
    assert rows(connection, "SELECT * FROM registry.job_runs") == [
        ("sync", NOON, NOON, "done", {"pages": 2})
    ]


def test_quarantine(connection: Connection) -> None:
    connection.execute(
        schema.quarantine.insert().values(
            source="hub", key="org/a", reason="has no name", payload="{", seen_at=NOON
        )
    )
    assert rows(connection, "SELECT * FROM registry.quarantine") == [
        ("hub", "org/a", "has no name", NOON, "{")
    ]


def test_the_weights_of_similarity_are_there_from_the_start(connection: Connection) -> None:
    assert rows(
        connection, "SELECT name, weight FROM registry.similarity_weights ORDER BY name"
    ) == [
        ("base", 0.6),
        ("feature", 0.5),
        ("merge", 0.7),
        ("parent", 0.8),
        ("shared_merge", 0.5),
    ]
    assert rows(
        connection,
        "SELECT count(*) FROM registry.similarity_weights WHERE length(description) < 10",
    ) == [(0,)]
