"""Cursor, watermark and counts of a sync, stored with the pages that they count."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

from registry.enums import SyncKind

ENDED = ""
"""The cursor of a sync that has read the listing to its end, but is not finished yet."""


@dataclass(slots=True, kw_only=True)
class SyncCounts:
    """What a sync has done so far, in models unless the name says otherwise."""

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
    """One crawl of the listing, newest first: of all models, or of those changed `since`.

    `cursor` is the address of the next page, None at the beginning; `high_water` the newest
    change read, which becomes the watermark when the crawl is complete.
    """

    scope: str
    kind: SyncKind
    as_of: datetime
    since: datetime | None = None
    high_water: datetime | None = None
    cursor: str | None = None
    counts: SyncCounts = field(default_factory=SyncCounts)

    @property
    def ended(self) -> bool:
        """Whether the listing is read to its end."""
        return self.cursor == ENDED


@dataclass(frozen=True, slots=True)
class StoredState:
    """A kind of sync in the database: its last complete sync, and its unfinished one if any."""

    watermark: datetime | None
    swept_models: int | None
    unfinished: SyncState | None


def load(connection: Connection, scope: str, kind: SyncKind) -> StoredState:
    """Read the stored state of a kind of sync."""
    row = connection.execute(
        text("SELECT * FROM store.sync_passes WHERE scope = :scope AND kind = :kind"),
        {"scope": scope, "kind": kind},
    ).one_or_none()
    if row is None:
        return StoredState(None, None, None)
    unfinished = None
    if row.under_way:
        names = {each.name for each in fields(SyncCounts)}
        counts = {name: value for name, value in (row.summary or {}).items() if name in names}
        unfinished = SyncState(
            scope=scope,
            kind=kind,
            as_of=row.as_of,
            since=row.since,
            high_water=row.high_water,
            cursor=row.cursor,
            counts=SyncCounts(**counts),
        )
    return StoredState(row.watermark, row.swept_models, unfinished)


def save(connection: Connection, state: SyncState) -> None:
    """Store the state of a sync, in the transaction of the pages that it counts."""
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
            "scope": state.scope,
            "kind": state.kind,
            "as_of": state.as_of,
            "since": state.since,
            "high_water": state.high_water,
            "cursor": state.cursor,
            "pages": state.counts.pages,
            "summary": orjson.dumps(asdict(state.counts)).decode(),
        },
    )


def restart(connection: Connection, state: SyncState) -> None:
    """Start the crawl of a sync from the beginning; what it has stored stays in the catalog."""
    state.cursor = None
    state.counts.records = state.counts.pages = 0
    if state.kind == SyncKind.FULL:
        forget_sweep(connection, state.scope)


def finish(connection: Connection, state: SyncState, *, watermark: datetime | None) -> None:
    """Mark a sync as complete; the watermark of its kind never moves back."""
    connection.execute(
        text("""
        INSERT INTO store.sync_passes (scope, kind, pages) VALUES (:scope, :kind, 0)
            ON CONFLICT DO NOTHING"""),
        {"scope": state.scope, "kind": state.kind},
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
            "scope": state.scope,
            "kind": state.kind,
            "watermark": watermark,
            "as_of": state.as_of,
            "records": state.counts.records,
        },
    )
    if state.kind == SyncKind.FULL:
        forget_sweep(connection, state.scope)


def abandon(connection: Connection, state: SyncState) -> None:
    """Discard an unfinished sync: the next one of its kind starts from the beginning."""
    connection.execute(
        text(
            "UPDATE store.sync_passes SET under_way = false, cursor = NULL"
            " WHERE scope = :scope AND kind = :kind"
        ),
        {"scope": state.scope, "kind": state.kind},
    )
    if state.kind == SyncKind.FULL:
        forget_sweep(connection, state.scope)


def raise_watermark(connection: Connection, scope: str, watermark: datetime) -> None:
    """Raise the watermark of deltas to a moment up to which a full sweep has read everything."""
    connection.execute(
        text("""
        INSERT INTO store.sync_passes AS p (scope, kind, watermark)
        VALUES (:scope, 'delta', :watermark)
            ON CONFLICT (scope, kind) DO UPDATE
           SET watermark = greatest(p.watermark, excluded.watermark)"""),
        {"scope": scope, "watermark": watermark},
    )


def remember_page(connection: Connection, scope: str, page: int, model_ids: Sequence[int]) -> None:
    """Store the models of a page of a full sweep."""
    connection.execute(
        text("""
        INSERT INTO store.sweep_pages (scope, page, model_ids) VALUES (:scope, :page, :ids)
            ON CONFLICT (scope, page) DO UPDATE SET model_ids = excluded.model_ids"""),
        {"scope": scope, "page": page, "ids": list(model_ids)},
    )


def forget_sweep(connection: Connection, scope: str) -> None:
    """Delete the stored pages of a full sweep."""
    connection.execute(text("DELETE FROM store.sweep_pages WHERE scope = :scope"), {"scope": scope})
