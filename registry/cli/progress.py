"""Progress on stderr: as a bar on a terminal, else in lines."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from registry.cli import figures
from registry.cli.console import say
from registry.workers import WHOLE, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn

    from registry.workers import Progress

EVERY = 5.0
"""Seconds between two lines of progress, where a stage goes on."""

SILENT = 30.0
"""Seconds after which a line says that a stage goes on, where it reports nothing."""


def is_seen() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def drawn(*columns: ProgressColumn, task: str, **fields: Any) -> Iterator[Callable[..., None]]:
    """Draw a progress bar until the task is done.

    Yields:
        The update function, as `rich.progress.Progress.update`: of `completed`, `total`,
        `description`, and the columns' own `fields`. It does nothing if stderr is no terminal.
    """
    if not is_seen():
        yield lambda **_: None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield partial(progress.update, progress.add_task(task, total=None, **fields))


@contextmanager
def downloads() -> Iterator[Progress]:
    """Draw the bytes of files that are fetched."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with drawn(*columns, task="asking for the file") as update:

        def on_progress(what: str, done: int, total: int) -> None:
            update(description=what, completed=done, total=total)

        yield on_progress


@contextmanager
def trainings(first: str, *, in_lines: bool = True) -> Iterator[Progress]:
    """Show the stages of a long computation, and how much of each is done.

    A bar is drawn on a terminal; else there are lines, as of cron or in a file. Of several
    processes of torchrun, the first one alone shows them.

    Args:
        first: the stage that begins, shown at once.
        in_lines: whether there are lines where there is no terminal.
    """
    if os.environ.get("RANK", "0") != "0" or not (in_lines or is_seen()):
        yield no_progress
        return
    if not is_seen():
        with lines(first) as on_progress:
            yield on_progress
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[shown]}", markup=False),
        TimeElapsedColumn(),
    )
    with drawn(*columns, task=first, shown="") as update:
        stage = _Stage(first)

        def on_progress(what: str, done: int, total: int) -> None:
            stage.go_on(what, done, total)
            update(description=what, completed=done, total=total or 0, shown=stage.shown())

        yield on_progress


class _Stage:
    """Stage of a computation that is under way."""

    def __init__(self, name: str) -> None:
        self.name, self._done, self._total = name, 0, 0
        self._began, self._start = time.monotonic(), 0

    def go_on(self, name: str, done: int, total: int) -> bool:
        """Receive the progress, as `registry.workers.Progress`; return whether a stage begins."""
        begins = name != self.name
        # Steps of other names that are counted on are steps of one stage.
        if begins and (total != self._total or done < self._done):
            self._began, self._start = time.monotonic(), done
        self.name, self._done, self._total = name, done, total
        return begins

    def shown(self) -> str:
        """Return how much of the stage is done, and how long the rest may take, as people read."""
        if not self._total:
            return ""
        share = f"{min(self._done / self._total, 1):.0%}"
        counted = f"{self._done:,} of {self._total:,} ({share})"
        share = f"{share} of the whole" if self._total == WHOLE else counted
        if not self._start < self._done < self._total:
            return share
        pace = (time.monotonic() - self._began) / (self._done - self._start)
        return f"{share}, about {figures.span((self._total - self._done) * pace)} left"


@contextmanager
def lines(first: str) -> Iterator[Progress]:
    """Write a line at each new stage, and every few seconds of a stage."""
    writer, ended = _Lines(first), Event()
    thread = Thread(target=writer.go_on, args=(ended,), name="progress", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        ended.set()
        thread.join()


class _Lines:
    """Writes lines of progress."""

    def __init__(self, first: str) -> None:
        self._lock = Lock()
        self._began = self._written = time.monotonic()
        self._stage = _Stage(first)
        self._write()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Receive the progress, as `registry.workers.Progress`."""
        with self._lock:
            begins = self._stage.go_on(what, done, total)
            if begins or time.monotonic() - self._written >= EVERY:
                self._write()

    def go_on(self, ended: Event) -> None:
        """Write a line now and then, until the event, where a stage reports nothing."""
        while not ended.wait(1.0):
            with self._lock:
                if time.monotonic() - self._written >= SILENT:
                    self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        shown = self._stage.shown()
        elapsed = figures.span(self._written - self._began)
        # A computation goes on when nobody reads its progress any more.
        with suppress(OSError, ValueError):
            say(f"{elapsed}: {self._stage.name}{shown and ', '}{shown}")
