import io
import re

import pytest
from rich.progress import TextColumn

from registry.cli.progress import drawn

COLUMNS = (TextColumn("{task.description}"), TextColumn("{task.fields[said]} {task.completed}"))


class Screen(io.StringIO):
    """A stderr of one's own, which may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_a_terminal_is_drawn_on_and_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=True)
    # Progress is drawn on whatever standard error is: here one that says it is a terminal.
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with drawn(*COLUMNS, task="reading", said="files") as update:
        update(completed=3)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "reading files 3" in plain
    assert screen.getvalue().endswith("\x1b[2K")  # which erases the line


def test_elsewhere_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    with drawn(*COLUMNS, task="reading", said="files") as update:
        update(completed=3)
    assert not screen.getvalue()
