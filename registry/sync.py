"""The sync: from the Hub's listing to the catalog, one page and one transaction at a time.

A delta reads the listing by last change down to the watermark of the last one; a full sweep reads
all of it by creation, and so finds what vanished. Killed at any point, the next run goes on at
the page that it was on.
"""

import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import (
    catalog,
    features,
    identity,
    indexes,
    joblog,
    lineage,
    passes,
    quarantine,
    vanished,
)
from registry.db import exclusive, require_head, translated
from registry.errors import CursorExpiredError, HubError, HubUnavailableError
from registry.hub import Hub, ListingQuery
from registry.passes import Counts, Pass
from registry.reading import Reading, payload, read
from registry.records import ModelRecord, Rejected, digest, parse_record

_log = logging.getLogger(__name__)

SOURCE = "hub"

SWEEP_SLACK = timedelta(hours=1)
"""How far the Hub's clock and ours may differ when a full sweep moves the delta's watermark."""

CLOCK_SLACK = timedelta(days=1)
"""How much later than the observation a change may be dated before its date is held to be wrong."""

ENDED = ""
"""The cursor of a pass that has read the listing to its end, but is not closed yet."""

MOST_RESTARTS = 3
"""How often one run starts over because the Hub has forgotten the listing's cursor."""

ANALYZED = (
    "models", "counters", "edges", "model_families", "model_features", "feature_sets",
    "search_vocabulary",
)  # fmt: skip
"""Tables whose statistics a large pass brings up to date."""


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
                indexes.drop_before_load(connection)
        complete = walker.walk_to_end()
        # Before the pass is closed: a run that is killed in here does it again.
        if not options.dry_run:
            _tidy(connection, walk)
        if complete:
            _finish(connection, walk, options, before, walker.undone)
        if complete and not options.dry_run:
            _look_up(connection, source, walk, options)
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


@dataclass(slots=True)
class _Walker:
    """Takes in page after page; while one goes into the database, the next is fetched and read."""

    connection: Connection
    source: Hub
    walk: Pass
    options: Options
    watch: Watcher
    expected: int | None = None
    taken: int = 0
    # Reading a record costs ten times its fingerprint: it is done ahead only while most are new.
    read_ahead: bool = True
    # The models of each page, where a dry run has undone the page itself.
    undone: dict[int, list[int]] = field(default_factory=dict)

    def walk_to_end(self) -> bool:
        """Return whether the pass came to its end, rather than to the limit asked for."""
        restarts = 0
        ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub")
        try:
            while True:
                try:
                    return self._pages(ahead)
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
            # Not waited for: the Hub may take minutes, and whoever interrupts a sync means now.
            ahead.shutdown(wait=False, cancel_futures=True)

    def _pages(self, ahead: ThreadPoolExecutor) -> bool:
        visited: set[str] = set()
        previous: Reading | None = None
        if self.walk.cursor == ENDED:
            return True
        fetched: Future[Reading] | None = ahead.submit(self._fetch, self._next_url())
        paused = False
        while fetched is not None:
            reading = fetched.result()
            visited.add(reading.url)
            if reading.next_url in visited or reading.repeats(previous):
                raise HubError(
                    f"The Hub's listing goes in a circle: {reading.url} leads back to a page that "
                    "was read before. Everything up to there is stored; try again later."
                )
            self.taken += reading.size
            ended = reading.next_url is None or reading.reaches(self.walk.since)
            paused = not ended and self.taken >= (self.options.limit or self.taken + 1)
            fetched = None
            if reading.next_url is not None and not ended and not paused:
                fetched = ahead.submit(self._fetch, reading.next_url)
            self._store(reading, ENDED if ended else reading.next_url)
            previous = reading
        return not paused

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

    def _fetch(self, url: str) -> "Reading":
        page = self.source.fetch_page(url)
        reading = read(page.records, page.url, page.next_url)
        if self.read_ahead:
            for name in reading.by_name:
                record = reading.parsed(name)
                if isinstance(record, ModelRecord):
                    reading.features(record)
        return reading

    def _store(self, reading: Reading, cursor: str | None) -> None:
        with self.connection.begin() as transaction:
            unchanged = self.walk.counts.unchanged
            take_in(self.connection, self.walk, reading)
            self.read_ahead = (self.walk.counts.unchanged - unchanged) * 2 < reading.size
            self.walk.cursor = cursor
            if self.options.dry_run:
                self.undone[self.walk.counts.pages] = catalog.seen_ids(self.connection)
                transaction.rollback()
            else:
                passes.save(self.connection, self.walk)
        self.watch(self.walk.counts, self.expected)


