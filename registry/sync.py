"""The sync: from the Hub's listing to the catalog, one page and one transaction at a time.

A delta reads the listing by last change down to the watermark of the last one; a full sweep reads
all of it by creation, and so finds what vanished. Killed at any point, the next run goes on at
the page that it was on.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import catalog, features, hub, joblog, lineage, passes, vanished
from registry.db import exclusive, require_head, translated
from registry.errors import CursorExpiredError, HubError, HubUnavailableError
from registry.passes import Counts, Pass
from registry.records import ModelRecord, Rejected, counters, digest, name_of, parse_record
from registry.values import storable, timestamp

_log = logging.getLogger(__name__)

SOURCE = "hub"

SWEEP_SLACK = timedelta(hours=1)
"""How far the Hub's clock and ours may differ when a full sweep moves the delta's watermark."""

MOST_RESTARTS = 3
"""How often one run starts over because the Hub has forgotten the listing's cursor."""

PAYLOAD_KEPT = 10_000
"""Characters of a rejected record that the quarantine keeps."""


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


def sync_models(engine: Engine, options: Options, watch: Watcher | None = None) -> Report:
    """Bring the catalog up to date with the Hub.

    Raises:
        LockHeldError: when another sync is running.
        HubUnavailableError: when the Hub cannot be reached or limits the rate for too long.
        HubError: when the Hub's answer makes no sense; what was taken in before stays.
        RegistryError: when the database fails; the page under way is undone.
    """
    try:
        with engine.connect() as connection:
            require_head(connection)
        with exclusive(engine, "sync"):
            if options.dry_run:
                return _run(engine, options, watch)
            with joblog.recorded(engine, "sync") as job:
                report = _run(engine, options, watch)
                job.summary = {
                    "kind": report.kind,
                    "complete": report.complete,
                    **asdict(report.counts),
                }
                return report
    except DBAPIError as error:
        raise translated(error, doing="sync") from error


def _run(engine: Engine, options: Options, watch: Watcher | None) -> Report:
    scope = _scope(options)
    kind: passes.Kind = "full" if options.full else "delta"
    with engine.connect() as connection:
        with connection.begin():
            catalog.prepare(connection)
            lineage.prepare(connection)
            before = passes.standing(connection, scope, kind)
        walk = _begin(before, scope, kind, options)
        resumed = walk is before.under_way
        expected = options.limit or before.swept_models
        complete = _walk(connection, walk, options, watch or _ignore, expected)
        if complete:
            _finish(connection, walk, options)
            _look_up(connection, walk, options)
            _tidy(connection, walk)
        with connection.begin():
            watermark = passes.standing(connection, scope, "delta").watermark
    return Report(
        kind=kind,
        counts=walk.counts,
        complete=complete,
        resumed=resumed,
        dry_run=options.dry_run,
        watermark=watermark,
    )


def _ignore(counts: Counts, expected: int | None) -> None: ...


def _scope(options: Options) -> str:
    parts = [hub.endpoint()]
    if options.author:
        parts.append(f"author={options.author}")
    parts += [f"filter={each}" for each in sorted(options.filters)]
    return " ".join(parts)


def _begin(before: passes.Standing, scope: str, kind: passes.Kind, options: Options) -> Pass:
    """Go on with the pass under way, unless other bounds are asked for; else begin one."""
    if before.under_way is not None and options.since is None and not options.dry_run:
        return before.under_way
    since = None if kind == "full" else options.since or before.watermark
    as_of = options.as_of or datetime.now(UTC)
    return Pass(scope=scope, kind=kind, as_of=as_of, since=since)


def _first_url(walk: Pass, options: Options) -> str:
    size = min(options.page_size, options.limit or options.page_size)
    return hub.first_url(
        hub.ListingQuery(
            author=options.author,
            filters=options.filters,
            sort="createdAt" if walk.kind == "full" else "lastModified",
            page_size=size,
        )
    )


