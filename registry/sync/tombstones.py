"""Tombstones: models that a full sweep no longer finds, and look-ups of unlisted names."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from registry.errors import HubError

LARGEST_LOSS = 0.2
"""Share of the catalog that one sweep may find gone; a larger one is taken for the Hub's error."""

SMALLEST_LOSS = 100
"""Number of models up to which any loss is accepted."""

LOOKUP_INTERVAL = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A model to look up on the Hub by name."""

    model_id: int
    name: str
    state: str


def mark_gone(
    connection: Connection,
    scope: str,
    *,
    author: str | None,
    as_of: datetime,
    accept: bool,
) -> int:
    """Mark as gone the models that a complete sweep has not listed, among those it should have.

    Args:
        connection: in the transaction that ends the sweep.
        scope: of the sweep, whose pages are in `store.sweep_pages`.
        author: only this author's models were listed, if given.
        as_of: when the sweep was made.
        accept: accept any loss.

    Raises:
        HubError: when more than LARGEST_LOSS would be gone; nothing is then marked.
    """
    # Models that a delta added after the sweep began may be listed above its cursor at the time.
    condition = """
        m.state NOT IN ('gone', 'stub') AND m.changed_at <= :as_of
        AND (cast(:author AS text) IS NULL OR m.author = :author)"""
    parameters = {"scope": scope, "author": author, "as_of": as_of}
    connection.execute(
        text("""
        CREATE TEMPORARY TABLE swept ON COMMIT DROP AS
        SELECT DISTINCT unnest(model_ids) AS model_id FROM store.sweep_pages
         WHERE scope = :scope"""),
        parameters,
    )
    connection.exec_driver_sql("ANALYZE swept")
    stored, lost = connection.execute(
        text(f"""
        SELECT count(*), count(*) FILTER (WHERE s.model_id IS NULL)
          FROM store.models m LEFT JOIN swept s USING (model_id) WHERE {condition}"""),  # noqa: S608
        parameters,
    ).one()
    if lost > SMALLEST_LOSS and lost > LARGEST_LOSS * stored and not accept:
        raise HubError(
            f"The full sweep did not find {lost:,} of {stored:,} models, which is more than a "
            "listing loses: none was marked as gone. If they are gone, run it again with "
            "--accept-gone."
        )
    return connection.execute(
        text(f"""
        UPDATE store.models m SET state = 'gone', gone_at = :as_of
         WHERE {condition}
           AND NOT EXISTS (SELECT FROM swept s WHERE s.model_id = m.model_id)"""),  # noqa: S608
        parameters,
    ).rowcount


def to_look_up(connection: Connection, *, as_of: datetime, limit: int) -> list[Unlisted]:
    """Return the models to look up: the newly gone, then stubs, those with most children first.

    No name is looked up again within LOOKUP_INTERVAL.
    """
    rows = connection.execute(
        text("""
        SELECT m.model_id, m.name, m.state
          FROM store.models m
          LEFT JOIN store.lookups l USING (model_id)
         WHERE (m.state = 'stub' OR (m.state = 'gone' AND m.gone_at = :as_of))
           AND (l.model_id IS NULL OR l.looked_up_at < :again)
           AND m.name ~ '^[[:alnum:]._-]+(/[[:alnum:]._-]+)?$'
         ORDER BY m.state, (SELECT count(*) FROM store.edges e WHERE e.parent_id = m.model_id) DESC,
                  m.name
         LIMIT :limit"""),
        {"as_of": as_of, "again": as_of - LOOKUP_INTERVAL, "limit": limit},
    )
    return [Unlisted(*row) for row in rows]


def record_lookup(connection: Connection, unlisted: Unlisted, answer: str, as_of: datetime) -> None:
    """Store the Hub's answer about a name; a disabled repository is marked as disabled."""
    key = {"key": unlisted.model_id, "answer": answer, "as_of": as_of}
    if answer == "disabled":
        connection.execute(
            text("UPDATE store.models SET state = 'disabled' WHERE model_id = :key"), key
        )
    connection.execute(
        text("""
        INSERT INTO store.lookups (model_id, looked_up_at, answer)
        SELECT model_id, :as_of, :answer FROM store.models WHERE model_id = :key
            ON CONFLICT (model_id) DO UPDATE
           SET looked_up_at = excluded.looked_up_at, answer = excluded.answer"""),
        key,
    )
