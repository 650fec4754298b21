"""Versions of learned embeddings: which there are, and which one is current.

Functions of a connection; each change is one transaction of the caller's, so that readers see the
version before or the one after, whole. A new version is made current in a later transaction than
the one that it was kept in, once `wait_for_readers` has returned. Whoever listens on channel
`registry_embeddings` is told of each change of the current version at its commit.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from registry.db.schema import VERSIONED_TABLES
from registry.embeddings.partitions import PATIENCE, drop_partition
from registry.embeddings.promotion import Verdict
from registry.errors import RegistryError, UsageError

CHANNEL = "registry_embeddings"
"""Channel of NOTIFY; the payload is JSON: {"version": 3, "previous": 2}."""

_PLANNED = 2.0
"""Seconds within which a statement that was planned has begun; what reads longer has long begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingVersion:
    """One training that was kept: its row of `registry.embedding_versions`."""

    version: int
    method: str
    current: bool
    created_at: datetime
    metrics: Mapping[str, Any]
    state: str
    reason: str | None
    dimension: int
    serving_dimension: int | None
    models: int
    items: int
    outcomes: int
    encoder: str | None
    promoted_at: datetime | None
    churn: float | None
    aligned_to: int | None
    alignment_residual: float | None
    settings: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]]
    data_fingerprint: str
    code_version: str
    device: str
    seed: int
    seconds: float
    placed_at: datetime | None
    likeness: Mapping[str, float] | None


def list_versions(connection: Connection) -> list[EmbeddingVersion]:
    """Return all versions, the newest first."""
    rows = connection.execute(
        text("SELECT * FROM registry.embedding_versions ORDER BY version DESC")
    )
    return [EmbeddingVersion(**row) for row in rows.mappings()]


def current_version(connection: Connection) -> EmbeddingVersion | None:
    """Return the current version, or None while there is none."""
    row = connection.execute(text("SELECT * FROM registry.embedding_versions WHERE current"))
    found = row.mappings().one_or_none()
    return None if found is None else EmbeddingVersion(**found)


def read_version(connection: Connection, version: int | None = None) -> EmbeddingVersion:
    """Return a version by its number; the current one without.

    Raises:
        RegistryError: when there is none yet, or no such one, naming those there are.
    """
    if version is None:
        found = current_version(connection)
        if found is None:
            raise RegistryError(
                "There are no embeddings yet: no version is current; `registry embeddings list` "
                "shows those there are, `registry embeddings promote` makes one current."
            )
        return found
    rows = {each.version: each for each in list_versions(connection)}
    if version not in rows:
        numbers = ", ".join(map(str, sorted(rows)))
        there = f"there are {numbers}" if len(rows) > 1 else f"there is {numbers or 'none'}"
        raise UsageError(f"There is no version {version} of embeddings; {there}.")
    return rows[version]


def require_routing(connection: Connection) -> str:
    """Return the name of the encoder whose vectors of prompts the current version can route.

    Raises:
        RegistryError: when none is current, or it learned nothing of what items ask.
    """
    found = read_version(connection)
    if found.encoder is None or found.serving_dimension is None:
        raise RegistryError(
            f"Version {found.version} of the embeddings ({found.method}) tells no prompts apart: "
            "it was learned without texts. `registry train` learns from them where the benchmarks' "
            "items have some."
        )
    return found.encoder


def trained_on(connection: Connection, fingerprint: str, method: str) -> EmbeddingVersion | None:
    """Return the newest version of a method that was trained on just these outcomes, if any."""
    row = connection.execute(
        text("""
        SELECT * FROM registry.embedding_versions
         WHERE data_fingerprint = :fingerprint AND method = :method
         ORDER BY version DESC LIMIT 1"""),
        {"fingerprint": fingerprint, "method": method},
    )
    found = row.mappings().one_or_none()
    return None if found is None else EmbeddingVersion(**found)


def promote(
    connection: Connection, version: int, *, force: bool = False, reason: str | None = None
) -> EmbeddingVersion:
    """Make a version the current one; the one before is retired.

    Args:
        connection: in a transaction.
        version: its number; where it is current already, nothing changes.
        force: promote it though it was refused.
        reason: why, for people to read.

    Raises:
        UsageError: when there is no such version, or it was refused and is not forced.
    """
    _lock(connection)
    found = read_version(connection, version)
    if found.current:
        return found
    if found.state == "refused" and not force:
        raise UsageError(
            f"Version {version} was refused: {found.reason}. --force promotes it all the same."
        )
    _make_current(connection, version, reason or ("forced" if force else found.reason))
    return read_version(connection, version)