def _walk(
    connection: Connection, walk: Pass, options: Options, watch: Watcher, expected: int | None
) -> bool:
    """Take in page after page; return whether the pass came to its end."""
    restarts = 0
    while True:
        try:
            return _pages(connection, walk, options, watch, expected)
        except CursorExpiredError:
            restarts += 1
            if restarts > MOST_RESTARTS:
                raise
            # What the lost pages held is in the catalog already: reading it again costs little.
            walk.cursor = None
            walk.counts.records = walk.counts.pages = 0
            with connection.begin():
                passes.forget_sweep(connection, walk.scope)


def _pages(
    connection: Connection, walk: Pass, options: Options, watch: Watcher, expected: int | None
) -> bool:
    taken = 0
    visited: set[str] = set()
    names: frozenset[str] = frozenset()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub") as fetcher:
        # One page is fetched while the one before it goes into the database.
        fetched: Future[hub.Page] | None = fetcher.submit(
            hub.fetch_page, walk.cursor or _first_url(walk, options)
        )
        while fetched is not None:
            page = fetched.result()
            visited.add(page.url)
            previous, names = names, _names(page.records)
            if page.next_url in visited or (names and names == previous):
                raise HubError(
                    f"The Hub's listing goes in a circle: {page.url} leads back to a page that was "
                    "read before. Everything up to there is stored; try again later."
                )
            taken += len(page.records)
            ended = page.next_url is None or _reached(walk, page.records)
            paused = not ended and options.limit is not None and taken >= options.limit
            fetched = (
                None if ended or paused else fetcher.submit(hub.fetch_page, page.next_url)  # type: ignore[arg-type]  # ended if None
            )
            with connection.begin() as transaction:
                take_in(connection, walk, page.records)
                walk.cursor = page.next_url
                if options.dry_run:
                    transaction.rollback()
                else:
                    passes.save(connection, walk)
            watch(walk.counts, expected)
    return not paused


def _names(records: Sequence[object]) -> frozenset[str]:
    return frozenset(name for name in map(name_of, records) if name is not None)


def _reached(walk: Pass, records: Sequence[object]) -> bool:
    """Tell whether a page goes back beyond where the pass is to stop."""
    if walk.since is None:
        return False
    moments = [_last_modified(raw) for raw in records]
    return any(moment is not None and moment < walk.since for moment in moments)


def _last_modified(raw: object) -> datetime | None:
    return timestamp(raw.get("lastModified")) if isinstance(raw, dict) else None


def take_in(connection: Connection, walk: Pass, records: Sequence[object]) -> None:
    """Take one page of raw records into the catalog, in the connection's transaction.

    The pass's counts and high water move with it. A record that cannot be read goes to quarantine;
    the rest of the page lands.
    """
    by_name: dict[str, object] = {}
    nameless: list[object] = []
    for raw in records:
        name = name_of(raw)
        if name is None:
            nameless.append(raw)
        else:
            # The newer of two rows of one name comes first in the listing.
            by_name.setdefault(name, raw)
    sightings = {name: _sighting(name, raw) for name, raw in by_name.items()}
    compared = catalog.compare(connection, sightings.values(), as_of=walk.as_of)
    readable: list[tuple[ModelRecord, int]] = []
    rejected: list[tuple[Rejected, str]] = []
    for name, raw in by_name.items():
        if name not in compared.unchanged:
            parsed = parse_record(raw)
            if isinstance(parsed, Rejected):
                rejected.append((parsed, _payload(raw)))
            else:
                readable.append((parsed, sightings[name].digest))
    for raw in nameless:
        parsed = raw if isinstance(raw, Rejected) else parse_record(raw)
        assert isinstance(parsed, Rejected)
        key = parsed.key or f"digest {digest(raw):x}"
        rejected.append((Rejected(key, parsed.reason), _payload(raw)))
    counts = _write(connection, walk, readable, rejected, compared.orphans)
    named = {record.name for record, _ in readable}
    counts.records = len(records)
    counts.new = len(compared.new & named)
    counts.changed = len(compared.changed & named)
    counts.unchanged = len(compared.unchanged)
    counts.pages = 1
    walk.counts.add(counts)
    if walk.kind == "full":
        passes.remember_page(connection, walk, catalog.seen_ids(connection))
    moments = [moment for moment in map(_last_modified, records) if moment is not None]
    walk.high_water = max([*moments, *([walk.high_water] if walk.high_water else [])], default=None)


