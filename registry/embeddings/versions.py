"""Versions of learned embeddings, and which one is current.

Each change is one transaction of the caller, so that readers see the version before or the one
after, whole. A new version becomes current in a later transaction than the one that stores it,
after `wait_for_readers` has returned. Each change of the current version sends a notification on
channel `registry_embeddings` at its commit.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.db.schema import VERSIONED_TABLES
from registry.embeddings.partitions import PATIENCE, drop_partition
from registry.errors import RegistryError, UsageError

CHANNEL = "registry_embeddings"
"""Channel of NOTIFY; the payload is JSON: {"version": 3, "previous": 2}."""

NOT_JUDGED = "not judged yet"
"""Reason of a candidate whose training has not ended, and that the next one judges."""

_PLANNED = 2.0
"""Seconds within which a planned statement has begun to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingVersion:
    """A stored version: its row of `registry.embedding_versions`."""

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
    calibrated: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision about a candidate, and its reason.

    Attributes:
        promoted: whether it becomes the current version.
        reason: a sentence for people.
        churn: mean share, in [0, 1], of models' nearest neighbours in the current version that
            are not among them in the candidate; None without two models in both.
    """

    promoted: bool
    reason: str
    churn: float | None


def list_versions(connection: Connection) -> list[EmbeddingVersion]:
    """Return all versions, newest first."""
    rows = connection.execute(
        text("SELECT * FROM registry.embedding_versions ORDER BY version DESC")
    )
    return [EmbeddingVersion(**row) for row in rows.mappings()]


def current_version(connection: Connection) -> EmbeddingVersion | None:
    """Return the current version, or None while there is none."""
    row = connection.execute(text("SELECT * FROM registry.embedding_versions WHERE current"))
    values = row.mappings().one_or_none()
    return None if values is None else EmbeddingVersion(**values)


def current_number(connection: Connection) -> int | None:
    """Return the number of the current version, once no other transaction is changing which it is.

    None while there is none.
    """
    lock(connection)
    version = current_version(connection)
    return None if version is None else version.version


def read_version(connection: Connection, version: int | None = None) -> EmbeddingVersion:
    """Return a version by its number, by default the current one.

    Raises:
        RegistryError: when no version is current, or there is no such one, with those there are.
    """
    if version is None:
        current = current_version(connection)
        if current is None:
            raise RegistryError(
                "There are no embeddings yet: no version is current; `registry train` learns one. "
                "`registry embeddings list` shows the versions, `registry embeddings promote` "
                "makes one current."
            )
        return current
    rows = {each.version: each for each in list_versions(connection)}
    if version not in rows:
        numbers = ", ".join(map(str, sorted(rows)))
        there = f"there are {numbers}" if len(rows) > 1 else f"there is {numbers}"
        if not rows:
            there = "there is none; `registry train` learns one"
        raise UsageError(f"There is no version {version} of embeddings; {there}.")
    return rows[version]


def require_routing(connection: Connection) -> str:
    """Return the name of the encoder of prompts that the current version can route.

    Raises:
        RegistryError: when none is current, or it was trained without texts.
    """
    current = read_version(connection)
    if current.encoder is None or current.serving_dimension is None:
        raise RegistryError(
            f"Version {current.version} of the embeddings ({current.method}) cannot route prompts: "
            "it was trained without texts. `registry train` learns from them where the benchmarks' "
            "items have texts."
        )
    return current.encoder


def trained_on(connection: Connection, fingerprint: str, method: str) -> EmbeddingVersion | None:
    """Return the newest version of a method that was trained on exactly these outcomes, if any.

    Not one whose training has not ended: `candidates.unfinished` returns those.
    """
    row = connection.execute(
        text("""
        SELECT * FROM registry.embedding_versions
         WHERE data_fingerprint = :fingerprint AND method = :method
           AND (state <> 'candidate' OR reason IS DISTINCT FROM :unfinished)
         ORDER BY version DESC LIMIT 1"""),
        {"fingerprint": fingerprint, "method": method, "unfinished": NOT_JUDGED},
    )
    values = row.mappings().one_or_none()
    return None if values is None else EmbeddingVersion(**values)


def promote(
    connection: Connection, version: int, *, force: bool = False, reason: str | None = None
) -> EmbeddingVersion:
    """Make a version current; the one before is retired.

    Args:
        connection: in a transaction.
        version: its number; nothing changes if it is current already.
        force: promote it even if it was refused.
        reason: for people to read.

    Raises:
        UsageError: when there is no such version, or it was refused and is not forced.
    """
    lock(connection)
    chosen = promotable(connection, version, force=force)
    if chosen.current:
        return chosen
    _make_current(connection, version, reason or ("forced" if force else chosen.reason))
    return read_version(connection, version)


def promotable(connection: Connection, version: int, *, force: bool = False) -> EmbeddingVersion:
    """Return a version that may become current, or is.

    Raises:
        UsageError: when there is no such version, or it was refused and is not forced.
    """
    chosen = read_version(connection, version)
    if chosen.state == "refused" and not force:
        raise UsageError(
            f"Version {version} was refused: {chosen.reason}. --force promotes it all the same."
        )
    return chosen


def finalize(connection: Connection, version: int, verdict: Verdict) -> EmbeddingVersion:
    """Promote or refuse a candidate by the verdict of `judging`, and store the reason.

    Raises:
        UsageError: when there is no such version, or it is current.
    """
    lock(connection)
    if read_version(connection, version).current:
        raise UsageError(f"Version {version} is current; it is not judged again.")
    connection.execute(
        text("""
        UPDATE store.embedding_versions
           SET churn = :churn, reason = :reason, state = 'refused' WHERE version_id = :version"""),
        {"version": version, "churn": verdict.churn, "reason": verdict.reason},
    )
    if verdict.promoted:
        _make_current(connection, version, verdict.reason)
    return read_version(connection, version)


def read_unexplained(connection: Connection, version: int) -> NDArray[np.float64] | None:
    """Return the covariance of a version's vectors about what the catalog predicts, d x d.

    None for a version whose vectors do not depend on the catalog.
    """
    rows = connection.scalar(
        text("SELECT unexplained FROM store.embedding_versions WHERE version_id = :version"),
        {"version": version},
    )
    return None if rows is None else np.array(rows, np.float64)


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


def keep_scales(connection: Connection, version: int, scales: Mapping[str, float]) -> None:
    """Store the factors that calibrate variances of placed models, with the metrics of a version.

    Only of a version whose intervals were measured.
    """
    connection.execute(
        text("""
        UPDATE store.embedding_versions
           SET metrics = jsonb_set(metrics, '{intervals,scales}', CAST(:scales AS jsonb))
         WHERE version_id = :version AND metrics ? 'intervals'"""),
        {"version": version, "scales": orjson.dumps(dict(scales)).decode()},
    )


def wait_for_readers(engine: Engine) -> None:
    """Wait for statements that were planned before a version's partition was attached.

    Attaching a partition blocks no reader, so a statement may be planned without it, and would find
    no vectors if the version became current before it begins. Waits for the present readers of
    embeddings, not for later ones, and for 2 s at most: all of them have begun by then.
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
    """Make the previously current version current again; the present one counts as refused.

    A second rollback goes one version further back.

    Raises:
        RegistryError: when there is no current version, or none before it.
    """
    lock(connection)
    before = previous(connection)
    _make_current(connection, before, None, back=True)
    return read_version(connection, before)


