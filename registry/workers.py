"""One kind of work divided among processes.

A Python process does one thing at a time. These are started as programs of their own, which talk
over pipes: they share no connection, lock or thread with this process, whatever it has open, and
when it ends, however it does, they see its end and follow.
"""

import atexit
import gc
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any, BinaryIO, Generic, TypeVar

MOST = 4
"""Processes at most: one database session takes no more than about three can make."""

AHEAD = 2
"""Tasks of each process that are done or under way before their turn comes: bounds memory."""

# Looking for cycles would take a tenth of the time, of imports as of the work, and what is read,
# made and sent has none.
_START = (
    "import gc, pickle, sys; gc.disable(); sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from registry.workers import serve; answers = sys.stdout.buffer; "
    "sys.stdout = sys.stderr; serve(sys.stdin.buffer, answers)"
)
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

_S = TypeVar("_S")
_T = TypeVar("_T")
_R = TypeVar("_R")

Work = Callable[[_S, _T], _R]
"""A function of a module, by whose name processes find it: of a setting, and of a task."""


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Crowd(Generic[_S, _T, _R]):
    """Some of these processes, which share the tasks handed to them."""

    def __init__(self, work: Work[_S, _T, _R], setting: _S, count: int | None = None) -> None:
        """Start `count` processes; by default one for each core, MOST at most.

        Args:
            work: what they do.
            setting: its first argument, of which each gets a copy once.
            count: how many.

        Raises:
            OSError: when none can be started.
        """
        self.count = count or min(MOST, cores())
        self._all: list[_Worker[_S, _T, _R]] = []
        self._idle: SimpleQueue[_Worker[_S, _T, _R]] = SimpleQueue()
        try:
            for _ in range(self.count):
                self._all.append(_Worker(work, setting))
                self._idle.put(self._all[-1])
        except OSError:
            for worker in self._all:
                worker.end()
            raise
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="crowd")

    def submit(self, task: _T) -> Future[_R]:
        """Have a task done.

        Returns:
            What the work returns, or raises.
        """
        return self._threads.submit(self._do, task)

    def _do(self, task: _T) -> _R:
        worker = self._idle.get()
        try:
            return worker(task)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End them, whatever they are doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.end()


def divided(
    work: Work[_S, _T, _R], setting: _S, tasks: Iterable[_T], count: int | None = None
) -> Iterator[_R]:
    """Yield what comes of tasks, in their order.

    Args:
        work: what is done.
        setting: its first argument.
        tasks: its second one; `AHEAD` for each process are taken before their turn.
        count: of processes, as `Crowd`. With one core or task, or where no process can be started,
            the work is done in this one.

    Raises:
        Exception: what the work raises, when its turn comes.
    """
    waiting = iter(tasks)
    # One task is not worth a process.
    first = list(islice(waiting, 2))
    crowd = None
    if len(first) > 1 and (count or cores()) > 1:
        with suppress(OSError):
            crowd = Crowd(work, setting, count)
    if crowd is None:
        for some in (first, waiting):
            for task in some:
                yield work(setting, task)
        return
    try:
        under_way = deque(map(crowd.submit, first))
        under_way.extend(map(crowd.submit, islice(waiting, AHEAD * crowd.count)))
        while under_way:
            made = under_way.popleft().result()
            under_way.extend(map(crowd.submit, islice(waiting, 1)))
            yield made
    finally:
        crowd.close()


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Do the tasks of one stream, answering on another, until it ends; for such a process."""
    work, setting = pickle.load(tasks)  # noqa: S301 - from the process that started this one
    while True:
        try:
            task = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        try:
            answer = True, work(setting, task)
        except Exception as error:  # noqa: BLE001 - raised where the work was asked for
            answer = False, _sendable(error)
        try:
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            # Whoever asked has gone.
            os._exit(0)


def _sendable(error: Exception) -> Exception:
    """Return the error, or one that says the same where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001 - many errors take more than their message
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Worker(Generic[_S, _T, _R]):
    """One such process."""

    def __init__(self, work: Work[_S, _T, _R], setting: _S) -> None:
        self._work, self._setting = work, setting
        # A process group of its own: Ctrl-C is for the one that reports it.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ALONE,
            process_group=0,
        )
        self._told = self._ended = False

    def __call__(self, task: _T) -> _R:
        try:
            if not self._told:
                # Not before: it may be large, and wait until the process takes it.
                self._send(sys.path)
                self._send((self._work, self._setting))
                self._told = True
            self._send(task)
            assert self._process.stdout is not None
            right, answer = pickle.load(self._process.stdout)  # noqa: S301
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            if self._ended:
                raise CancelledError from None
            # Killed, most likely for its memory: this process can do it as well.
            return self._work(self._setting, task)
        if right:
            made: _R = answer
            return made
        assert isinstance(answer, Exception)
        raise answer

    def _send(self, value: Any) -> None:
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


OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than the pages of a sync that wait hold; the default of 700 cost 12 us a model."""


OBJECTS_OF_IMPORTS = 50_000
"""About what a command imports: looking for cycles meanwhile took a sixth more time."""


def relax() -> None:
    """Have this process look for cycles seldom, and not once more when it ends.

    For programs that run once. Modules are full of cycles: looking through all of them kept a sync
    from ending for 0.35 s.
    """
    gc.set_threshold(OBJECTS_OF_IMPORTS)
    atexit.register(gc.freeze)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Have Python look for cycles seldom: records and items are many objects without any."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield what an iterator yields, whose next item is made meanwhile in a thread.

    Decoding a file leaves Python to others: the tables of a file are then read in three quarters
    of the time. One item more is kept in memory.

    Raises:
        Exception: what the iterator raises, when that item's turn comes.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as beside:
        waiting = beside.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = beside.submit(next, items, end)
            yield item  # type: ignore[misc]
