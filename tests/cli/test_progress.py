import io
import re
import time

import pytest
from rich.progress import TextColumn

from registry.cli import progress
from registry.cli.progress import drawn, trainings
from registry.workers import WHOLE

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


def test_lines_are_written_at_new_stages_and_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "EVERY", 0.2)
    with trainings("loading") as on_progress:
        # At once, before whatever takes long.
        assert screen.getvalue() == "0.0 s: loading\n"
        for done in range(60):
            on_progress("reading", done, 60)
            time.sleep(0.01)
        on_progress("saving [it]", 0, 0)
    written = screen.getvalue().splitlines()
    assert written[1].endswith(": reading, 0 of 60 (0%)")
    assert written[-1].endswith(": saving [it]")
    between = written[2:-1]
    assert 1 <= len(between) <= 5
    assert all(re.fullmatch(r"[\d.]+ s: reading, \d+ of 60 \(\d+%\), about [\d.]+ s left", each)
               for each in between)  # fmt: skip


def test_a_stage_without_reports_is_named_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "SILENT", 0.5)
    with trainings("loading"):
        until = time.monotonic() + 20
        while screen.getvalue().count("loading\n") < 2 and time.monotonic() < until:
            time.sleep(0.05)
    assert screen.getvalue().count("loading\n") >= 2


def test_time_left_counts_on_over_steps_of_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    with trainings("loading") as on_progress:
        for done in range(4):
            on_progress(f"method {done}", done, 4)
            time.sleep(0.02)
        on_progress("another", 0, 4)
    written = screen.getvalue().splitlines()
    assert [" left" in each for each in written] == [False, False, True, True, True, False]


def test_time_left_is_by_the_pace_of_what_was_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the steps that were done before, as of a computation that is gone on with."""
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    clock = 100.0
    monkeypatch.setattr("registry.cli.progress.time.monotonic", lambda: clock)
    with trainings("loading") as on_progress:
        on_progress("reading", 60, 100)
        clock += 20
        on_progress("reading", 80, 100)
    assert (
        screen.getvalue().splitlines()[-1].endswith(": reading, 80 of 100 (80%), about 20 s left")
    )


def test_a_share_of_the_whole_is_shown_in_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    with trainings("loading") as on_progress:
        on_progress("choosing settings: irt", 2_500, WHOLE)
    written = screen.getvalue().splitlines()
    assert written[-1].endswith(": choosing settings: irt, 25% of the whole")


def test_one_process_of_torchrun_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("RANK", "1")
    with trainings("loading") as on_progress:
        on_progress("reading", 0, 1)
    assert not screen.getvalue()


def test_a_reader_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=False)
    monkeypatch.setattr("sys.stderr", screen)
    with trainings("loading") as on_progress:
        screen.close()
        on_progress("reading", 0, 1)


def test_stages_are_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(terminal=True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with trainings("loading [it]") as on_progress:
        on_progress("reading", 3, 4)
        time.sleep(0.3)
        on_progress("saving", 0, 0)
        time.sleep(0.3)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "loading [it]" in plain
    assert "3 of 4 (75%)" in plain
    assert "saving" in plain
