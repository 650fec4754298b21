"""Records that could not be read, kept with the reason until a readable one replaces them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from registry.sync.page import RejectedRecord


def put_in(
    connection: Connection,
    source: str,
    refusals: Sequence[RejectedRecord],
    *,
    as_of: datetime,
) -> None:
    """Keep records that could not be read, each with how it begins.

    A record seen before with the same reason is left as it is.
    """
    if not refusals:
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
                "key": refused.key,
                "reason": refused.reason,
                "payload": refused.payload,
                "as_of": as_of,
            }
            for refused in refusals
        ],
    )


def release(connection: Connection, source: str, names: Sequence[str]) -> None:
    """Forget the quarantined records that readable ones of these names replace."""
    if not connection.scalar(text("SELECT EXISTS (SELECT FROM store.quarantine)")):
        return
    connection.execute(
        text("""
        DELETE FROM store.quarantine WHERE source = :source AND key = ANY (:names)"""),
        {"source": source, "names": list(names)},
    )
