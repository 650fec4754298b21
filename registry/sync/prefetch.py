"""The pages of a listing, fetched and read ahead of whoever takes them into the database."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from typing import NamedTuple

from registry.hub.client import Hub, RawPage
from registry.sync.batch import Batch
from registry.sync.page import RecordPage, read_body
from registry.sync.readers import LoadTask, Readers, Task, UnreadableError

AHEAD = 4
"""Pages that may wait, read, for the database."""


class _Fetched(NamedTuple):
    """A page that was fetched and is being read, or why it was not."""

    url: str
    next_url: str | None
    reading: Future[RecordPage | Batch]
    whole: bool
    body: bytes = b""


class _Ahead(threading.Thread):
    """Follows the listing from one address, a page for each permit.

    A daemon: the Hub may take minutes, and whoever interrupts a sync means now.
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
            except BaseException as error:  # noqa: BLE001 - for whoever takes the page
                failed: Future[RecordPage | Batch] = Future()
                failed.set_exception(error)
                page = _Fetched(url, None, failed, whole=False)
            self.fetched.put(page)
            url = page.next_url

    def stop(self) -> None:
        self.stopped = True
        self.permits.release()


class Pages:
    """The pages from one address on, in their order.

    One page is fetched at once; `go_on` allows for one more, which is then fetched while the one
    taken is stored. `readers`, once there are any, read whole pages, and as many pages are fetched
    ahead as keep them busy.
    """

    def __init__(self, source: Hub, url: str) -> None:
        self._source = source
        self._readers: Readers | None = None
        self._ask: Callable[[Task], Task | LoadTask] = _as_it_is
        self._deep = False
        self._ahead = self._start(url, permits=1)
        self._next: _Fetched | None = None

    def _start(self, url: str, permits: int) -> _Ahead:
        ahead = _Ahead(url, self._fetch, permits)
        ahead.start()
        return ahead

    def take(self) -> RecordPage | Batch:
        """Return the next page, once it is there.

        Raises:
            HubError: and its kinds, as `Hub.fetch`.
        """
        page, self._next = self._next or self._ahead.fetched.get(), None
        try:
            read_page = page.reading.result()
        except UnreadableError:
            # Another attempt may mend it, and the Hub's client knows how often to try.
            again = self._read_here(page.url)
            if again.next_url != page.next_url:
                self._ahead.stop()
                if again.next_url is not None:
                    self._ahead = self._start(again.next_url, permits=0)
            return again
        if isinstance(read_page, Batch):
            return replace(read_page, body=page.body)
        return read_page

    def ready(self) -> bool:
        """Tell whether the next page is there and read by a reader, so that none has to wait."""
        if self._next is None and not self._ahead.fetched.empty():
            self._next = self._ahead.fetched.get()
        if self._next is None or not self._next.whole:
            return False
        return self._next.reading.done() and self._next.reading.exception() is None

    def go_on(self) -> None:
        """Allow for one more page to be fetched."""
        self._ahead.permits.release()

    def read_by(
        self, readers: Readers | None, ask: Callable[[Task], Task | LoadTask] | None = None
    ) -> None:
        """Have the pages fetched from now on read by these; None reads them in this process.

        In this process a record is only read when it is asked for.

        Args:
            readers: who reads.
            ask: tells what is to be done about a page, if not just to read it; called by a thread.
        """
        self._ask = ask or _as_it_is
        if readers is not None and not self._deep:
            self._deep = True
            self._ahead.permits.release(readers.count + AHEAD)
        self._readers = readers

    def stop(self) -> None:
        """Fetch no more."""
        self._ahead.stop()

    def _fetch(self, url: str) -> _Fetched:
        readers = self._readers
        if readers is None:
            done: Future[RecordPage | Batch] = Future()
            page = self._read_here(url)
            done.set_result(page)
            return _Fetched(url, page.next_url, done, whole=False)
        raw = self._source.fetch_raw(url)
        reading = readers.submit(self._ask(Task(raw.body, raw.url, raw.next_url)))
        return _Fetched(url, raw.next_url, reading, whole=True, body=raw.body)

    def _read_here(self, url: str) -> RecordPage:
        return self._source.fetch(url, _read)


def _read(page: RawPage) -> RecordPage:
    return read_body(page.body, page.url, page.next_url)


def _as_it_is(task: Task) -> Task:
    return task