def _write(
    connection: Connection,
    walk: Pass,
    readable: Sequence[tuple[ModelRecord, int]],
    rejected: Sequence[tuple[Rejected, str]],
    orphans: Sequence[int],
) -> Counts:
    counts = Counts(
        quarantined=len(rejected), partly_read=sum(bool(record.unread) for record, _ in readable)
    )
    if readable or orphans:
        ids = catalog.upsert_models(connection, readable, as_of=walk.as_of)
        counts.edges_changed = lineage.upsert_edges(
            connection, [record for record, _ in readable], orphans=orphans, as_of=walk.as_of
        )
        features.refresh_features(connection, ids)
        catalog.release_from_quarantine(connection, SOURCE)
    counts.counters_changed = catalog.update_counters(connection, as_of=walk.as_of)
    catalog.put_in_quarantine(connection, SOURCE, rejected, as_of=walk.as_of)
    return counts


def _sighting(name: str, raw: object) -> catalog.Sighting:
    hub_id = raw.get("_id") if isinstance(raw, dict) else None
    return catalog.Sighting(
        name=name,
        hub_id=storable(hub_id)[:255] if isinstance(hub_id, str) and hub_id else None,
        digest=digest(raw),
        **counters(raw)._asdict(),
    )


def _payload(raw: object) -> str:
    return storable(ascii(raw)[:PAYLOAD_KEPT])


def _finish(connection: Connection, walk: Pass, options: Options) -> None:
    """Close a complete pass; after a full sweep, mark what it did not find as gone."""
    with connection.begin() as transaction:
        if walk.kind == "full":
            walk.counts.gone += vanished.mark_gone(
                connection,
                walk.scope,
                author=options.author,
                tags=options.filters,
                as_of=walk.as_of,
                accept=options.accept_gone,
            )
            passes.raise_watermark(connection, walk.scope, walk.as_of - SWEEP_SLACK)
        passes.finish(connection, walk, watermark=walk.high_water if walk.kind == "delta" else None)
        if options.dry_run:
            transaction.rollback()


def _look_up(connection: Connection, walk: Pass, options: Options) -> None:
    """Ask the Hub about names that no listing shows: renamed, disabled, or gone."""
    if options.dry_run:
        return
    with connection.begin():
        unlisted = vanished.to_look_up(connection, as_of=walk.as_of, limit=options.lookups)
    for each in unlisted:
        try:
            found = hub.lookup(each.name)
        except HubUnavailableError as error:
            # The pass itself is complete; the next one asks about the rest.
            _log.warning("Stopped looking up unlisted names: %s", error)
            return
        with connection.begin():
            if isinstance(found.record, dict) and found.name is not None:
                if found.name != each.name:
                    vanished.take_new_name(connection, each, found.name, walk.as_of)
                extra = Pass(scope=walk.scope, kind="delta", as_of=walk.as_of)
                take_in(connection, extra, [found.record])
                orphans = catalog.settle_stub(
                    connection, each.model_id, found.name, as_of=walk.as_of
                )
                lineage.refresh_families(connection, orphans)
            vanished.note_answer(connection, each, found.state, walk.as_of)
        walk.counts.looked_up += 1


def _tidy(connection: Connection, walk: Pass) -> None:
    """Let the planner know of what a large pass has brought in."""
    written = walk.counts.new + walk.counts.changed
    with connection.begin():
        known = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE oid = 'store.models'::regclass")
        )
        if written > max(1000, 0.05 * (known or 0)):
            for table in ("models", "counters", "edges", "model_families", "model_features"):
                connection.exec_driver_sql(f"ANALYZE store.{table}")
