"""The envelope of every workflow: head check, lock, record, translated errors, dry run."""

import pytest
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db.jobs import Lock, exclusive, job, locked
from registry.errors import LockHeldError, RegistryError, SchemaNotAtHeadError


def recorded(engine: Engine) -> list[tuple[str, object]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT status, summary FROM store.job_runs"))
        return [(row.status, row.summary) for row in rows]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_job_holds_its_lock(engine: Engine, *, dry_run: bool) -> None:
    with job(engine, "sync", lock=Lock.CATALOG, doing="sync", dry_run=dry_run):
        with pytest.raises(LockHeldError), exclusive(engine, Lock.CATALOG):
            pass
        with locked(engine, Lock.EVALUATIONS, doing="import"):
            pass
    with exclusive(engine, Lock.CATALOG):
        pass


def test_a_job_is_recorded_with_its_summary_and_a_dry_run_is_not(engine: Engine) -> None:
    for dry_run in (False, True):
        with job(
            engine, "sync", lock=Lock.CATALOG, doing="sync", dry_run=dry_run, kind="delta"
        ) as run:
            run.summary |= {"new": 3}
            assert run.summary == {"kind": "delta", "new": 3}
    assert recorded(engine) == [("done", {"kind": "delta", "new": 3})]


def test_a_job_marks_its_own_killed_run_and_leaves_those_of_other_jobs(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO store.job_runs (job, started_at, status)"
                " VALUES ('sync', now(), 'running')"
            )
        )
    with (
        job(engine, "train", lock=Lock.TRAINING, doing="train"),
        job(engine, "sync", lock=Lock.CATALOG, doing="sync"),
        engine.connect() as connection,
    ):
        runs = connection.execute(
            text("SELECT job, status FROM store.job_runs ORDER BY job_run_id")
        )
        assert [tuple(row) for row in runs] == [
            ("sync", "interrupted"),
            ("train", "running"),
            ("sync", "running"),
        ]


def test_a_job_that_finds_the_lock_held_leaves_no_record(engine: Engine) -> None:
    with (
        exclusive(engine, Lock.EVALUATIONS),
        pytest.raises(LockHeldError, match="Another evals import is running"),
        job(engine, "evals remove", lock=Lock.EVALUATIONS, doing="remove evaluations"),
    ):
        pass
    assert recorded(engine) == []


def test_an_error_of_the_database_ends_a_job_with_a_sentence(engine: Engine) -> None:
    with (
        pytest.raises(RegistryError, match="Cannot remove evaluations: division by zero") as caught,
        job(engine, "evals remove", lock=Lock.EVALUATIONS, doing="remove evaluations"),
        engine.connect() as connection,
    ):
        connection.exec_driver_sql("SELECT 1 / 0")
    assert isinstance(caught.value.__cause__, Exception)
    ((status, summary),) = recorded(engine)
    assert status == "failed"
    assert "division by zero" in str(summary)


def test_a_job_needs_a_database_at_head(empty_database_url: str) -> None:
    empty = database.create_engine(empty_database_url)
    for envelope in (
        job(empty, "sync", lock=Lock.CATALOG, doing="sync"),
        locked(empty, Lock.CATALOG, doing="sync"),
        database.reading(empty),
        database.writing(empty),
    ):
        with pytest.raises(SchemaNotAtHeadError, match="not set up yet"), envelope:
            pytest.fail("it began")


def test_what_only_reads_cannot_write_and_may_read_one_moment(engine: Engine) -> None:
    count = text("SELECT count(*) FROM store.models")
    insert = text(
        "INSERT INTO store.models (name, state, first_seen, changed_at)"
        " VALUES (:name, 'available', now(), now())"
    )
    with database.reading(engine, snapshot=True) as connection:
        before = connection.scalar(count)
        with database.writing(engine) as other:
            other.execute(insert, {"name": "org/new"})
        assert connection.scalar(count) == before
        with pytest.raises(Exception, match="read-only transaction"):
            connection.execute(insert, {"name": "org/another"})
    with database.reading(engine) as connection:
        assert connection.scalar(count) == (before or 0) + 1
