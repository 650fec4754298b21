"""Records that could not be read, kept with the reason until a readable one replaces them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from registry.records import Rejected


def put_in(
    connection: Connection,
    source: str,
    rejected: Sequence[tuple[Rejected, str]],
    *,
    as_of: datetime,
) -> None:
    """Keep records that could not be read, each with the beginning of its text.

    A record seen before with the same reason is left as it is.
    """
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
                "key": item.key,
                "reason": item.reason,
                "payload": payload,
                "as_of": as_of,
            }
            for item, payload in rejected
        ],
    )


def release(connection: Connection, source: str) -> None:
    """Forget the quarantined records that the page's models have replaced."""
    connection.execute(
        text("""
        DELETE FROM store.quarantine q USING incoming_models i
         WHERE q.source = :source AND q.key = i.name"""),
        {"source": source},
    )
