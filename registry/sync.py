"""The sync: from the Hub's listing to the catalog, one page and one transaction at a time.

A delta reads the listing by last change down to the watermark of the last one; a full sweep reads
all of it by creation, and so finds what vanished. Killed at any point, the next run goes on at
the page that it was on.
"""

import gc
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import (
    catalog,
    families,
    feature_store,
    first_load,
    hub_scores,
    identity,
    indexes,
    intake,
    item_statistics,
    joblog,
    lineage,
    passes,
    resolution,
    runs,
    vanished,
)
from registry.db import exclusive, require_head, translated
from registry.errors import CursorExpiredError, HubError, HubUnavailableError, LockHeldError
from registry.hub import Hub, ListingQuery
from registry.pages import Pages
from registry.passes import Counts, Pass
from registry.readers import Readers
from registry.reading import Reading, read

_log = logging.getLogger(__name__)

SWEEP_SLACK = timedelta(hours=1)
"""How far the Hub's clock and ours may differ when a full sweep moves the delta's watermark."""

EVALUATIONS = "evals import"
"""The lock of whoever writes evaluations."""

ENDED = ""
"""The cursor of a pass that has read the listing to its end, but is not closed yet."""

READ_BESIDE_FROM = 1000
"""Records after which pages of mostly new ones are read by processes of their own."""

PAGES_AT_ONCE = 5
"""Pages that one transaction takes in, where they are there already."""

OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than the pages that wait hold; the default of 700 cost 12 us a model."""

MOST_RESTARTS = 3
"""How often one run starts over because the Hub has forgotten the listing's cursor."""

