"""Pages of the listing into the catalog, and the two strategies of doing so."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from registry.catalog import feature_sets, lineage, listing, models
from registry.catalog.facts import effective
from registry.catalog.rows import Entry
from registry.db.connection import prefer_indexes
from registry.enums import SyncKind
from registry.evaluations import hub_scores
from registry.sync import quarantine
from registry.sync import state as sync_state
from registry.sync.batch import RejectedRecord
from registry.sync.page import RecordPage
from registry.sync.state import SyncCounts, SyncState

SOURCE = "hub"

CLOCK_SLACK = timedelta(days=1)
"""How far a change may be dated after its observation before its date is ignored as wrong."""


class StoredPage(NamedTuple):
    """A page whose models are written, what that changed, and the records that it rejected."""

    page: RecordPage
    counts: SyncCounts
    rejected: Sequence[RejectedRecord]


class PageChanges(NamedTuple):
    """The models that a page adds or changes, by key.

    Attributes:
        new: models of which nothing was stored.
        changed: the others.
        orphans: models whose first parent needs to be found again.
        as_of: when they were observed.
    """

    new: Mapping[int, Entry]
    changed: Mapping[int, Entry]
    orphans: Sequence[int]
    as_of: datetime


class Strategy(Protocol):
    """How pages are stored: `Incremental` or `initial_load.InitialLoad`."""

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterable[StoredPage]:
        """Write the models of pages."""
        ...

    def write_lineage(self, connection: Connection, changes: PageChanges) -> int:
        """Write the parents that models state; return how many edges that changed."""
        ...


@dataclass(frozen=True, slots=True)
class Incremental:
    """Compare pages with the catalog, and write what changed with its edges and families."""

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterator[StoredPage]:
        """Write the models of pages, joined as one."""
        yield store_compared(connection, reduce(RecordPage.joined, pages), self, as_of=as_of)

    def write_lineage(self, connection: Connection, changes: PageChanges) -> int:
        """Write the edges of models, and place them in families."""
        return lineage.write_edges(
            connection,
            dict(changes.new),
            dict(changes.changed),
            orphans=changes.orphans,
            as_of=changes.as_of,
        )


def ingest(
    connection: Connection, state: SyncState, pages: Sequence[RecordPage], strategy: Strategy
) -> None:
    """Store pages in the catalog, and move the counts and the watermark of the sync.

    Records that cannot be read go to the quarantine; the rest of the page is stored.

    Args:
        connection: in the transaction of the pages, whose planner options it sets.
        state: of the sync that the pages belong to.
        pages: one at least.
        strategy: how they are stored.
    """
    prefer_indexes(connection)
    for page, counts, rejected in strategy.store(connection, pages, as_of=state.as_of):
        quarantine.add(connection, SOURCE, rejected, as_of=state.as_of)
        counts.quarantined = len(rejected)
        counts.records = page.size
        counts.pages = page.pages
        state.counts.add(counts)
        if state.kind == SyncKind.FULL:
            listed = models.model_ids(connection, [*page.listed, *(each.key for each in rejected)])
            sync_state.remember_page(connection, state.scope, state.counts.pages, listed)
        moments = [moment for moment in page.moments if moment <= state.as_of + CLOCK_SLACK]
        if state.high_water is not None:
            moments.append(state.high_water)
        state.high_water = max(moments, default=None)


def store_compared(
    connection: Connection, page: RecordPage, strategy: Strategy, *, as_of: datetime
) -> StoredPage:
    """Compare a page with the catalog, and write what is new or changed."""
    compared = listing.compare(connection, page.listing_rows, as_of=as_of)
    return write_page(connection, page, compared, strategy, as_of=as_of)


def write_page(
    connection: Connection,
    page: RecordPage,
    compared: listing.PageComparison,
    strategy: Strategy,
    *,
    as_of: datetime,
) -> StoredPage:
    """Write the new and changed models of a page, and all counters.

    Args:
        connection: in the transaction of the page, after `listing.compare`.
        page: the page.
        compared: what is new or changed.
        strategy: writes the lineage.
        as_of: when the page was observed.
    """
    entries, rejected = page.rows(
        name for name in page.listing_rows if name not in compared.unchanged
    )
    new = [entry for entry in entries if entry.name in compared.new]
    changed = [entry for entry in entries if entry.name not in compared.new]
    added = models.add_models(connection, new, as_of=as_of)
    merged = models.merge_models(connection, changed, as_of=as_of)
    counts = SyncCounts(
        new=len(new) + sum(entry.name in compared.stubs for entry in changed),
        changed=sum(entry.name in compared.changed for entry in changed),
        unchanged=len(compared.unchanged),
        partly_read=sum(entry.partly_read for entry in entries),
    )
    if entries or compared.orphans:
        changes = PageChanges(
            {added[entry.name]: entry for entry in new},
            {merged[entry.name]: entry for entry in changed},
            compared.orphans,
            as_of,
        )
        counts.edges_changed = strategy.write_lineage(connection, changes)
        _write_details(connection, changes)
        quarantine.release(connection, SOURCE, [entry.name for entry in entries])
    counts.counters_changed = len(added) + listing.update_counters(
        connection, [name for name in page.listing_rows if name not in added], as_of=as_of
    )
    return StoredPage(page, counts, [*rejected, *page.nameless])


def _write_details(connection: Connection, changes: PageChanges) -> None:
    """Write the features of models, and defer their scores."""
    sets = [entry.features for entry in changes.new.values()]
    feature_sets.add_features(
        connection,
        changes.new,
        [each and each.fingerprint for each in sets],
        {each.fingerprint: each.vector for each in sets if each},
    )
    feature_sets.replace_features(
        connection, {key: entry.features for key, entry in changes.changed.items()}
    )
    effective.spread(connection, [*changes.new, *changes.changed])
    hub_scores.defer_scores(connection, changes.new, changes.changed)
