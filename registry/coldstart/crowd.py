"""One kind of work divided among processes, each with what it takes to do it.

A Python process does one thing at a time. These are started as programs of their own, which talk
over pipes: they share no connection, lock or thread with this process, whatever it has open, and
when it ends, however it does, they see its end and follow.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any, BinaryIO, Generic, TypeVar

MOST = 4
"""Processes at most: one database session takes no more than about four can make."""

AHEAD = 2
"""Tasks of each process that are done or under way before their turn comes: bounds memory."""

_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from registry.coldstart.crowd import serve; answers = sys.stdout.buffer; "
    "sys.stdout = sys.stderr; serve(sys.stdin.buffer, answers)"
)
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

_S = TypeVar("_S")
_T = TypeVar("_T")
_R = TypeVar("_R")

Work = Callable[[_S, _T], _R]


def cores() -> int:
    """Return how many cores this process may use, `MOST` at most."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return min(MOST, len(affinity(0)) if affinity else os.cpu_count() or 1)


def divided(
    work: Work[_S, _T, _R], setting: _S, tasks: Iterable[_T], processes: int | None = None
) -> Iterator[_R]:
    """Yield what comes of tasks, in their order.

    Args:
        work: a function of a module, by whose name the processes find it.
        setting: its first argument, which each process is given once.
        tasks: its second argument; `AHEAD` for each process are taken before their turn.
        processes: how many; by default as many as `cores`. With one, or where none can be started,
            the work is done in this one.

    Raises:
        Exception: what the work raises, when its turn comes.
    """
    count = cores() if processes is None else processes
    waiting = iter(tasks)
    # One task is not worth a process.
    first = list(islice(waiting, 2))
    crowd: list[_Worker[_S, _T, _R]] = []
    try:
        if count > 1 and len(first) > 1:
            with suppress(OSError):
                crowd += (_Worker(work, setting) for _ in range(count))
        if not crowd:
            for some in (first, waiting):
                for task in some:
                    yield work(setting, task)
            return
        yield from _done(crowd, first, waiting)
    finally:
        for worker in crowd:
            worker.end()


def _done(
    crowd: "list[_Worker[_S, _T, _R]]", first: list[_T], waiting: Iterator[_T]
) -> Iterator[_R]:
    idle: SimpleQueue[_Worker[_S, _T, _R]] = SimpleQueue()
    for worker in crowd:
        idle.put(worker)

    def do(task: _T) -> _R:
        worker = idle.get()
        try:
            return worker(task)
        finally:
            idle.put(worker)

    under_way: deque[Future[_R]] = deque()
    threads = ThreadPoolExecutor(len(crowd), thread_name_prefix="crowd")
    try:
        under_way.extend(threads.submit(do, task) for task in first)
        for task in islice(waiting, max(AHEAD * len(crowd) - len(first), 0)):
            under_way.append(threads.submit(do, task))
        while under_way:
            made = under_way.popleft().result()
            for task in islice(waiting, 1):
                under_way.append(threads.submit(do, task))
            yield made
    finally:
        for each in under_way:
            each.cancel()
        for worker in crowd:
            worker.end()
        threads.shutdown()


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Do the tasks of one stream, answering on another, until it ends."""
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
    """Return an error that can be pickled, with its message."""
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
        self._told = self._gone = self._ended = False

    def __call__(self, task: _T) -> _R:
        if self._gone:
            return self._work(self._setting, task)
        try:
            if not self._told:
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
            self._gone = True
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
