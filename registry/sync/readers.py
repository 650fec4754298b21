"""Processes that read pages beside the one that talks to the database.

RecordPage a record takes as long as storing it, and one Python process does one thing at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple

from registry.errors import HubError
from registry.hub.decode import decode_parts
from registry.sync.batch import Batch, batch
from registry.sync.page import RecordPage
from registry.workers import WorkerPool


class UnreadableError(HubError):
    """The body of a page is no list of records."""


class Task(NamedTuple):
    """One page to read."""

    body: bytes
    url: str
    next_url: str | None

    def perform(self) -> RecordPage:
        """Decode the page and read every record of it.

        Raises:
            UnreadableError: when the body is no list of records.
        """
        return _read(self)


class LoadTask(NamedTuple):
    """One page of a first load, to be made ready.

    Attributes:
        page: what is to be read.
        keys: for its models.
        moment: when it was observed, as Postgres reads it.
    """

    page: Task
    keys: Sequence[int]
    moment: str

    def perform(self) -> Batch | RecordPage:
        """Make the page ready; where there are not keys enough, read it.

        Raises:
            UnreadableError: when the body is no list of records.
        """
        reading = _read(self.page)
        if len(reading.listed) > len(self.keys):
            return reading
        return batch(reading, self.keys, self.moment)


def _read(task: Task) -> RecordPage:
    reading = RecordPage(url=task.url, next_url=task.next_url)
    try:
        for part in decode_parts(task.body):
            reading.add(part.records)
            reading.complete()
    except HubError as error:
        raise UnreadableError(str(error)) from error
    return reading


class Readers(WorkerPool[None, Task | LoadTask, RecordPage | Batch]):
    """Some of these processes, which share the pages handed to them."""

    def __init__(self, count: int | None = None) -> None:
        """Start `count` processes; by default one for each core, `workers.MAX_WORKERS` at most.

        Raises:
            OSError: when none can be started.
        """
        super().__init__(_perform, None, count)


def _perform(setting: None, task: Task | LoadTask) -> RecordPage | Batch:  # noqa: ARG001 - none
    return task.perform()
