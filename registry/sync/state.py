"""Where each kind of sync stands: passes over the Hub's listing, kept with what they took in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Literal

import orjson
from sqlalchemy import Connection, text

SyncKind = Literal["delta", "full"]


@dataclass(slots=True, kw_only=True)
class SyncCounts:
    """What a pass has done so far, in models unless said otherwise."""

    pages: int = 0
    records: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    quarantined: int = 0
    partly_read: int = 0
    edges_changed: int = 0
    counters_changed: int = 0
    looked_up: int = 0
    scores_changed: int = 0

    def add(self, other: "SyncCounts") -> None:
        """Add another's counts to these."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True, kw_only=True)
class SyncState:
    """One walk through the listing, newest first: of all models, or of those changed `since`.

    `cursor` is the address of the next page, None at the beginning; `high_water` the newest
    change seen, which becomes the watermark when the pass is complete.
    """

    scope: str
    kind: SyncKind
    as_of: datetime
    since: datetime | None = None
    high_water: datetime | None = None
    cursor: str | None = None
    counts: SyncCounts = field(default_factory=SyncCounts)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a kind of sync: the last complete pass, and the one under way if any."""

    watermark: datetime | None
    swept_models: int | None
    under_way: SyncState | None


def standing(connection: Connection, scope: str, kind: SyncKind) -> Standing:
    """Read where a kind of sync stands."""
    row = connection.execute(
        text("SELECT * FROM store.sync_passes WHERE scope = :scope AND kind = :kind"),
        {"scope": scope, "kind": kind},
    ).one_or_none()
    if row is None:
        return Standing(None, None, None)
    under_way = None
    if row.under_way:
        known = {each.name for each in fields(SyncCounts)}
        counts = {name: value for name, value in (row.summary or {}).items() if name in known}
        under_way = SyncState(
            scope=scope,
            kind=kind,
            as_of=row.as_of,
            since=row.since,
            high_water=row.high_water,
            cursor=row.cursor,
            counts=SyncCounts(**counts),
        )
    return Standing(row.watermark, row.swept_models, under_way)


def save(connection: Connection, walk: SyncState) -> None:
    """Write how far a pass has come, in the transaction of the page that it has taken in."""
    connection.execute(
        text("""
        INSERT INTO store.sync_passes
               (scope, kind, under_way, as_of, since, high_water, cursor, pages, summary)
        VALUES (:scope, :kind, true, :as_of, :since, :high_water, :cursor, :pages,
                cast(:summary AS jsonb))
            ON CONFLICT (scope, kind) DO UPDATE
           SET under_way = true, as_of = excluded.as_of, since = excluded.since,
               high_water = excluded.high_water, cursor = excluded.cursor,
               pages = excluded.pages, summary = excluded.summary"""),
        {
            "scope": walk.scope,
            "kind": walk.kind,
            "as_of": walk.as_of,
            "since": walk.since,
            "high_water": walk.high_water,
            "cursor": walk.cursor,
            "pages": walk.counts.pages,
            "summary": orjson.dumps(asdict(walk.counts)).decode(),
        },
    )


def finish(connection: Connection, walk: SyncState, *, watermark: datetime | None) -> None:
    """Mark a pass as complete; the watermark of its kind never moves back."""
    connection.execute(
        text("""
        INSERT INTO store.sync_passes (scope, kind, pages) VALUES (:scope, :kind, 0)
            ON CONFLICT DO NOTHING"""),
        {"scope": walk.scope, "kind": walk.kind},
    )
    connection.execute(
        text("""
        UPDATE store.sync_passes
           SET under_way = false, cursor = NULL, high_water = NULL, since = NULL,
               watermark = greatest(watermark, :watermark),
               swept_at = CASE WHEN kind = 'full' THEN :as_of ELSE swept_at END,
               swept_models = CASE WHEN kind = 'full' THEN :records ELSE swept_models END
         WHERE scope = :scope AND kind = :kind"""),
        {
            "scope": walk.scope,
            "kind": walk.kind,
            "watermark": watermark,
            "as_of": walk.as_of,
            "records": walk.counts.records,
        },
    )
    if walk.kind == "full":
        forget_sweep(connection, walk.scope)


def abandon(connection: Connection, walk: SyncState) -> None:
    """Give up a pass: the next one of its kind begins anew."""
    connection.execute(
        text(
            "UPDATE store.sync_passes SET under_way = false, cursor = NULL"
            " WHERE scope = :scope AND kind = :kind"
        ),
        {"scope": walk.scope, "kind": walk.kind},
    )
    if walk.kind == "full":
        forget_sweep(connection, walk.scope)


def raise_watermark(connection: Connection, scope: str, watermark: datetime) -> None:
    """Let the next delta start no earlier than this, because a full sweep has seen what was."""
    connection.execute(
        text("""
        INSERT INTO store.sync_passes AS p (scope, kind, watermark)
        VALUES (:scope, 'delta', :watermark)
            ON CONFLICT (scope, kind) DO UPDATE
           SET watermark = greatest(p.watermark, excluded.watermark)"""),
        {"scope": scope, "watermark": watermark},
    )


def remember_page(connection: Connection, scope: str, page: int, model_ids: Sequence[int]) -> None:
    """Keep which models a page of a full sweep held."""
    connection.execute(
        text("""
        INSERT INTO store.sweep_pages (scope, page, model_ids) VALUES (:scope, :page, :ids)
            ON CONFLICT (scope, page) DO UPDATE SET model_ids = excluded.model_ids"""),
        {"scope": scope, "page": page, "ids": list(model_ids)},
    )


def forget_sweep(connection: Connection, scope: str) -> None:
    """Drop what is kept of the pages of a full sweep."""
    connection.execute(text("DELETE FROM store.sweep_pages WHERE scope = :scope"), {"scope": scope})
