"""Processes that read pages beside the one that talks to the database.

Reading a record takes as long as storing it, and one Python process does one thing at a time.
Theirs is a plain pipe: when this process ends, however it does, they see its end and follow.
"""

import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import BinaryIO, NamedTuple

from registry.errors import HubError
from registry.reading import Reading, read
from registry.records import decode_page

MOST = 4
"""Readers at most: one database session takes no more than about three can read."""

_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from registry.readers import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
)


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


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Read pages from one stream to another until it ends."""
    # Decoded JSON has no cycles; looking for them takes a tenth of the time.
    gc.disable()
    while True:
        try:
            task = Task(*pickle.load(tasks))  # noqa: S301
        except EOFError:
            return
        answer: Reading | UnreadableError
        try:
            answer = read_whole(task)
        except UnreadableError as error:
            answer = error
        try:
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            # Whoever asked has gone.
            os._exit(0)


class _Reader:
    """One such process."""

    def __init__(self) -> None:
        # A process group of its own: Ctrl-C is for the one that reports it.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self._ended = False
        self._send(sys.path)

    def __call__(self, task: Task) -> Reading:
        try:
            self._send(tuple(task))
            assert self._process.stdout is not None
            answer = pickle.load(self._process.stdout)  # noqa: S301
        except (OSError, EOFError, pickle.UnpicklingError):
            if self._ended:
                raise CancelledError from None
            # Killed, most likely for its memory: this process can do it as well.
            return read_whole(task)
        if isinstance(answer, UnreadableError):
            raise answer
        assert isinstance(answer, Reading)
        return answer

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None
        pickle.dump(value, self._process.stdin, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()

    def end(self) -> None:
        self._ended = True
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # What it has not been told yet cannot be told any more.
                with suppress(OSError):
                    stream.close()


def _cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Readers:
    """Some of these processes, which share the pages handed to them."""

    def __init__(self, count: int | None = None) -> None:
        """Start `count` processes; by default one for each core, MOST at most.

        Raises:
            OSError: when none can be started.
        """
        self.count = count or min(MOST, _cores())
        self._all: list[_Reader] = []
        self._idle: SimpleQueue[_Reader] = SimpleQueue()
        try:
            for _ in range(self.count):
                self._all.append(_Reader())
                self._idle.put(self._all[-1])
        except OSError:
            for reader in self._all:
                reader.end()
            raise
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="reader")

    def submit(self, task: Task) -> Future[Reading]:
        """Have a page read.

        Returns:
            Its reading, or UnreadableError.
        """
        return self._threads.submit(self._read, task)

    def _read(self, task: Task) -> Reading:
        reader = self._idle.get()
        try:
            return reader(task)
        finally:
            self._idle.put(reader)

    def close(self) -> None:
        """End them, whatever they are doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._all:
            reader.end()
