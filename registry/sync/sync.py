"""Sync of the catalog with the Hub's listing, in transactions of a few pages.

A delta reads the listing by last change, down to the watermark of the last one. A full sweep reads
all of it by creation, and so finds models that have vanished. Killed at any point, the next sync
resumes at the page after the last stored one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Literal

from sqlalchemy import Connection, Engine

from registry.catalog import families, indexes, merge, models
from registry.db.jobs import Lock, job
from registry.embeddings.refresh import refresh_vectors
from registry.enums import SyncKind
from registry.errors import CursorExpiredError, HubError, HubUnavailableError, UsageError
from registry.hub.client import Hub
from registry.prediction.scores.refresh import refresh_predictions
from registry.sync import ingest, initial_load, tombstones
from registry.sync import state as sync_state
from registry.sync.crawl import Crawler
from registry.sync.finish import import_scores, tidy
from registry.sync.options import SyncOptions
from registry.sync.page import read
from registry.sync.readers import LoadKeys
from registry.sync.state import SyncCounts, SyncState
from registry.workers import Progress, infrequent_gc, no_progress

__all__ = ["SyncOptions", "SyncReport", "sync_models"]

_log = logging.getLogger(__name__)

SWEEP_SLACK = timedelta(hours=1)
"""How far the Hub's clock and ours may differ where a full sweep raises the delta's watermark."""

MAX_RESTARTS = 3
"""How often one sync starts from the beginning because the Hub has forgotten the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """Result of a sync.

    Attributes:
        kind: delta or full; file where the records came from one.
        counts: what changed.
        complete: False where a limit ended it early.
        resumed: whether it resumed an unfinished sync, whose counts are included.
        dry_run: whether nothing was changed.
        watermark: of the next delta.
        vectors: a sentence for people about the vectors of the models that it brought; None where
            there is nothing to say.
        predictions: likewise about their predicted scores.
        notes: sentences about the records of a file.
    """

    kind: SyncKind | Literal["file"]
    counts: SyncCounts
    complete: bool
    resumed: bool
    dry_run: bool
    watermark: datetime | None
    vectors: str | None = None
    predictions: str | None = None
    notes: Sequence[str] = ()


def sync_models(
    engine: Engine,
    options: SyncOptions,
    *,
    source: Hub | None = None,
    on_progress: Progress = no_progress,
) -> SyncReport:
    """Bring the catalog up to date with the Hub.

    An unfinished sync that goes back at least as far as requested is resumed, whatever `since`
    says. At the end the models that it brought get vectors and predicted scores, of the current
    versions.

    Args:
        engine: of a database at head.
        options: what to sync.
        source: the Hub; by default the one that HF_ENDPOINT names.
        on_progress: receives the counts after each transaction.

    Raises:
        UsageError: when a full sweep is given a moment (since).
        LockHeldError: when another sync is running.
        HubUnavailableError: when the Hub cannot be reached or limits the rate for too long.
        HubError: when the Hub's reply is invalid; the pages before it stay stored.
        RegistryError: when the database fails; the pages of its transaction are undone.
    """
    source = source or Hub()
    if options.full and options.since is not None:
        raise UsageError("A full sweep reads the whole listing: it takes no moment (since).")
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
    if options.dry_run:
        return report
    return refreshed(engine, report)


def refreshed(engine: Engine, report: SyncReport) -> SyncReport:
    """Give the models that a sync brought vectors and predicted scores; say so in the report.

    Args:
        engine: of a database at head.
        report: of a sync that changed the database.
    """
    counts = report.counts
    moved = counts.new + counts.changed + counts.looked_up + counts.edges_changed
    # Whether scores changed is found by comparing all of them.
    predicted = refresh_predictions(engine) if moved + counts.scores_changed else None
    return replace(report, vectors=refresh_vectors(engine), predictions=predicted)


def _run(engine: Engine, source: Hub, options: SyncOptions, on_progress: Progress) -> SyncReport:
    scope, kind = _scope(source, options), _kind(options)
    with engine.connect() as connection:
        with connection.begin():
            before = sync_state.load(connection, scope, kind)
        state = _begin(before, scope, kind, options)
        initial = not options.dry_run and begin_load(engine, connection)
        keys = load_keys(connection, options, state)
        with Crawler(source, state, options, keys if initial else None) as crawler:
            undone = store_pages(
                connection,
                crawler,
                state,
                initial_load.InitialLoad() if initial else ingest.Incremental(),
                dry_run=options.dry_run,
                on_progress=partial(
                    report_counts, on_progress, options.limit or before.swept_models
                ),
            )
        # Before the sync is finished: a run that is killed in here does it again.
        if not options.dry_run:
            tidy(engine, connection, state)
        if state.ended:
            _finish(connection, state, options, before, undone)
        complete = state.ended
        if complete and not options.dry_run:
            _look_up(connection, source, state, options)
        if options.evaluations and not options.dry_run:
            import_scores(engine, connection, state)
        with connection.begin():
            watermark = sync_state.load(connection, scope, SyncKind.DELTA).watermark
    return SyncReport(
        kind=kind,
        counts=state.counts,
        complete=complete,
        resumed=state is before.unfinished,
        dry_run=options.dry_run,
        watermark=watermark,
    )


def begin_load(engine: Engine, connection: Connection) -> bool:
    """Drop the indexes of an empty catalog; return whether its initial load is under way."""
    with connection.begin():
        initial = initial_load.under_way(connection)
        indexes.drop_before_load(connection)
    if not initial:
        # An initial load that was killed at its very end has left indexes to be built.
        indexes.build_missing(engine)
    return initial


