"""Tables of the state of syncs, lookups, quarantine, and runs of jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from registry.db.schema.base import metadata, model_key, one_of, time, time_or_null
from registry.enums import JobStatus, SyncKind


class PassTable(TypedColumns):
    """State of each kind of sync, updated in the transaction of the page that it describes."""

    scope = Column(Text, primary_key=True, comment="endpoint and filters")
    kind = Column(Text, primary_key=True, comment="delta or full")
    watermark: Named[datetime | None] = time_or_null("everything up to here has been taken in")
    swept_at: Named[datetime | None] = time_or_null("as-of time of the last complete full sweep")
    swept_models: Named[int | None] = Column(BigInteger, comment="models in that sweep")
    under_way: Named[bool] = Column(
        Boolean, server_default=text("false"), comment="begun and not finished"
    )
    as_of: Named[datetime | None] = time_or_null("observation time of the pass under way")
    since: Named[datetime | None] = time_or_null("where the pass under way stops")
    high_water: Named[datetime | None] = time_or_null("newest change that the pass has seen")
    cursor: Named[str | None] = Column(Text, comment="address of the next page")
    pages: Named[int] = Column(Integer, server_default=text("0"), comment="pages taken in")
    summary: Named[Any] = Column(JSONB, nullable=True, comment="counts of the pass so far")


sync_passes = Table(
    "sync_passes",
    metadata,
    PassTable,
    CheckConstraint(one_of("kind", SyncKind), name="kind"),
)


class SweepTable(TypedColumns):
    """Which models each page of a full sweep under way held."""

    scope = Column(Text, primary_key=True)
    page = Column(Integer, primary_key=True, autoincrement=False)
    model_ids: Named[list[int]] = Column(ARRAY(BigInteger), nullable=False)


sweep_pages = Table("sweep_pages", metadata, SweepTable)


class LookupTable(TypedColumns):
    """When a name that no listing shows was last looked up, and the answer."""

    model_id = model_key()
    looked_up_at: Named[datetime] = time("as-of time of the question")
    answer: Named[str] = Column(Text, comment="listed, renamed, disabled or gone")


lookups = Table("lookups", metadata, LookupTable)


class QuarantineTable(TypedColumns):
    """Records that could not be read, with the reason."""

    source = Column(Text, primary_key=True)
    key = Column(Text, primary_key=True)
    reason: Named[str] = Column(Text)
    payload: Named[str | None] = Column(Text, comment="beginning of the record, as text")
    seen_at: Named[datetime] = time("when it was first seen so")


quarantine = Table("quarantine", metadata, QuarantineTable)


class JobRunTable(TypedColumns):
    """One row per run of a job."""

    job_run_id = Column(BigInteger, Identity(always=True), primary_key=True)
    job: Named[str] = Column(Text)
    started_at: Named[datetime] = time("UTC")
    finished_at: Named[datetime | None] = time_or_null("UTC")
    status: Named[str] = Column(Text, comment="running, done, failed or interrupted")
    summary: Named[Any] = Column(JSONB, nullable=True)


job_runs = Table(
    "job_runs",
    metadata,
    JobRunTable,
    CheckConstraint(one_of("status", JobStatus), name="status"),
    Index("job_runs_job_started_at_idx", "job", "started_at"),
)


class ObjectTable(TypedColumns):
    """The views and functions that the registry itself created in schema `registry`."""

    ordinal = Column(Integer, primary_key=True, autoincrement=False)
    kind: Named[str] = Column(Text, comment="VIEW or FUNCTION")
    identity: Named[str] = Column(Text, comment="name, with argument types for a function")
    fingerprint: Named[str] = Column(Text, comment="digest of all SQL files, server, digests of it")


sql_objects = Table("sql_objects", metadata, ObjectTable)
