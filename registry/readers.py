"""Processes that read pages beside the one that talks to the database.

Reading a record takes as long as storing it, and one Python process does one thing at a time.
"""

from typing import NamedTuple

from registry.crowd import Crowd
from registry.errors import HubError
from registry.reading import Reading, read
from registry.records import decode_page


class UnreadableError(HubError):
    """The body of a page is no list of records."""


class Task(NamedTuple):
    """One page to read."""

    body: bytes
    url: str
    next_url: str | None


def read_whole(task: Task) -> Reading:
    """Decode a page and read every record of it.

    Raises:
        UnreadableError: when the body is no list of records.
    """
    try:
        records = decode_page(task.body)
    except HubError as error:
        raise UnreadableError(str(error)) from error
    return read(records, task.url, task.next_url).complete()


class Readers(Crowd[None, Task, Reading]):
    """Some of these processes, which share the pages handed to them."""

    def __init__(self, count: int | None = None) -> None:
        """Start `count` processes; by default one for each core, `crowd.MOST` at most.

        Raises:
            OSError: when none can be started.
        """
        super().__init__(_read, None, count)


def _read(setting: None, task: Task) -> Reading:  # noqa: ARG001 - there is nothing to set
    return read_whole(task)
