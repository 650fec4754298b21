"""One page of the listing into the catalog."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from registry.catalog import feature_sets, listing, models
from registry.catalog.rows import Entry
from registry.evaluations import hub_scores
from registry.sync import quarantine
from registry.sync import state as sync_state
from registry.sync.page import Page, RecordPage, RejectedRecord
from registry.sync.state import SyncCounts, SyncState

SOURCE = "hub"

CLOCK_SLACK = timedelta(days=1)
"""How much later than the observation a change may be dated before its date is held to be wrong."""


class LineageWriter(Protocol):
    """What is done about the parents that the models of a page state."""

    def __call__(
        self,
        connection: Connection,
        fresh: dict[int, Entry],
        known: dict[int, Entry],
        *,
        orphans: Iterable[int],
        as_of: datetime,
    ) -> int:
        """Take the parents of models by key; return how many edges that changed."""
        ...


def take_in(
    connection: Connection, walk: SyncState, reading: RecordPage, write_lineage: LineageWriter
) -> None:
    """Take one page into the catalog, in the connection's transaction.

    Args:
        connection: in a transaction.
        walk: the pass that the page belongs to.
        reading: the page.
        write_lineage: `lineage.write_edges`, or `first_load.set_aside`.

    The pass's counts and high water move with it. A record that cannot be read goes to quarantine;
    the rest of the page lands.
    """
    compared = listing.compare(connection, reading.listing_rows, as_of=walk.as_of)
    take_compared(connection, walk, reading, compared, write_lineage)


def take_compared(
    connection: Connection,
    walk: SyncState,
    reading: RecordPage,
    compared: listing.PageComparison,
    write_lineage: LineageWriter,
) -> None:
    """Take in one page that was compared with what is known; otherwise as `take_in`."""
    wanted = [name for name in reading.listing_rows if name not in compared.unchanged]
    entries, refusals = reading.entries(wanted)
    refusals += reading.nameless
    counts = write(connection, walk, reading, compared, entries, write_lineage)
    counts.unchanged = len(compared.unchanged)
    account(connection, walk, reading, refusals, counts)


def account(
    connection: Connection,
    walk: SyncState,
    page: Page,
    refusals: Sequence[RejectedRecord],
    counts: SyncCounts,
) -> None:
    """Note what became of a page whose models are written, and move the pass on.

    Args:
        connection: in the page's transaction.
        walk: the pass that the page belongs to.
        page: the page.
        refusals: what cannot be read of it.
        counts: what was written of it.
    """
    quarantine.put_in(connection, SOURCE, refusals, as_of=walk.as_of)
    counts.quarantined = len(refusals)
    counts.records = page.size
    counts.pages = page.pages
    walk.counts.add(counts)
    if walk.kind == "full":
        listed = models.model_ids(
            connection, [*page.listed, *(refused.key for refused in refusals)]
        )
        sync_state.remember_page(connection, walk.scope, walk.counts.pages, listed)
    seen = [moment for moment in page.moments if moment <= walk.as_of + CLOCK_SLACK]
    if walk.high_water is not None:
        seen.append(walk.high_water)
    walk.high_water = max(seen, default=None)


def write(  # noqa: PLR0917 - what take_in has found out
    connection: Connection,
    walk: SyncState,
    reading: RecordPage,
    compared: listing.PageComparison,
    entries: list[Entry],
    write_lineage: LineageWriter,
) -> SyncCounts:
    """Write what is new or changed, and everybody's counters."""
    fresh = [entry for entry in entries if entry.name in compared.fresh]
    known = [entry for entry in entries if entry.name not in compared.fresh]
    added = models.add_models(connection, fresh, as_of=walk.as_of)
    merged = models.merge_models(connection, known, as_of=walk.as_of)
    counts = SyncCounts(
        new=len(fresh) + sum(entry.name in compared.stubs for entry in known),
        changed=sum(entry.name in compared.changed for entry in known),
        partly_read=sum(entry.partly_read for entry in entries),
    )
    if entries or compared.orphans:
        new = {added[entry.name]: entry for entry in fresh}
        others = {merged[entry.name]: entry for entry in known}
        counts.edges_changed = write_lineage(
            connection, new, others, orphans=compared.orphans, as_of=walk.as_of
        )
        described = [entry.features for entry in fresh]
        feature_sets.add_features(
            connection,
            new,
            [each and each.fingerprint for each in described],
            {each.fingerprint: each.vector for each in described if each},
        )
        feature_sets.replace_features(
            connection, {key: entry.features for key, entry in others.items()}
        )
        hub_scores.set_aside(connection, new, others)
        quarantine.release(connection, SOURCE, [entry.name for entry in entries])
    counts.counters_changed = len(added) + listing.update_counters(
        connection, [name for name in reading.listing_rows if name not in added], as_of=walk.as_of
    )
    return counts