ANALYZED = (
    "edges", "model_families", "model_features", "feature_sets", "search_vocabulary",
)  # fmt: skip
"""Tables whose statistics a large pass brings up to date, besides those with deferred indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to sync, and how.

    Attributes:
        full: read the whole listing, and mark as gone what it does not have.
        limit: stop after this many records, rounded up to whole pages; the next run goes on there.
        author: only this author's models.
        filters: only models with all of these tags.
        since: go back to this moment instead of to the watermark.
        dry_run: tell what would change, and change nothing.
        as_of: moment that the observation is dated by; now, unless a recorded listing is replayed.
        lookups: how many unlisted names to ask about one by one.
        accept_gone: believe a full sweep that finds much of the catalog gone.
        page_size: records per page, at most 1,000.
        evaluations: take up the scores that the Hub shows with models, rather than leave them to
            a later run.
    """

    full: bool = False
    limit: int | None = None
    author: str | None = None
    filters: tuple[str, ...] = ()
    since: datetime | None = None
    dry_run: bool = False
    as_of: datetime | None = None
    lookups: int = 200
    accept_gone: bool = False
    page_size: int = 1000
    evaluations: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sync did.

    `complete` is False where a limit ended it early; `resumed` tells that it went on with a pass
    that an earlier run had begun, whose counts are included.
    """

    kind: passes.Kind
    counts: Counts
    complete: bool
    resumed: bool
    dry_run: bool
    watermark: datetime | None


Watcher = Callable[[Counts, int | None], None]
"""Is told the counts so far and, where it can be guessed, how many records there will be."""


def sync_models(
    engine: Engine, options: Options, *, source: Hub | None = None, watch: Watcher | None = None
) -> Report:
    """Bring the catalog up to date with the Hub.

    Args:
        engine: of a database at head.
        options: what to sync.
        source: the Hub to ask; by default the one that HF_ENDPOINT names.
        watch: is told of each page taken in.

    Raises:
        LockHeldError: when another sync is running.
        HubUnavailableError: when the Hub cannot be reached or limits the rate for too long.
        HubError: when the Hub's answer makes no sense; what was taken in before stays.
        RegistryError: when the database fails; the page under way is undone.
    """
    source = source or Hub()
    try:
        with engine.connect() as connection:
            require_head(connection)
        with exclusive(engine, "sync"):
            if options.dry_run:
                return _run(engine, source, options, watch)
            with joblog.recorded(engine, "sync") as job:
                report = _run(engine, source, options, watch)
                job.summary = {
                    "kind": report.kind,
                    "complete": report.complete,
                    **asdict(report.counts),
                }
                return report
    except DBAPIError as error:
        raise translated(error, doing="sync") from error


def _run(engine: Engine, source: Hub, options: Options, watch: Watcher | None) -> Report:
    scope = _scope(source, options)
    kind: passes.Kind = "full" if options.full else "delta"
    with engine.connect() as connection:
        with connection.begin():
            catalog.prepare(connection)
            lineage.prepare(connection)
            before = passes.standing(connection, scope, kind)
        walk = _begin(before, scope, kind, options)
        walker = _Walker(connection, source, walk, options, watch or _ignore)
        walker.expected = options.limit or before.swept_models
        if not options.dry_run:
            with connection.begin():
                walker.first = first_load.under_way(connection)
                indexes.drop_before_load(connection)
            if not walker.first:
                # A first load that was killed at its very end has left some to be built.
                indexes.build_missing(engine)
        with _seldom_collected():
            complete = walker.walk_to_end()
        # Before the pass is closed: a run that is killed in here does it again.
        if not options.dry_run:
            _tidy(engine, connection, walk)
        if complete:
            _finish(connection, walk, options, before, walker.undone)
        if complete and not options.dry_run:
            _look_up(connection, source, walk, options)
        if options.evaluations and not options.dry_run:
            _take_up(engine, connection, walk)
        with connection.begin():
            watermark = passes.standing(connection, scope, "delta").watermark
    return Report(
        kind=kind,
        counts=walk.counts,
        complete=complete,
        resumed=walk is before.under_way,
        dry_run=options.dry_run,
        watermark=watermark,
    )


def _ignore(counts: Counts, expected: int | None) -> None: ...


def _scope(source: Hub, options: Options) -> str:
    parts = [source.endpoint]
    if options.author:
        parts.append(f"author={options.author}")
    parts += [f"filter={each}" for each in sorted(options.filters)]
    return " ".join(parts)


def _begin(before: passes.Standing, scope: str, kind: passes.Kind, options: Options) -> Pass:
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
    return Pass(scope=scope, kind=kind, as_of=as_of, since=since)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Have Python look for cycles seldom: pages are many objects without any."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(slots=True)
class _Walker:
    """Takes in page after page; while one goes into the database, the next ones are read."""

    connection: Connection
    source: Hub
    walk: Pass
    options: Options
    watch: Watcher
    expected: int | None = None
    # Whether the catalog is loaded for the first time: all that comes is new.
    first: bool = False
    taken: int = 0
    written: int = 0
    readers: Readers | None = None
    # Whether no readers can be had, so that this process has to do without.
    alone: bool = False
    # The models of each page, where a dry run has undone the page itself.
    undone: dict[int, list[int]] = field(default_factory=dict)

    def walk_to_end(self) -> bool:
        """Return whether the pass came to its end, rather than to the limit asked for."""
        restarts = 0
        try:
            while True:
                try:
                    return self._pages()
                except CursorExpiredError:
                    restarts += 1
                    if restarts > MOST_RESTARTS:
                        raise
                    # What the lost pages held is in the catalog: reading it again costs little.
                    self.walk.cursor = None
                    self.walk.counts.records = self.walk.counts.pages = 0
                    self.undone.clear()
                    if self.walk.kind == "full" and not self.options.dry_run:
                        with self.connection.begin():
                            passes.forget_sweep(self.connection, self.walk.scope)
        finally:
            if self.readers is not None:
                self.readers.close()

    def _pages(self) -> bool:
        if self.walk.cursor == ENDED:
            return True
        pages = Pages(self.source, self._next_url())
        try:
            return self._follow(pages)
        finally:
            pages.stop()

    def _follow(self, pages: Pages) -> bool:
        visited: set[str] = set()
        previous: Reading | None = None
        held: Reading | None = None
        while True:
            page = pages.take()
            visited.add(page.url)
            circles = page.next_url in visited or page.repeats(previous)
            ended = page.next_url is None or page.reaches(self.walk.since)
            if not circles:
                previous = page
                self.taken += page.size
                held = page if held is None else held.joined(page)
                if not ended and not self._paused():
                    if self.first:
                        pages.read_by(self._readers_for(page.size, new=page.size))
                    pages.go_on()
                    # What waits already goes along: a page costs as much as all its records.
                    if held.pages < PAGES_AT_ONCE and pages.ready():
                        continue
            if held is not None:
                self._store(held, ENDED if ended and not circles else held.next_url)
            if circles:
                raise HubError(
                    f"The Hub's listing goes in a circle: {page.url} leads back to a page that "
                    "was read before. Everything up to there is stored; try again later."
                )
            if ended or self._paused():
                return ended
            written = self.walk.counts.new + self.walk.counts.changed
            assert held is not None
            pages.read_by(self._readers_for(held.size, new=written - self.written))
            self.written, held = written, None

    def _paused(self) -> bool:
        return self.options.limit is not None and self.taken >= self.options.limit

    def _next_url(self) -> str:
        size = min(self.options.page_size, self.options.limit or self.options.page_size)
        if self.walk.cursor is not None:
            # Pages of this run's size, not of the run's that has left off there.
            return re.sub(r"(?<=[?&]limit=)\d+", str(size), self.walk.cursor)
        query = ListingQuery(
            author=self.options.author,
            filters=self.options.filters,
            sort="createdAt" if self.walk.kind == "full" else "lastModified",
            page_size=size,
        )
        return self.source.first_url(query)

    def _readers_for(self, records: int, *, new: int) -> Readers | None:
        """Return who reads the pages to come: processes of their own once most records are new.

        Reading a record costs ten times its fingerprint, which is all that an unchanged one needs.
        """
        if new * 2 <= records or self.taken < READ_BESIDE_FROM:
            return None
        if self.readers is None and not self.alone:
            try:
                self.readers = Readers()
            except OSError as error:
                self.alone = True
                _log.warning("No process to read pages could be started (%s): this one does", error)
        return self.readers

    def _store(self, reading: Reading, cursor: str | None) -> None:
        with self.connection.begin() as transaction:
            if self.first:
                first_load.take_in(self.connection, self.walk, reading)
            else:
                intake.take_in(self.connection, self.walk, reading, lineage.write_edges)
            self.walk.cursor = cursor
            if self.options.dry_run:
                self.undone[self.walk.counts.pages] = catalog.model_ids(
                    self.connection, list(reading.sightings)
                )
                transaction.rollback()
            else:
                passes.save(self.connection, self.walk)
        self.watch(self.walk.counts, self.expected)


def _finish(
    connection: Connection,
    walk: Pass,
    options: Options,
    before: passes.Standing,
    undone: dict[int, list[int]],
) -> None:
    """Close a complete pass; after a full sweep, mark what it did not find as gone."""
    # A pass that began above the watermark has left a gap: the next delta has to read it.
    whole = walk.since is None or (before.watermark is not None and walk.since <= before.watermark)
    try:
        with connection.begin() as transaction:
            if walk.kind == "full":
                _mark_gone(connection, walk, options, undone)
                passes.raise_watermark(connection, walk.scope, walk.as_of - SWEEP_SLACK)
            moves = walk.kind == "delta" and whole
            passes.finish(connection, walk, watermark=walk.high_water if moves else None)
            if options.dry_run:
                transaction.rollback()
    except HubError:
        # A sweep that is not believed is not gone on with: the next one reads everything again.
        if not options.dry_run:
            with connection.begin():
                passes.abandon(connection, walk)
        raise


def _mark_gone(
    connection: Connection, walk: Pass, options: Options, undone: dict[int, list[int]]
) -> None:
    for page, ids in undone.items():
        passes.remember_page(connection, walk.scope, page, ids)
    # A model that lost the tag asked for is not listed under it any more, and not gone either.
    if not options.filters:
        walk.counts.gone += vanished.mark_gone(
            connection,
            walk.scope,
            author=options.author,
            as_of=walk.as_of,
            accept=options.accept_gone,
        )


def _look_up(connection: Connection, source: Hub, walk: Pass, options: Options) -> None:
    """Ask the Hub about names that no listing shows: renamed, disabled, or gone."""
    with connection.begin():
        unlisted = vanished.to_look_up(connection, as_of=walk.as_of, limit=options.lookups)
    for each in unlisted:
        try:
            found = source.lookup(each.name)
        except HubUnavailableError as error:
            # The pass itself is complete; the next one asks about the rest.
            _log.warning("Stopped looking up unlisted names: %s", error)
            return
        with connection.begin():
            if isinstance(found.record, dict):
                extra = Pass(scope=walk.scope, kind="delta", as_of=walk.as_of)
                intake.take_in(connection, extra, read([found.record]), lineage.write_edges)
                orphans = identity.settle_stub(
                    connection, each.model_id, found.name, as_of=walk.as_of
                )
                families.refresh_families(connection, orphans)
            vanished.note_answer(connection, each, found.state, walk.as_of)
        walk.counts.looked_up += 1


def _take_up(engine: Engine, connection: Connection, walk: Pass) -> None:
    """Take up the scores that the Hub shows with models, and find models for names without one."""
    try:
        with exclusive(engine, EVALUATIONS):
            while True:
                with connection.begin():
                    written = hub_scores.take_up(connection, as_of=walk.as_of)
                if written is None:
                    break
                walk.counts.scores_changed += written.added + written.changed
            if walk.counts.new + walk.counts.changed:
                with connection.begin():
                    resolution.resolve_again(connection)
                with connection.begin():
                    item_statistics.refresh(connection)
            if walk.counts.scores_changed:
                with connection.begin():
                    runs.gather_statistics(connection, walk.counts.scores_changed)
    except LockHeldError:
        _log.warning("Evaluations are being imported: the next sync takes up the Hub's scores")


def _tidy(engine: Engine, connection: Connection, walk: Pass) -> None:
    """Settle a first load, build the indexes that it went without, and gather statistics."""
    written = walk.counts.new + walk.counts.changed
    with connection.begin():
        unsettled = first_load.resolve(connection, as_of=walk.as_of)
        known = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE oid = 'store.models'::regclass")
        )
        # Stubs that evaluations made may have gone into the models they stand for.
        item_statistics.refresh(connection)
    large = written > max(1000, 0.05 * (known or 0))
    # Two sessions: lineage and words take as long as the indexes.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="indexes") as beside:
        built = beside.submit(indexes.build_missing, engine, analyze=large)
        if unsettled:
            with connection.begin():
                walk.counts.edges_changed += first_load.settle(connection)
        if written:
            with connection.begin():
                indexes.refresh_vocabulary(connection, since=None if large else walk.as_of)
        built.result()
    with connection.begin():
        if written:
            indexes.merge_pending(connection)
        if large:
            feature_store.forget_unused_sets(connection)
            indexes.build_nearest(connection)
    if large:
        with connection.begin():
            indexes.gather_statistics(connection, ANALYZED)
