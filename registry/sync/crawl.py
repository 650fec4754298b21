"""Crawler of the Hub's listing: groups of pages, read ahead while others are stored."""

import logging
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from registry.bounded.limits import EMPTY_PAGES, PAGES
from registry.enums import SyncKind
from registry.errors import HubError
from registry.hub.client import ListingQuery
from registry.sync.options import SyncOptions
from registry.sync.page import RecordPage
from registry.sync.prefetch import PAGES_AHEAD, PageSource, Prefetcher
from registry.sync.readers import LoadKeys, Readers
from registry.sync.state import ENDED, SyncState

_log = logging.getLogger(__name__)

RECORDS_BEFORE_READERS = 1000
"""Records after which worker processes read pages that are mostly new."""

_DISTINCT = 10  # models that no two pages share, unless the listing goes in a circle

PAGES_PER_GROUP = 5
"""Upper limit of pages stored in one transaction, where they are read already."""


class PageGroup(NamedTuple):
    """Pages to store in one transaction, and the cursor of the pages after them."""

    pages: Sequence[RecordPage]
    cursor: str | None


class _Course:
    """The pages of a listing that were read, to notice where it does not end."""

    def __init__(self) -> None:
        self._urls: set[str] = set()
        self._models: set[int] = set()
        self._empty = 0
        self._previous: RecordPage | None = None

    def leads_back(self, page: RecordPage) -> bool:
        """Add a page; return whether it or its successor was read before."""
        self._urls.add(page.url)
        models = hash(frozenset(page.listed))
        back = (
            page.next_url in self._urls
            or page.repeats(self._previous)
            or (page.size >= _DISTINCT and models in self._models)
        )
        self._models.add(models)
        self._empty = 0 if page.size else self._empty + 1
        self._previous = page
        return back

    @property
    def is_endless(self) -> bool:
        """Whether more pages follow than any listing has, or empty ones only."""
        return self._empty >= EMPTY_PAGES or len(self._urls) >= PAGES

    def require_progress(self, page: RecordPage, *, circular: bool) -> None:
        """Raise `HubError` where the listing does not end."""
        if circular:
            raise HubError(
                f"The Hub's listing goes in a circle: {page.url} leads back to a page that "
                "was read before. Everything up to there is stored; try again later."
            )
        if self.is_endless:
            raise HubError(
                f"The Hub's listing does not end: of {len(self._urls):,} pages the last "
                f"{self._empty:,} have no model; {page.url} names another one. Everything up to "
                "there is stored; check HF_ENDPOINT, or try again later."
            )


class Crawler:
    """Fetches the listing from the cursor of a sync, to its end or the limit.

    The caller stores each group and moves the state on before it takes the next one. As a context
    manager it stops fetching and ends its worker processes.
    """

    def __init__(
        self,
        source: PageSource,
        state: SyncState,
        options: SyncOptions,
        keys: LoadKeys | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            source: the Hub, or a file of records.
            state: of the sync, read only.
            options: of the sync.
            keys: for the models of an initial load; its pages are prepared by the readers.
        """
        self._source, self._state, self._options, self._keys = source, state, options, keys
        self._records = self._written = 0
        self._prefetcher: Prefetcher | None = None
        self._readers: Readers | None = None
        self._without_readers = self._has_keys = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._prefetcher is not None:
            self._prefetcher.stop()
        if self._readers is not None:
            self._readers.close()

    def groups(self) -> Iterator[PageGroup]:
        """Yield groups of pages from the state's cursor on.

        Raises:
            CursorExpiredError: when the Hub has forgotten the cursor.
            HubError: when the listing goes in a circle, or as `Hub.fetch`.
        """
        if self._state.ended:
            return
        if self._prefetcher is not None:
            self._prefetcher.stop()
        pages = self._prefetcher = Prefetcher(self._source, self._start_url())
        course = _Course()
        group: list[RecordPage] = []
        while True:
            page = pages.take()
            circular = course.leads_back(page)
            ended = not circular and (page.next_url is None or page.reaches(self._state.since))
            if not circular:
                self._records += page.size
                group.append(page)
            last = circular or ended or course.is_endless or self._at_limit()
            if not last:
                self._draw_keys(pages, page)
                pages.allow_next()
                # Pages that wait already join the group: a transaction costs as much as a page.
                if len(group) < PAGES_PER_GROUP and pages.ready():
                    continue
            if group:
                yield PageGroup(group, ENDED if ended else group[-1].next_url)
            if not ended:
                course.require_progress(page, circular=circular)
            if last:
                return
            self._choose_readers(pages, group)
            group = []

    def _at_limit(self) -> bool:
        return self._options.limit is not None and self._records >= self._options.limit

    def _start_url(self) -> str:
        size = min(self._options.page_size, self._options.limit or self._options.page_size)
        if self._state.cursor is not None:
            # Pages of this run's size, not of the size of the run that stopped there.
            return re.sub(r"(?<=[?&]limit=)\d+", str(size), self._state.cursor)
        query = ListingQuery(
            author=self._options.author,
            filters=self._options.filters,
            sort="createdAt" if self._state.kind == SyncKind.FULL else "lastModified",
            page_size=size,
        )
        return self._source.first_url(query)

    def _draw_keys(self, pages: Prefetcher, page: RecordPage) -> None:
        """In an initial load, have readers prepare the pages to come, with keys for one more."""
        if self._keys is None:
            return
        readers = self._readers_for(page.size, new=page.size)
        if readers is None:
            return
        self._keys.draw(1 if self._has_keys else readers.count + PAGES_AHEAD + 1)
        self._has_keys = True
        pages.read_with(readers, self._keys)

    def _choose_readers(self, pages: Prefetcher, group: Sequence[RecordPage]) -> None:
        """Choose the readers of the pages to come by how much of a stored group was new."""
        if self._keys is None:
            written = self._state.counts.new + self._state.counts.changed
            size = sum(page.size for page in group)
            pages.read_with(self._readers_for(size, new=written - self._written))
            self._written = written

    def _readers_for(self, records: int, *, new: int) -> Readers | None:
        """Return worker processes once most records are new, and None before.

        Reading a record costs ten times its digest, which is all that an unchanged one needs.
        """
        if new * 2 <= records or self._records < RECORDS_BEFORE_READERS:
            return None
        if self._readers is None and not self._without_readers:
            try:
                self._readers = Readers()
            except OSError as error:
                self._without_readers = True
                _log.warning("No process to read pages could be started (%s): this one does", error)
        return self._readers
