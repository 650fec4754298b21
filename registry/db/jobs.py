"""Jobs: a workflow under its lock, and the record of what ran when and how it ended."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db.errors import translated_errors
from registry.db.locks import Lock, exclusive
from registry.db.revisions import require_head
from registry.errors import was_interrupted

__all__ = ["JobRun", "Lock", "exclusive", "job", "locked", "recorded"]


@dataclass(slots=True)
class JobRun:
    """A job under way; its `summary` is stored when it ends."""

    summary: dict[str, object] = field(default_factory=dict)


@contextmanager
def job(
    engine: Engine,
    name: str,
    *,
    lock: Lock,
    doing: str,
    dry_run: bool = False,
    **summary: object,
) -> Iterator[JobRun]:
    """Run a block as a job: on a database at head, alone, recorded, with errors translated.

    Args:
        engine: of the database.
        name: of the job in the record.
        lock: that it holds, in a dry run too.
        doing: what fails when the database does, after "Cannot".
        dry_run: whether to leave no record.
        summary: what is known from the start; it stays where the run is killed.

    Raises:
        LockHeldError: when another process holds the lock.
        RegistryError: when the database fails or is not at head.
    """
    with locked(engine, lock, doing=doing, name=name):
        if dry_run:
            yield JobRun(summary)
        else:
            with recorded(engine, name, **summary) as run:
                yield run


@contextmanager
def locked(engine: Engine, lock: Lock, *, doing: str, name: str | None = None) -> Iterator[None]:
    """Hold a lock on a database at head, for work that is not recorded; errors as in `job`."""
    with translated_errors(doing):
        with engine.connect() as connection:
            require_head(connection)
        with exclusive(engine, lock, name=name):
            yield


@contextmanager
def recorded(engine: Engine, name: str, **summary: object) -> Iterator[JobRun]:
    """Record a run of a job, which holds a lock and so is the only one under way.

    Runs that still read as running were killed: they are marked as interrupted, without an end.

    Args:
        engine: of a database at head.
        name: of the job.
        summary: what is known from the start; it stays where the run is killed.
    """
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE store.job_runs SET status = 'interrupted'"
                " WHERE job = :job AND status = 'running'"
            ),
            {"job": name},
        )
        key = connection.scalar(
            text(
                "INSERT INTO store.job_runs (job, started_at, status, summary)"
                " VALUES (:job, now(), 'running', cast(:summary AS jsonb)) RETURNING job_run_id"
            ),
            {"job": name, "summary": orjson.dumps(summary).decode() if summary else None},
        )
    assert key is not None
    run = JobRun({**summary})
    try:
        yield run
    except BaseException as error:
        if was_interrupted(error):
            status, ended = "interrupted", run.summary
        else:
            status, ended = "failed", {**run.summary, "error": str(error)[:2000]}
        # What failed may be the database itself; the error that counts is the one under way.
        with suppress(DBAPIError):
            _finish(engine, key, status, ended)
        raise
    _finish(engine, key, "done", run.summary)


def _finish(engine: Engine, key: int, status: str, summary: dict[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE store.job_runs SET status = :status, finished_at = now(),"
                " summary = cast(:summary AS jsonb) WHERE job_run_id = :key"
            ),
            {"status": status, "summary": orjson.dumps(summary).decode(), "key": key},
        )
