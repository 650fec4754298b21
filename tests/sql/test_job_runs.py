"""The view `registry.job_runs`: what still runs, and what was killed."""

import pytest
from sqlalchemy import Engine, text

from registry import db


@pytest.mark.parametrize(
    ("job", "lock"),
    [("sync", "sync"), ("evals import", "evals import"), ("evals remove", "evals import")],
)
def test_a_job_runs_as_long_as_it_holds_its_lock(engine: Engine, job: str, lock: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO store.job_runs (job, started_at, status)"
                " VALUES (:job, now(), 'running'), (:job, now(), 'done')"
            ),
            {"job": job},
        )

    def shown() -> list[str]:
        with engine.connect() as connection:
            return list(
                connection.scalars(text("SELECT status FROM registry.job_runs ORDER BY status"))
            )

    with db.exclusive(engine, "train"):
        assert shown() == ["done", "interrupted"]
    with db.exclusive(engine, lock):
        assert shown() == ["done", "running"]
    assert shown() == ["done", "interrupted"]


def test_locks_of_another_database_are_of_no_account(
    engine: Engine, empty_database_url: str
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO store.job_runs (job, started_at, status) VALUES ('sync', now(), 'running')"
        )
    other = db.create_engine(empty_database_url)
    with db.exclusive(other, "sync"), engine.connect() as connection:
        assert connection.scalar(text("SELECT status FROM registry.job_runs")) == "interrupted"
    other.dispose()