def take_in(connection: Connection, walk: Pass, reading: Reading) -> None:
    """Take one page into the catalog, in the connection's transaction.

    The pass's counts and high water move with it. A record that cannot be read goes to quarantine;
    the rest of the page lands.
    """
    compared = catalog.compare(connection, reading.sightings.values(), as_of=walk.as_of)
    readable: list[tuple[ModelRecord, int]] = []
    rejected: list[tuple[Rejected, str]] = []
    for name, raw in reading.by_name.items():
        if name not in compared.unchanged:
            parsed = reading.parsed(name)
            if isinstance(parsed, Rejected):
                rejected.append((parsed, payload(raw)))
            else:
                readable.append((parsed, reading.sightings[name].digest))
    for raw in reading.nameless:
        refused = raw if isinstance(raw, Rejected) else parse_record(raw)
        assert isinstance(refused, Rejected)
        key = refused.key or f"digest {digest(raw):x}"
        rejected.append((Rejected(key, refused.reason), payload(raw)))
    counts = _write(connection, walk, reading, readable, rejected, compared.orphans)
    named = {record.name for record, _ in readable}
    counts.records = reading.size
    counts.new = len(compared.new & named)
    counts.changed = len(compared.changed & named)
    counts.unchanged = len(compared.unchanged)
    counts.pages = 1
    walk.counts.add(counts)
    if walk.kind == "full":
        listed = catalog.seen_ids(connection, [refused.key for refused, _ in rejected])
        passes.remember_page(connection, walk.scope, walk.counts.pages, listed)
    seen = [moment for moment in reading.moments if moment <= walk.as_of + CLOCK_SLACK]
    if walk.high_water is not None:
        seen.append(walk.high_water)
    walk.high_water = max(seen, default=None)


def _write(  # noqa: PLR0917 - what take_in has found out
    connection: Connection,
    walk: Pass,
    reading: Reading,
    readable: Sequence[tuple[ModelRecord, int]],
    rejected: Sequence[tuple[Rejected, str]],
    orphans: Sequence[int],
) -> Counts:
    counts = Counts(
        quarantined=len(rejected), partly_read=sum(bool(record.unread) for record, _ in readable)
    )
    if readable or orphans:
        keys = catalog.upsert_models(connection, readable, as_of=walk.as_of)
        counts.edges_changed = lineage.upsert_edges(
            connection, [record for record, _ in readable], orphans=orphans, as_of=walk.as_of
        )
        features.write_features(
            connection, ((keys[record.name], reading.features(record)) for record, _ in readable)
        )
        quarantine.release(connection, SOURCE)
    counts.counters_changed = catalog.update_counters(connection, as_of=walk.as_of)
    quarantine.put_in(connection, SOURCE, rejected, as_of=walk.as_of)
    return counts


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
                take_in(connection, extra, read([found.record]))
                orphans = identity.settle_stub(
                    connection, each.model_id, found.name, as_of=walk.as_of
                )
                lineage.refresh_families(connection, orphans)
            vanished.note_answer(connection, each, found.state, walk.as_of)
        walk.counts.looked_up += 1


def _tidy(connection: Connection, walk: Pass) -> None:
    """Build the indexes that a first load went without, and let the planner know of a large one."""
    written = walk.counts.new + walk.counts.changed
    with connection.begin():
        indexes.build_missing(connection)
        known = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE oid = 'store.models'::regclass")
        )
        large = written > max(1000, 0.05 * (known or 0))
        if written:
            indexes.refresh_vocabulary(connection, since=None if large else walk.as_of)
            indexes.merge_pending(connection)
        if large:
            features.forget_unused_sets(connection)
            indexes.build_nearest(connection)
    if large:
        with connection.begin():
            for table in ANALYZED:
                connection.exec_driver_sql(f"ANALYZE store.{table}")
