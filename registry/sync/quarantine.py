"""Quarantine: records that cannot be read, with the reason, until a readable one replaces them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from registry.sync.batch import RejectedRecord


def add(
    connection: Connection,
    source: str,
    rejected: Sequence[RejectedRecord],
    *,
    as_of: datetime,
) -> None:
    """Store records that cannot be read; one with an unchanged reason and text stays as it is."""
    if not rejected:
        return
    connection.execute(
        text("""
        INSERT INTO store.quarantine AS q (source, key, reason, payload, seen_at)
        VALUES (:source, :key, :reason, :payload, :as_of)
            ON CONFLICT (source, key) DO UPDATE
           SET reason = excluded.reason, payload = excluded.payload, seen_at = excluded.seen_at
         WHERE (q.reason, q.payload) IS DISTINCT FROM (excluded.reason, excluded.payload)"""),
        [
            {
                "source": source,
                "key": each.key,
                "reason": each.reason,
                "payload": each.payload,
                "as_of": as_of,
            }
            for each in rejected
        ],
    )


def release(connection: Connection, source: str, names: Sequence[str]) -> None:
    """Delete the quarantined records of names that can be read now."""
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM store.quarantine)")):
        return
    connection.execute(
        text("""
        DELETE FROM store.quarantine WHERE source = :source AND key = ANY (:names)"""),
        {"source": source, "names": list(names)},
    )