def finalize(connection: Connection, version: int, verdict: Verdict) -> EmbeddingVersion:
    """Promote or refuse a candidate as `registry.promotion.judge` decided, and keep why.

    Raises:
        UsageError: when there is no such version, or it is current.
    """
    _lock(connection)
    if read_version(connection, version).current:
        raise UsageError(f"Version {version} is current; it cannot be judged any more.")
    connection.execute(
        text("""
        UPDATE store.embedding_versions
           SET churn = :churn, reason = :reason, state = 'refused' WHERE version_id = :version"""),
        {"version": version, "churn": verdict.churn, "reason": verdict.reason},
    )
    if verdict.promoted:
        _make_current(connection, version, verdict.reason)
    return read_version(connection, version)


def mark_placed(
    connection: Connection,
    version: EmbeddingVersion,
    read_at: datetime,
    kernel_weights: Mapping[str, float],
) -> None:
    """Store when the catalog was read for a placement; later changes are pending from then on."""
    connection.execute(
        text("""
        UPDATE store.embedding_versions SET placed_at = :at, likeness = :likeness
         WHERE version_id = :version"""),
        {
            "version": version.version,
            "at": read_at,
            "likeness": orjson.dumps(dict(kernel_weights)).decode(),
        },
    )


def wait_for_readers(engine: Engine) -> None:
    """Wait for statements that were planned before a version's vectors could be read.

    Attaching a partition stops no reader, so one may have been planned without it, and would find
    nothing if the version became current before it began. Waits for those that read embeddings
    now, not for later ones, and 2 s at most: all of them have begun by then.
    """
    reading = text("""
        SELECT virtualtransaction FROM pg_locks
         WHERE relation = CAST('store.embeddings' AS regclass) AND pid <> pg_backend_pid()
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = set(connection.scalars(reading))
        deadline = time.monotonic() + _PLANNED
        while before and time.monotonic() < deadline:
            time.sleep(0.005)
            before &= set(connection.scalars(reading))


def rollback(connection: Connection) -> EmbeddingVersion:
    """Make the version current that was so before the current one; that one counts as refused.

    Done again, it goes one further back.

    Raises:
        RegistryError: when there is no current version, or none before it.
    """
    _lock(connection)
    current = read_version(connection)
    before = connection.scalar(
        text("""
        SELECT version_id FROM store.embedding_versions
         WHERE state = 'retired' AND promoted_at < :promoted
         ORDER BY promoted_at DESC LIMIT 1"""),
        {"promoted": current.promoted_at},
    )
    if before is None:
        raise RegistryError(
            f"There is no version to go back to: none was current before {current.version}."
        )
    _make_current(connection, before, None, back=True)
    return read_version(connection, before)


def drop(connection: Connection, version: int) -> None:
    """Remove a version with its vectors.

    Raises:
        UsageError: when there is no such version, or it is the current one.
        DBAPIError: when somebody reads it for longer than 4 s.
    """
    _lock(connection)
    if read_version(connection, version).current:
        raise UsageError(
            f"Version {version} is current and cannot be dropped; promote another one first."
        )
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    for table in VERSIONED_TABLES:
        drop_partition(connection, table.name, version)
    connection.execute(
        text("DELETE FROM store.embedding_versions WHERE version_id = :version"),
        {"version": version},
    )


def _lock(connection: Connection) -> None:
    """Let changes of the current version come one after another."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('registry.embeddings', 0))")
    )


def _make_current(
    connection: Connection, version: int, reason: str | None, *, back: bool = False
) -> None:
    """Retire the current version and put another in its place, and tell those who listen."""
    previous = connection.scalar(
        text("""
        UPDATE store.embedding_versions
           SET state = CASE WHEN :back THEN 'refused' ELSE 'retired' END,
               reason = CASE WHEN :back THEN :told ELSE reason END
         WHERE state = 'current' RETURNING version_id"""),
        {"back": back, "told": f"rolled back to version {version}"},
    )
    # Going back leaves the time of promotion, by which what came before is found.
    connection.execute(
        text("""
        UPDATE store.embedding_versions
           SET state = 'current',
               reason = CASE WHEN :back THEN reason ELSE :reason END,
               promoted_at = CASE WHEN :back THEN promoted_at ELSE clock_timestamp() END
         WHERE version_id = :version"""),
        {"version": version, "reason": reason, "back": back},
    )
    told = orjson.dumps({"version": version, "previous": previous}).decode()
    connection.execute(
        text("SELECT pg_notify(:channel, :told)"), {"channel": CHANNEL, "told": told}
    )
