"""Listing pages, fetched and read ahead of the process that stores them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import NamedTuple, Protocol, TypeVar

from registry.hub.client import ListingQuery, RawPage
from registry.sync.page import RecordPage, read_body
from registry.sync.readers import LoadKeys, Readers, ReadTask, UnreadableError

PAGES_AHEAD = 4
"""Pages that may wait, read, to be stored."""


_T = TypeVar("_T")


class PageSource(Protocol):
    """Where pages come from: the Hub, or a file of records."""

    def first_url(self, query: ListingQuery, /) -> str:
        """Return the address of the first page."""
        ...

    def fetch(self, url: str, read: Callable[[RawPage], _T], /) -> _T:
        """Fetch a page and read it."""
        ...

    def fetch_raw(self, url: str, /) -> RawPage:
        """Fetch a page without reading it."""
        ...


class _Fetched(NamedTuple):
    """A fetched page and the future of its reading; `by_reader` when a worker process reads it."""

    url: str
    next_url: str | None
    page: Future[RecordPage]
    by_reader: bool
    body: bytes = b""


class _FetchThread(threading.Thread):
    """Follows the listing from one address, one page for each permit.

    A daemon: the Hub may take minutes to answer, and an interrupted sync ends at once.
    """

    def __init__(self, url: str, fetch: Callable[[str], _Fetched], permits: int) -> None:
        super().__init__(name="hub", daemon=True)
        self.fetched: SimpleQueue[_Fetched] = SimpleQueue()
        self.permits = threading.Semaphore(permits)
        self.stopped = False
        self._url, self._fetch = url, fetch

    def run(self) -> None:
        url: str | None = self._url
        while url is not None:
            self.permits.acquire()
            if self.stopped:
                return
            try:
                page = self._fetch(url)
            except BaseException as error:  # noqa: BLE001 - raised where the page is taken
                failed: Future[RecordPage] = Future()
                failed.set_exception(error)
                page = _Fetched(url, None, failed, by_reader=False)
            self.fetched.put(page)
            url = page.next_url

    def stop(self) -> None:
        self.stopped = True
        self.permits.release()


class Prefetcher:
    """The pages from one address on, in their order.

    One page is fetched at once; each `allow_next` allows one more, which is then fetched while the
    page taken is stored. Readers, once there are any, read whole pages, and as many pages are
    fetched ahead as keep them busy.
    """

    def __init__(self, source: PageSource, url: str) -> None:
        self._source = source
        self._readers: Readers | None = None
        self._keys: LoadKeys | None = None
        self._deep = False
        self._thread = self._start(url, permits=1)
        self._next: _Fetched | None = None

    def _start(self, url: str, permits: int) -> _FetchThread:
        thread = _FetchThread(url, self._fetch, permits)
        thread.start()
        return thread

    def take(self) -> RecordPage:
        """Return the next page; wait for it.

        Raises:
            HubError: and its kinds, as `Hub.fetch`.
        """
        fetched, self._next = self._next or self._thread.fetched.get(), None
        try:
            page = fetched.page.result()
        except UnreadableError:
            # Another attempt may succeed, and the Hub's client knows how often to try.
            page = self._read_here(fetched.url)
            if page.next_url != fetched.next_url:
                self._thread.stop()
                if page.next_url is not None:
                    self._thread = self._start(page.next_url, permits=0)
            return page
        if page.batch is not None:
            page.body = fetched.body
        return page

    def ready(self) -> bool:
        """Return whether a reader has read the next page, so that `take` need not wait."""
        if self._next is None and not self._thread.fetched.empty():
            self._next = self._thread.fetched.get()
        if self._next is None or not self._next.by_reader:
            return False
        return self._next.page.done() and self._next.page.exception() is None

    def allow_next(self) -> None:
        """Allow one more page to be fetched."""
        self._thread.permits.release()

    def read_with(self, readers: Readers | None, keys: LoadKeys | None = None) -> None:
        """Have the pages fetched from now on read by these processes.

        Args:
            readers: None reads them in this process, each record only when it is needed.
            keys: for the models of an initial load, whose pages the readers prepare.
        """
        self._keys = keys
        if readers is not None and not self._deep:
            self._deep = True
            self._thread.permits.release(readers.count + PAGES_AHEAD)
        self._readers = readers

    def stop(self) -> None:
        """Stop fetching."""
        self._thread.stop()

    def _fetch(self, url: str) -> _Fetched:
        readers, keys = self._readers, self._keys
        if readers is None:
            done: Future[RecordPage] = Future()
            page = self._read_here(url)
            done.set_result(page)
            return _Fetched(url, page.next_url, done, by_reader=False)
        raw = self._source.fetch_raw(url)
        task = ReadTask(raw.body, raw.url, raw.next_url)
        future = readers.submit(task if keys is None else keys.give(task))
        return _Fetched(url, raw.next_url, future, by_reader=True, body=raw.body)

    def _read_here(self, url: str) -> RecordPage:
        return self._source.fetch(url, _read)


def _read(page: RawPage) -> RecordPage:
    return read_body(page.body, page.url, page.next_url)