def load_keys(connection: Connection, options: SyncOptions, state: SyncState) -> LoadKeys:
    """Return the keys of new models for an initial load, which are drawn when they are needed."""
    return LoadKeys(partial(_new_keys, connection, options.page_size), state.as_of)


def _new_keys(connection: Connection, count: int) -> list[int]:
    with connection.begin():
        return models.new_keys(connection, count)


@infrequent_gc()
def store_pages(
    connection: Connection,
    crawler: Crawler,
    state: SyncState,
    strategy: ingest.Strategy,
    *,
    dry_run: bool,
    on_progress: Callable[[SyncCounts], None],
    save: Callable[[Connection, SyncState], None] = sync_state.save,
) -> dict[int, list[int]]:
    """Store the groups of a crawl, each in a transaction of its own with the state after it.

    Args:
        connection: between transactions.
        crawler: of the pages.
        state: of the sync.
        strategy: how they are stored.
        dry_run: undo each transaction.
        on_progress: receives the counts after each.
        save: stores the state, so that the next sync resumes there.

    Returns:
        The models of each page, in a dry run, where the pages themselves are undone.
    """
    undone: dict[int, list[int]] = {}
    for restarts in count():
        try:
            for group in crawler.groups():
                with connection.begin() as transaction:
                    ingest.ingest(connection, state, group.pages, strategy)
                    state.cursor = group.cursor
                    if dry_run:
                        listed = [name for page in group.pages for name in page.listed]
                        undone[state.counts.pages] = models.model_ids(connection, listed)
                        transaction.rollback()
                    else:
                        save(connection, state)
                on_progress(state.counts)
            break
        except CursorExpiredError:
            if restarts == MAX_RESTARTS:
                raise
            # The lost pages are in the catalog: reading them again costs little.
            undone.clear()
            with connection.begin() as transaction:
                sync_state.restart(connection, state)
                if dry_run:
                    transaction.rollback()
    return undone


def report_counts(on_progress: Progress, expected: int | None, counts: SyncCounts) -> None:
    """Report the counts of a sync as its progress."""
    on_progress(
        f"{counts.new:,} new, {counts.changed:,} changed, {counts.quarantined:,} quarantined",
        counts.records,
        expected or 0,
    )


def _kind(options: SyncOptions) -> SyncKind:
    return SyncKind.FULL if options.full else SyncKind.DELTA


def _scope(source: Hub, options: SyncOptions) -> str:
    parts = [source.endpoint]
    if options.author:
        parts.append(f"author={options.author}")
    parts += [f"filter={each}" for each in sorted(options.filters)]
    return " ".join(parts)


def _begin(
    before: sync_state.StoredState, scope: str, kind: SyncKind, options: SyncOptions
) -> SyncState:
    """Return the unfinished sync, unless it does not go back as far as requested, or a new one."""
    unfinished = before.unfinished
    if unfinished is not None and not options.dry_run:
        covers = unfinished.since is None or (
            options.since is not None and unfinished.since <= options.since
        )
        if options.since is None or covers:
            return unfinished
    since = None if kind == SyncKind.FULL else options.since or before.watermark
    as_of = options.as_of or datetime.now(UTC)
    return SyncState(scope=scope, kind=kind, as_of=as_of, since=since)


def _finish(
    connection: Connection,
    state: SyncState,
    options: SyncOptions,
    before: sync_state.StoredState,
    undone: dict[int, list[int]],
) -> None:
    """Finish a complete sync; after a full sweep, mark the models that it did not find as gone."""
    # A sync that began above the watermark has left a gap: the next delta has to read it.
    whole = state.since is None or (
        before.watermark is not None and state.since <= before.watermark
    )
    try:
        with connection.begin() as transaction:
            if state.kind == SyncKind.FULL:
                _mark_gone(connection, state, options, undone)
                sync_state.raise_watermark(connection, state.scope, state.as_of - SWEEP_SLACK)
            moves = state.kind == SyncKind.DELTA and whole
            sync_state.finish(connection, state, watermark=state.high_water if moves else None)
            if options.dry_run:
                transaction.rollback()
    except HubError:
        # A sweep that is not accepted is not resumed: the next one reads everything again.
        if not options.dry_run:
            with connection.begin():
                sync_state.abandon(connection, state)
        raise


def _mark_gone(
    connection: Connection, state: SyncState, options: SyncOptions, undone: dict[int, list[int]]
) -> None:
    for page, ids in undone.items():
        sync_state.remember_page(connection, state.scope, page, ids)
    # A model that lost the requested tag is no longer listed under it, but not gone.
    if not options.filters:
        state.counts.gone += tombstones.mark_gone(
            connection,
            state.scope,
            author=options.author,
            as_of=state.as_of,
            accept=options.accept_gone,
        )


def _look_up(connection: Connection, source: Hub, state: SyncState, options: SyncOptions) -> None:
    """Ask the Hub about names that no listing shows: renamed, disabled, or gone."""
    with connection.begin():
        unlisted = tombstones.to_look_up(connection, as_of=state.as_of, limit=options.lookups)
    for each in unlisted:
        try:
            answer = source.lookup(each.name)
        except HubUnavailableError as error:
            # The sync itself is complete; the next one asks about the rest.
            _log.warning("Stopped looking up unlisted names: %s", error)
            return
        with connection.begin():
            if isinstance(answer.record, dict):
                extra = SyncState(scope=state.scope, kind=SyncKind.DELTA, as_of=state.as_of)
                ingest.ingest(connection, extra, [read([answer.record])], ingest.Incremental())
                orphans = merge.merge_renamed_stub(
                    connection, each.model_id, answer.name, as_of=state.as_of
                )
                families.refresh_families(connection, orphans)
            tombstones.record_lookup(connection, each, answer.state, state.as_of)
        state.counts.looked_up += 1
