"""The sync: from the Hub's listing to the catalog, one page and one transaction at a time.

A delta reads the listing by last change down to the watermark of the last one; a full sweep reads
all of it by creation, and so finds what vanished. Killed at any point, the next run goes on at
the page that it was on.
"""

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine

from registry.catalog import families, indexes, lineage, merge
from registry.db.connection import prefer_indexes
from registry.db.jobs import Lock, job
from registry.errors import HubError, HubUnavailableError, UsageError
from registry.hub.client import Hub
from registry.sync import ingest, initial_load, tombstones
from registry.sync import state as sync_state
from registry.sync.crawl import SyncOptions, Walker
from registry.sync.finish import take_up_scores, tidy
from registry.sync.page import read
from registry.sync.state import SyncCounts, SyncState
from registry.workers import Progress, no_progress

__all__ = ["SyncOptions", "SyncReport", "sync_models"]

_log = logging.getLogger(__name__)

SWEEP_SLACK = timedelta(hours=1)
"""How far the Hub's clock and ours may differ when a full sweep moves the delta's watermark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did.

    `complete` is False where a limit ended it early; `resumed` tells that it went on with a pass
    that an earlier run had begun, whose counts are included.
    """

    kind: sync_state.SyncKind
    counts: SyncCounts
    complete: bool
    resumed: bool
    dry_run: bool
    watermark: datetime | None


def sync_models(
    engine: Engine,
    options: SyncOptions,
    *,
    source: Hub | None = None,
    on_progress: Progress = no_progress,
) -> SyncReport:
    """Bring the catalog up to date with the Hub.

    A pass under way that goes back at least as far as asked for is gone on with, whatever `since`
    says; the report tells so.

    Args:
        engine: of a database at head.
        options: what to sync.
        source: the Hub to ask; by default the one that HF_ENDPOINT names.
        on_progress: receives the counts after each transaction.

    Raises:
        UsageError: when a full sweep is to go back to some moment only.
        LockHeldError: when another sync is running.
        HubUnavailableError: when the Hub cannot be reached or limits the rate for too long.
        HubError: when the Hub's answer makes no sense; what was taken in before stays.
        RegistryError: when the database fails; the page under way is undone.
    """
    source = source or Hub()
    if options.full and options.since is not None:
        raise UsageError("A full sweep reads the whole listing: it goes without a moment (since).")
    with job(
        engine,
        "sync",
        lock=Lock.CATALOG,
        doing="sync",
        dry_run=options.dry_run,
        kind=_kind(options),
    ) as run:
        report = _run(engine, source, options, on_progress)
        run.summary |= {
            "complete": report.complete,
            "resumed": report.resumed,
            **asdict(report.counts),
        }
        return report


def _run(engine: Engine, source: Hub, options: SyncOptions, on_progress: Progress) -> SyncReport:
    scope, kind = _scope(source, options), _kind(options)
    with engine.connect() as connection:
        with connection.begin():
            before = sync_state.standing(connection, scope, kind)
        walk = _begin(before, scope, kind, options)
        walker = Walker(connection, source, walk, options, on_progress)
        walker.expected = options.limit or before.swept_models
        if not options.dry_run:
            with connection.begin():
                walker.first = initial_load.under_way(connection)
                indexes.drop_before_load(connection)
            if not walker.first:
                # A first load that was killed at its very end has left some to be built.
                indexes.build_missing(engine)
        complete = walker.walk_to_end()
        # Before the pass is closed: a run that is killed in here does it again.
        if not options.dry_run:
            tidy(engine, connection, walk)
        if complete:
            _finish(connection, walk, options, before, walker.undone)
        if complete and not options.dry_run:
            _look_up(connection, source, walk, options)
        if options.evaluations and not options.dry_run:
            take_up_scores(engine, connection, walk)
        with connection.begin():
            watermark = sync_state.standing(connection, scope, "delta").watermark
    return SyncReport(
        kind=kind,
        counts=walk.counts,
        complete=complete,
        resumed=walk is before.under_way,
        dry_run=options.dry_run,
        watermark=watermark,
    )


def _kind(options: SyncOptions) -> sync_state.SyncKind:
    return "full" if options.full else "delta"


def _scope(source: Hub, options: SyncOptions) -> str:
    parts = [source.endpoint]
    if options.author:
        parts.append(f"author={options.author}")
    parts += [f"filter={each}" for each in sorted(options.filters)]
    return " ".join(parts)


def _begin(
    before: sync_state.Standing, scope: str, kind: sync_state.SyncKind, options: SyncOptions
) -> SyncState:
    """Go on with the pass under way, unless it does not go back as far as is asked for."""
    under_way = before.under_way
    if under_way is not None and not options.dry_run:
        covers = under_way.since is None or (
            options.since is not None and under_way.since <= options.since
        )
        if options.since is None or covers:
            return under_way
    since = None if kind == "full" else options.since or before.watermark
    as_of = options.as_of or datetime.now(UTC)
    return SyncState(scope=scope, kind=kind, as_of=as_of, since=since)


def _finish(
    connection: Connection,
    walk: SyncState,
    options: SyncOptions,
    before: sync_state.Standing,
    undone: dict[int, list[int]],
) -> None:
    """Close a complete pass; after a full sweep, mark what it did not find as gone."""
    # A pass that began above the watermark has left a gap: the next delta has to read it.
    whole = walk.since is None or (before.watermark is not None and walk.since <= before.watermark)
    try:
        with connection.begin() as transaction:
            if walk.kind == "full":
                _mark_gone(connection, walk, options, undone)
                sync_state.raise_watermark(connection, walk.scope, walk.as_of - SWEEP_SLACK)
            moves = walk.kind == "delta" and whole
            sync_state.finish(connection, walk, watermark=walk.high_water if moves else None)
            if options.dry_run:
                transaction.rollback()
    except HubError:
        # A sweep that is not believed is not gone on with: the next one reads everything again.
        if not options.dry_run:
            with connection.begin():
                sync_state.abandon(connection, walk)
        raise


def _mark_gone(
    connection: Connection, walk: SyncState, options: SyncOptions, undone: dict[int, list[int]]
) -> None:
    for page, ids in undone.items():
        sync_state.remember_page(connection, walk.scope, page, ids)
    # A model that lost the tag asked for is not listed under it any more, and not gone either.
    if not options.filters:
        walk.counts.gone += tombstones.mark_gone(
            connection,
            walk.scope,
            author=options.author,
            as_of=walk.as_of,
            accept=options.accept_gone,
        )


def _look_up(connection: Connection, source: Hub, walk: SyncState, options: SyncOptions) -> None:
    """Ask the Hub about names that no listing shows: renamed, disabled, or gone."""
    with connection.begin():
        unlisted = tombstones.to_look_up(connection, as_of=walk.as_of, limit=options.lookups)
    for each in unlisted:
        try:
            found = source.lookup(each.name)
        except HubUnavailableError as error:
            # The pass itself is complete; the next one asks about the rest.
            _log.warning("Stopped looking up unlisted names: %s", error)
            return
        with connection.begin():
            prefer_indexes(connection)
            if isinstance(found.record, dict):
                extra = SyncState(scope=walk.scope, kind="delta", as_of=walk.as_of)
                ingest.take_in(connection, extra, read([found.record]), lineage.write_edges)
                orphans = merge.merge_renamed_stub(
                    connection, each.model_id, found.name, as_of=walk.as_of
                )
                families.refresh_families(connection, orphans)
            tombstones.note_answer(connection, each, found.state, walk.as_of)
        walk.counts.looked_up += 1
