"""The walk through the Hub's listing: page after page into the catalog, until its end or a limit.

Pages that wait already go into the database together, and the next ones are read meanwhile.
"""

import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from queue import Empty, SimpleQueue

from sqlalchemy import Connection

from registry.catalog import lineage, models
from registry.db.connection import prefer_indexes
from registry.errors import CursorExpiredError, HubError
from registry.hub.client import Hub, ListingQuery
from registry.sync import ingest, initial_load
from registry.sync import state as sync_state
from registry.sync.batch import Batch
from registry.sync.page import Page, RecordPage, reaches, repeats
from registry.sync.prefetch import AHEAD, Pages
from registry.sync.readers import LoadTask, Readers, Task
from registry.sync.state import SyncState
from registry.workers import Progress, infrequent_gc, no_progress

_log = logging.getLogger(__name__)

ENDED = ""
"""The cursor of a pass that has read the listing to its end, but is not closed yet."""

READ_BESIDE_FROM = 1000
"""Records after which pages of mostly new ones are read by processes of their own."""

PAGES_AT_ONCE = 5
"""Pages that one transaction takes in, where they are there already."""

MOST_RESTARTS = 3
"""How often one run starts over because the Hub has forgotten the listing's cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
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


@dataclass(slots=True)
class Walker:
    """Takes in page after page; while one goes into the database, the next ones are read."""

    connection: Connection
    source: Hub
    walk: SyncState
    options: SyncOptions
    on_progress: Progress = no_progress
    expected: int | None = None
    # Whether the catalog is loaded for the first time: all that comes is new.
    first: bool = False
    taken: int = 0
    written: int = 0
    readers: Readers | None = None
    # Whether no readers can be had, so that this process has to do without.
    alone: bool = False
    # Keys for the models of a page each, handed out to readers of a first load.
    keys: SimpleQueue[list[int]] = field(default_factory=SimpleQueue)
    loading: bool = False
    # The models of each page, where a dry run has undone the page itself.
    undone: dict[int, list[int]] = field(default_factory=dict)

    @infrequent_gc()
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
                            sync_state.forget_sweep(self.connection, self.walk.scope)
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
        previous: Page | None = None
        held: list[RecordPage | Batch] = []
        while True:
            page = pages.take()
            visited.add(page.url)
            circles = page.next_url in visited or repeats(page, previous)
            ended = page.next_url is None or reaches(page, self.walk.since)
            if not circles:
                previous = page
                self.taken += page.size
                held.append(page)
                if not ended and not self._paused():
                    if self.first:
                        self._load_by(pages, self._readers_for(page.size, new=page.size))
                    pages.go_on()
                    # What waits already goes along: a page costs as much as all its records.
                    if sum(each.pages for each in held) < PAGES_AT_ONCE and pages.ready():
                        continue
            if held:
                self._store(held, ENDED if ended and not circles else held[-1].next_url)
            if circles:
                raise HubError(
                    f"The Hub's listing goes in a circle: {page.url} leads back to a page that "
                    "was read before. Everything up to there is stored; try again later."
                )
            if ended or self._paused():
                return ended
            if not self.first:
                written = self.walk.counts.new + self.walk.counts.changed
                size = sum(each.size for each in held)
                pages.read_by(self._readers_for(size, new=written - self.written))
                self.written = written
            held = []

    def _load_by(self, pages: Pages, readers: Readers | None) -> None:
        """Have the pages of a first load made ready, with keys for one more page than before."""
        if readers is None:
            return
        count = 1 if self.loading else readers.count + AHEAD + 1
        self.loading = True
        with self.connection.begin():
            for _ in range(count):
                self.keys.put(models.new_keys(self.connection, self.options.page_size))
        pages.read_by(readers, self._load)

    def _load(self, task: Task) -> Task | LoadTask:
        try:
            keys = self.keys.get_nowait()
        except Empty:  # after pages that were fetched again
            return task
        return LoadTask(task, keys, self.walk.as_of.isoformat())

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

    def _store(self, pages: list[RecordPage | Batch], cursor: str | None) -> None:
        with self.connection.begin() as transaction:
            prefer_indexes(self.connection)
            if self.first:
                initial_load.take_in(self.connection, self.walk, pages)
            else:
                # Batches are made of a first load's pages only.
                readings = [page for page in pages if isinstance(page, RecordPage)]
                reading = reduce(RecordPage.joined, readings)
                ingest.take_in(self.connection, self.walk, reading, lineage.write_edges)
            self.walk.cursor = cursor
            if self.options.dry_run:
                listed = [name for page in pages for name in page.listed]
                self.undone[self.walk.counts.pages] = models.model_ids(self.connection, listed)
                transaction.rollback()
            else:
                sync_state.save(self.connection, self.walk)
        counts = self.walk.counts
        self.on_progress(
            f"{counts.new:,} new, {counts.changed:,} changed, {counts.quarantined:,} quarantined",
            counts.records,
            self.expected or 0,
        )
