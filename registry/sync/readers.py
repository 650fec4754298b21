"""Worker processes that read pages, and the keys they need for an initial load.

Reading a record takes as long as storing it, and one Python process does one thing at a time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import NamedTuple

from registry.errors import HubError
from registry.hub.decode import decode_parts
from registry.sync.page import RecordPage
from registry.workers import WorkerPool


class UnreadableError(HubError):
    """The body of a page is no list of records."""


class ReadTask(NamedTuple):
    """A page to read.

    Attributes:
        body: of the reply.
        url: its address.
        next_url: the address of the next page.
        keys: for its models, where it is to be prepared for an initial load.
        moment: when it was observed, as Postgres reads it.
    """

    body: bytes
    url: str
    next_url: str | None
    keys: Sequence[int] = ()
    moment: str = ""

    def perform(self) -> RecordPage:
        """Read every record of the page; prepare its batch where there are keys enough.

        Raises:
            UnreadableError: when the body is no list of records.
        """
        page = RecordPage(url=self.url, next_url=self.next_url)
        try:
            for part in decode_parts(self.body):
                page.add(part.records)
                page.read_all()
        except HubError as error:
            raise UnreadableError(str(error)) from error
        if not self.keys or len(page.listed) > len(self.keys):
            return page
        page.prepare_batch(self.keys, self.moment)
        return page.without_records()


class Readers(WorkerPool[None, ReadTask, RecordPage]):
    """Processes that share the pages submitted to them."""

    def __init__(self, count: int | None = None) -> None:
        """Start `count` processes; by default one for each core, up to `workers.MAX_WORKERS`.

        Raises:
            OSError: when a process cannot be started.
        """
        super().__init__(_perform, None, count)


def _perform(setting: None, task: ReadTask) -> RecordPage:  # noqa: ARG001 - there is none
    return task.perform()


class LoadKeys:
    """Keys of new models, drawn for the pages of an initial load and given out by the page."""

    def __init__(self, draw: Callable[[], Sequence[int]], as_of: datetime) -> None:
        """Start without keys.

        Args:
            draw: returns new keys for a page of models.
            as_of: when the pages are observed.
        """
        self._draw, self._moment = draw, as_of.isoformat()
        self._keys: SimpleQueue[Sequence[int]] = SimpleQueue()

    def draw(self, pages: int) -> None:
        """Draw keys for more pages; not from the thread that fetches pages."""
        for _ in range(pages):
            self._keys.put(self._draw())

    def give(self, task: ReadTask) -> ReadTask:
        """Return the task with keys; without them where none are left, as after a retry."""
        try:
            return task._replace(keys=self._keys.get_nowait(), moment=self._moment)
        except Empty:
            return task