def previous(connection: Connection) -> int:
    """Return the number of the version that was current before the current one.

    Raises:
        RegistryError: when there is no current version, or none before it.
    """
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
    return int(before)


def drop(connection: Connection, version: int) -> None:
    """Remove a version with its vectors.

    Raises:
        UsageError: when there is no such version, or it is the current one.
        DBAPIError: when a reader holds it for longer than 4 s.
    """
    lock(connection)
    if read_version(connection, version).current:
        raise UsageError(
            f"Version {version} is current and cannot be dropped; promote another one first."
        )
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    _lock_row(connection, version, "UPDATE")
    for table in VERSIONED_TABLES:
        drop_partition(connection, table.name, version)
    connection.execute(
        text("DELETE FROM store.embedding_versions WHERE version_id = :version"),
        {"version": version},
    )


def keep(connection: Connection, version: int) -> None:
    """Prevent a version from being dropped until the transaction ends.

    Raises:
        UsageError: when there is no such version.
    """
    if not _lock_row(connection, version, "KEY SHARE"):
        read_version(connection, version)


def _lock_row(connection: Connection, version: int, mode: str) -> bool:
    query = f"SELECT 1 FROM store.embedding_versions WHERE version_id = :version FOR {mode}"  # noqa: S608
    return connection.scalar(text(query), {"version": version}) is not None


def lock(connection: Connection) -> None:
    """Serialize changes of the current version, until the end of the transaction."""
    connection.exec_driver_sql("LOCK TABLE store.lock_versions IN EXCLUSIVE MODE")


def _make_current(
    connection: Connection, version: int, reason: str | None, *, back: bool = False
) -> None:
    """Retire the current version, make another one current, and send the notification."""
    previous = connection.scalar(
        text("""
        UPDATE store.embedding_versions
           SET state = CASE WHEN :back THEN 'refused' ELSE 'retired' END,
               reason = CASE WHEN :back THEN :rolled ELSE reason END
         WHERE state = 'current' RETURNING version_id"""),
        {"back": back, "rolled": f"rolled back to version {version}"},
    )
    # A rollback keeps the time of promotion, by which the version before is found.
    connection.execute(
        text("""
        UPDATE store.embedding_versions
           SET state = 'current',
               reason = CASE WHEN :back THEN reason ELSE :reason END,
               promoted_at = CASE WHEN :back THEN promoted_at ELSE clock_timestamp() END
         WHERE version_id = :version"""),
        {"version": version, "reason": reason, "back": back},
    )
    payload = orjson.dumps({"version": version, "previous": previous}).decode()
    connection.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload}
    )
