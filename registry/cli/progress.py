"""Progress bars on stderr, if that is a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn

    from registry.workers import Progress


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
def trainings() -> Iterator[Progress]:
    """Draw the step of a training."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeElapsedColumn(),
    )
    with drawn(*columns, task="reading outcomes") as update:

        def on_progress(what: str, done: int, total: int) -> None:
            update(description=what, completed=done, total=total)

        yield on_progress
