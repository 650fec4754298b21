"""Worker processes, prefetching, garbage collection and progress of long work.

Workers are programs of their own that talk over pipes. They share no connection, lock or thread
with this process, and they end when it ends, however that happens.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any, BinaryIO, Generic, TypeAlias, TypeVar

Progress: TypeAlias = Callable[[str, int, int], None]
"""Receives what is being done, how much of it is done, and the total; 0 where that is unknown."""


def no_progress(what: str, done: int, total: int) -> None:
    """Ignore the progress."""


WHOLE = 10_000
"""Total of progress that is reported in shares of a whole, whose parts have no common count."""


class Share:
    """Progress of a part of a whole, reported as progress of the whole.

    It never goes back: steps of a part may begin anew, as those of several passes do.
    """

    def __init__(self, on_progress: Progress, start: float, share: float) -> None:
        """Begin a part.

        Args:
            on_progress: receives the progress of the whole, with the total `WHOLE`.
            start: share of the whole that is done when the part begins, in [0, 1].
            share: of the part in the whole, in [0, 1].
        """
        self._on_progress, self._start, self._share = on_progress, start, share
        self._reached = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report a step of the part."""
        if total:
            self._reached = max(self._reached, min(done / total, 1.0))
        self._on_progress(what, round(WHOLE * (self._start + self._share * self._reached)), WHOLE)


class Stage:
    """Progress of a stage: each step is reported with its name.

    A stage of a stage has its own name alone.
    """

    def __init__(self, name: str, on_progress: Progress) -> None:
        self._name = name
        self.outer: Progress = on_progress.outer if isinstance(on_progress, Stage) else on_progress

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report a step of the stage."""
        self.outer(f"{self._name}: {what}", done, total)


MAX_WORKERS = 4
"""Upper limit of a pool's processes: one database session stores what about three can read."""

TASKS_AHEAD = 2
"""Tasks per process that may be done or running before their result is due: bounds memory."""

# Looking for cycles would take a tenth of the time of imports and of work; tasks and results
# have none.
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
"""A function at the top of a module, which processes import by name: of a setting and a task."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class WorkerPool(Generic[_S, _T, _R]):
    """Processes that share the tasks submitted to them."""

    def __init__(self, work: Work[_S, _T, _R], setting: _S, count: int | None = None) -> None:
        """Start the processes.

        Args:
            work: the function that they call.
            setting: its first argument, sent to each process once.
            count: the number of processes; by default one for each core, up to MAX_WORKERS.

        Raises:
            OSError: when a process cannot be started.
        """
        self.count = count or min(MAX_WORKERS, cores())
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
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="workers")

    def submit(self, task: _T) -> Future[_R]:
        """Queue a task; the future has what the work returns or raises."""
        return self._threads.submit(self._do, task)

    def _do(self, task: _T) -> _R:
        worker = self._idle.get()
        try:
            return worker(task)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """Stop the processes, in the middle of a task too."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.end()


def map_in_order(
    work: Work[_S, _T, _R], setting: _S, tasks: Iterable[_T], count: int | None = None
) -> Iterator[_R]:
    """Yield the results of tasks in the order of the tasks.

    Args:
        work: the function to call.
        setting: its first argument.
        tasks: its second argument, one by one; up to TASKS_AHEAD per process are taken early.
        count: number of processes, as in `WorkerPool`. With one core or task, or where no process
            can be started, this process does the work.

    Raises:
        Exception: what the work raises, where that task's result is due.
    """
    waiting = iter(tasks)
    # One task is not worth a process.
    first = list(islice(waiting, 2))
    pool = None
    if len(first) > 1 and (count or cores()) > 1:
        with suppress(OSError):
            pool = WorkerPool(work, setting, count)
    if pool is None:
        for task in chain(first, waiting):
            yield work(setting, task)
        return
    try:
        pending = deque(map(pool.submit, first))
        pending.extend(map(pool.submit, islice(waiting, TASKS_AHEAD * pool.count)))
        while pending:
            result = pending.popleft().result()
            pending.extend(map(pool.submit, islice(waiting, 1)))
            yield result
    finally:
        pool.close()


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Do the tasks of one stream and write results to another, until the first ends."""
    work, setting = pickle.load(tasks)  # noqa: S301 - from the process that started this one
    while True:
        try:
            task = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        try:
            answer = True, work(setting, task)
        except Exception as error:  # noqa: BLE001 - raised in the process that sent the task
            answer = False, _sendable(error)
        try:
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            # The process that sent the task has ended.
            os._exit(0)


def _sendable(error: Exception) -> Exception:
    """Return the error, or one with the same message where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # noqa: BLE001 - many errors take more than their message
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Worker(Generic[_S, _T, _R]):
    """One process of a pool."""

    def __init__(self, work: Work[_S, _T, _R], setting: _S) -> None:
        self._work, self._setting = work, setting
        # A process group of its own: only the parent handles Ctrl-C.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ALONE,
            process_group=0,
        )
        self._started = self._ended = False

    def __call__(self, task: _T) -> _R:
        try:
            if not self._started:
                # Not in `__init__`: a large setting would block until the process reads it.
                self._send(sys.path)
                self._send((self._work, self._setting))
                self._started = True
            self._send(task)
            assert self._process.stdout is not None
            succeeded, answer = pickle.load(self._process.stdout)  # noqa: S301
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            if self._ended:
                raise CancelledError from None
            # Killed, most likely for its memory: this process does the task.
            return self._work(self._setting, task)
        if succeeded:
            result: _R = answer
            return result
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
                # What is still buffered cannot be sent any more.
                with suppress(OSError):
                    stream.close()


BULK_GC_THRESHOLD = 500_000
"""Objects; more than the waiting pages of a sync hold. The default of 700 cost 12 us a model."""


@contextmanager
def infrequent_gc() -> Iterator[None]:
    """Collect garbage rarely: records and items are many objects without cycles."""
    before = gc.get_threshold()
    gc.set_threshold(BULK_GC_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def prefetch(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the items of an iterator, computing the next one in a thread meanwhile.

    Decoding a file releases the interpreter's lock: tables are then read in three quarters of the
    time. One more item is held in memory.

    Raises:
        Exception: what the iterator raises, where that item is due.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
