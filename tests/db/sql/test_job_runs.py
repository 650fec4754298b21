"""The view `registry.job_runs`: what still runs, and what was killed."""

import pytest
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import jobs


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

    with jobs.exclusive(engine, jobs.Lock.TRAINING):
        assert shown() == ["done", "interrupted"]
    with jobs.exclusive(engine, jobs.Lock(lock)):
        assert shown() == ["done", "running"]
    assert shown() == ["done", "interrupted"]


def test_locks_of_another_database_are_of_no_account(
    engine: Engine, empty_database_url: str
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO store.job_runs (job, started_at, status) VALUES ('sync', now(), 'running')"
        )
    other = database.create_engine(empty_database_url)
    with jobs.exclusive(other, jobs.Lock.CATALOG), engine.connect() as connection:
        assert connection.scalar(text("SELECT status FROM registry.job_runs")) == "interrupted"
    other.dispose()


def test_a_full_sync_is_a_sweep_while_it_runs_too(engine: Engine) -> None:
    shown = text("SELECT job, status, finished_at IS NULL FROM registry.job_runs")
    with (
        jobs.exclusive(engine, jobs.Lock.CATALOG),
        jobs.recorded(engine, "sync", kind="full"),
        engine.connect() as connection,
    ):
        assert connection.execute(shown).one() == ("sweep", "running", True)
    with engine.connect() as connection:
        assert connection.execute(shown).one() == ("sweep", "done", False)


def test_when_a_killed_job_ended_nobody_knows(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO store.job_runs (job, started_at, status)"
            " VALUES ('sync', now() - interval '1 day', 'running')"
        )
    with jobs.recorded(engine, "sync"):
        pass
    with engine.connect() as connection:
        ended = connection.execute(
            text("SELECT status, finished_at IS NULL FROM registry.job_runs ORDER BY started_at")
        )
        assert ended.all() == [("interrupted", True), ("done", False)]


def test_a_job_that_is_stopped_has_no_error(engine: Engine) -> None:
    with pytest.raises(KeyboardInterrupt), jobs.recorded(engine, "sync", kind="delta"):
        raise KeyboardInterrupt
    with engine.connect() as connection:
        ended = connection.execute(text("SELECT status, summary FROM registry.job_runs"))
        assert ended.all() == [("interrupted", {"kind": "delta"})]
