import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.workers import AHEAD, Crowd, divided


class OddError(Exception):
    """One that pickle cannot make again: it takes more than its message."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"{number}: {why}")


def work(setting: int, task: int) -> tuple[int, int]:
    """Return a product, and who made it; tasks below zero fail, or end the process itself."""
    if task == -1:
        raise ValueError("below zero")
    if task == -2:
        raise OddError(task, "further below")
    if task == -3 and os.getpid() != setting:
        os.kill(os.getpid(), signal.SIGKILL)
    return setting * task, os.getpid()


def nap(setting: None, task: float) -> float:
    time.sleep(task)
    return task


def test_processes_do_all_tasks_in_their_order() -> None:
    made = list(divided(work, 3, iter(range(50)), 2))
    assert [product for product, _ in made] == [3 * task for task in range(50)]
    makers = {pid for _, pid in made}
    assert len(makers) == 2
    assert os.getpid() not in makers


@pytest.mark.parametrize("tasks", [[], [7]])
def test_no_process_is_started_for_one_task(tasks: list[int]) -> None:
    assert list(divided(work, 3, tasks, 2)) == [(21, os.getpid())] * len(tasks)


def test_tasks_are_taken_as_they_are_done() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for task in range(100):
            taken.append(task)
            yield task

    results = divided(work, 1, tasks(), 2)
    assert next(results)[0] == 0
    assert len(taken) <= 2 + AHEAD * 2 + 1
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 100


def test_an_error_of_the_work_is_raised_when_its_turn_comes() -> None:
    results = divided(work, 1, [4, -1, 5], 2)
    assert next(results)[0] == 4
    with pytest.raises(ValueError, match="below zero"):
        next(results)


def test_an_error_that_cannot_be_sent_is_told() -> None:
    with pytest.raises(RuntimeError, match="OddError: -2: further below"):
        list(divided(work, 1, [-2, 1], 2))


def test_what_a_killed_process_was_doing_is_done_here() -> None:
    here = os.getpid()
    made = list(divided(work, here, [2, -3, 4], 2))
    assert [product for product, _ in made] == [2 * here, -3 * here, 4 * here]
    assert made[1][1] == here


def test_without_an_interpreter_the_work_is_done_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert list(divided(work, 2, [1, 2, 3], 2)) == [(2 * each, os.getpid()) for each in (1, 2, 3)]


def test_closing_waits_for_nobody() -> None:
    with closing(Crowd(nap, None, 2)) as crowd:
        assert crowd.submit(0).result(60) == 0
        under_way = crowd.submit(600)
        began = time.monotonic()
    assert time.monotonic() - began < 60
    # Cancelled before it began, or taken away from who was at it.
    assert under_way.cancelled() or under_way.exception(60) is not None
