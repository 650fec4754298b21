"""Sync of the catalog from a file of records, as from the Hub's listing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from registry.catalog import listing
from registry.catalog.rows import Entry, model_field
from registry.coerce import timestamp
from registry.db.jobs import Lock, job
from registry.enums import SyncKind
from registry.errors import HubError
from registry.hub.parents import model_name
from registry.sync import ingest, initial_load, quarantine, tombstones
from registry.sync import state as sync_state
from registry.sync.crawl import Crawler
from registry.sync.finish import import_scores, tidy
from registry.sync.options import SyncOptions
from registry.sync.page import RecordPage
from registry.sync.record_file import DayPages, RecordFile
from registry.sync.state import SyncCounts, SyncState
from registry.sync.sync import (
    SyncReport,
    begin_load,
    load_keys,
    refreshed,
    report_counts,
    store_pages,
)
from registry.workers import Progress, no_progress

_SCOPE = "file"


def sync_file(
    engine: Engine,
    options: SyncOptions,
    path: Path,
    *,
    date_column: str | None = None,
    on_progress: Progress = no_progress,
) -> SyncReport:
    """Bring the catalog up to date with the records of a file.

    The result is that of a sync of the same records. No cursor and no watermark moves: the next
    sync of the Hub reads what it would have read. No record replaces a newer one. Stopped at any
    moment, the same call stores the rest. With `full`, the file is the whole listing: models that
    it lacks are marked as gone, but for those that changed later.

    Args:
        engine: of a database at head.
        options: `full`, `accept_gone`, `as_of`, `dry_run`, `evaluations` and `page_size` apply.
        path: JSON lines (.gz too) or Parquet.
        date_column: field that says when a record was observed, instead of `as_of`.
        on_progress: receives the counts after each transaction.

    Raises:
        UsageError: when there is no such file, or it has no such field.
        HubError: when much of the catalog would be gone, or lines of a whole listing are no record
            with a name; what the file has is stored then.
        UnreadableFileError: when it cannot be read to its end; nothing is stored then.
        LockHeldError: when a sync is running.
        RegistryError: when the database fails; the pages of its transaction are undone.
    """
    with (
        job(
            engine,
            "sync",
            lock=Lock.CATALOG,
            doing="sync",
            dry_run=options.dry_run,
            kind=_SCOPE,
            file=str(path),
        ) as run,
        RecordFile(path, date_column) as file,
    ):
        counts = _run(engine, options, file, on_progress)
        run.summary |= {"complete": True, "resumed": False, **asdict(counts)}
    report = SyncReport(
        kind="file",
        counts=counts,
        complete=True,
        resumed=False,
        dry_run=options.dry_run,
        watermark=None,
        notes=_notes(file),
    )
    return report if options.dry_run else refreshed(engine, report)


def _notes(file: RecordFile) -> list[str]:
    sentence = (
        f"{file.repeated:,} records are of models that the file has more than once for a day; the "
        "one that was modified last counts."
    )
    return [sentence] if file.repeated else []


def _run(
    engine: Engine, options: SyncOptions, file: RecordFile, on_progress: Progress
) -> SyncCounts:
    now = options.as_of or datetime.now(UTC)
    expected = sum(file.size(day) for day in file.days)
    # What is written is looked for from the first day on.
    whole = SyncState(scope=_SCOPE, kind=SyncKind.DELTA, as_of=file.days[0] or now)
    listed: set[str] = set()
    with engine.connect() as connection:
        for day in file.days:
            initial = not options.dry_run and begin_load(engine, connection)
            state = replace(whole, as_of=day or now, counts=SyncCounts(), cursor=None)
            pages = file.source(day, options.page_size)
            keys = load_keys(connection, options, state) if initial else None
            strategy = initial_load.InitialLoad() if initial else _Records()
            with Crawler(pages, state, options, keys) as crawler:
                store_pages(
                    connection,
                    crawler,
                    state,
                    _Located(strategy, pages, listed if options.full else None),
                    dry_run=options.dry_run,
                    on_progress=partial(_report, on_progress, expected, whole.counts),
                    save=_save_nothing,
                )
            whole.counts.add(state.counts)
            if initial:
                tidy(engine, connection, whole)
        if options.full:
            listed.update(each.key for each in file.rejected)
            _mark_gone(connection, whole, options, listed)
        whole.counts.quarantined += len(file.rejected)
        if options.dry_run:
            return whole.counts
        with connection.begin():
            quarantine.add(connection, ingest.SOURCE, file.rejected, as_of=now)
        tidy(engine, connection, whole)
        if options.evaluations:
            import_scores(engine, connection, whole)
    return whole.counts


def _mark_gone(
    connection: Connection, state: SyncState, options: SyncOptions, listed: Collection[str]
) -> None:
    """Mark as gone the models that a whole listing lacks, by present and former names."""
    nameless = [key for key in listed if model_name(key) is None]
    if nameless:
        raise HubError(
            f"{len(nameless):,} lines of the file are no record with a name, and may be of any "
            "model: none was marked as gone. The other lines are stored. Correct the file, or read "
            "it without --full."
        )
    with connection.begin() as transaction:
        found = connection.scalars(
            text("""
            SELECT m.model_id FROM store.models m WHERE m.name = ANY (:names)
             UNION
            SELECT a.model_id FROM store.model_aliases a WHERE a.alias = ANY (:names)"""),
            {"names": list(listed)},
        ).all()
        sync_state.remember_page(connection, _SCOPE, 1, found)
        state.counts.gone += tombstones.mark_gone(
            connection, _SCOPE, author=None, as_of=state.as_of, accept=options.accept_gone
        )
        sync_state.forget_sweep(connection, _SCOPE)
        if options.dry_run:
            transaction.rollback()


def _report(on_progress: Progress, expected: int, before: SyncCounts, counts: SyncCounts) -> None:
    both = SyncCounts()
    both.add(before)
    both.add(counts)
    report_counts(on_progress, expected, both)


def _save_nothing(connection: Connection, state: SyncState) -> None:
    """Leave no cursor: what is stored already costs little to read again."""


@dataclass(frozen=True, slots=True)
class _Located:
    """A strategy whose rejected records name their lines, and that keeps the names of all."""

    strategy: ingest.Strategy
    source: DayPages
    listed: set[str] | None = None

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterator[ingest.StoredPage]:
        """Write the models of pages."""
        urls = [page.url for page in pages]
        if self.listed is not None:
            self.listed.update(*(page.listed for page in pages))
        for stored in self.strategy.store(connection, pages, as_of=as_of):
            if self.listed is not None:
                self.listed.update(each.key for each in stored.rejected)
            yield stored._replace(rejected=self.source.located(urls, stored.rejected))

    def write_lineage(self, connection: Connection, changes: ingest.PageChanges) -> int:
        """Write the parents that models state."""
        return self.strategy.write_lineage(connection, changes)


@dataclass(frozen=True, slots=True)
class _Records(ingest.Incremental):
    """Store pages as `Incremental` does, but let no record replace a newer one."""

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterator[ingest.StoredPage]:
        """Write the models of pages, joined as one."""
        page = reduce(RecordPage.joined, pages)
        # The catalog knows these models by later names.
        former = listing.former_names(connection, list(page.listed), as_of=as_of)
        for name in former:
            del page.listing_rows[name]
        compared = listing.compare(connection, page.listing_rows, as_of=as_of)
        past = listing.add_past_counters(connection, as_of=as_of)
        older = _older(connection, page, compared.changed, as_of)
        page.listing_rows = {
            name: row for name, row in page.listing_rows.items() if name not in past
        }
        kept = replace(
            compared,
            changed=compared.changed - older.union(past),
            unchanged=compared.unchanged.union(older, past, former),
        )
        yield ingest.write_page(connection, page, kept, self, as_of=as_of)


def _older(
    connection: Connection, page: RecordPage, names: Collection[str], as_of: datetime
) -> frozenset[str]:
    """Return the models of which the catalog has a newer record, or one with more in it."""
    older = set()
    for stored in listing.stored_records(connection, list(names)):
        entry = page.row(stored.name)
        if not isinstance(entry, Entry):
            continue
        modified = timestamp(model_field(entry.model, "last_modified"))
        newer = stored.last_modified is not None and (
            modified is None or modified < stored.last_modified
        )
        # Lists of counters alone have no tags; the Hub's records have some.
        fuller = stored.has_tags and model_field(entry.model, "tags") == "{}"
        if newer or fuller or stored.observed_at > as_of:
            older.add(stored.name)
    return frozenset(older)
