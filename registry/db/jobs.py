"""The record of what ran when, and how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import orjson
import sqlalchemy
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from registry.errors import (
    LockHeldError,
    was_interrupted,
)


@dataclass(slots=True)
class JobRun:
    """One run under way; what is put into `summary` is kept with it."""

    job_run_id: int
    summary: dict[str, object] = field(default_factory=dict)


@contextmanager
def recorded(engine: Engine, job: str, **what: object) -> Iterator[JobRun]:
    """Record a run of a job, which the caller makes sure is the only one under way.

    Runs that still read as running were killed: they are marked as interrupted. When they ended
    nobody knows.

    Args:
        engine: of a database at head.
        job: its name.
        what: of its summary, what is known from the start; it stays where the run is killed.
    """
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE store.job_runs SET status = 'interrupted'"
                " WHERE job = :job AND status = 'running'"
            ),
            {"job": job},
        )
        key = connection.scalar(
            text(
                "INSERT INTO store.job_runs (job, started_at, status, summary)"
                " VALUES (:job, now(), 'running', cast(:summary AS jsonb)) RETURNING job_run_id"
            ),
            {"job": job, "summary": orjson.dumps(what).decode() if what else None},
        )
    assert key is not None
    run = JobRun(key, {**what})
    try:
        yield run
    except BaseException as error:
        if was_interrupted(error):
            status, summary = "interrupted", run.summary
        else:
            status, summary = "failed", {**run.summary, "error": str(error)[:2000]}
        # What failed may be the database itself; the error that counts is the one under way.
        with suppress(DBAPIError):
            _finish(engine, run, status, summary)
        raise
    _finish(engine, run, "done", run.summary)


def _finish(engine: Engine, run: JobRun, status: str, summary: dict[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE store.job_runs SET status = :status, finished_at = now(),"
                " summary = cast(:summary AS jsonb) WHERE job_run_id = :key"
            ),
            {"status": status, "summary": orjson.dumps(summary).decode(), "key": run.job_run_id},
        )


@contextmanager
def exclusive(opened: Engine, name: str) -> Iterator[None]:
    """Hold the advisory lock of a job; the database frees it if this process dies.

    Raises:
        LockHeldError: when another process holds it.
    """
    with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = f"registry.{name}"
        taken = connection.scalar(
            sqlalchemy.text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))"), {"key": key}
        )
        if not taken:
            raise LockHeldError(f"Another {name} is running; try again when it has finished.")
        try:
            yield
        finally:
            if not connection.closed and not connection.invalidated:
                connection.execute(
                    sqlalchemy.text("SELECT pg_advisory_unlock(hashtextextended(:key, 0))"),
                    {"key": key},
                )
