import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.workers import (
    BULK_GC_THRESHOLD,
    TASKS_AHEAD,
    WHOLE,
    Share,
    Stage,
    WorkerPool,
    infrequent_gc,
    map_in_order,
    prefetch,
)


class OddError(Exception):
    """An error that pickle cannot build again: it takes more than its message."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"{number}: {why}")


def work(setting: int, task: int) -> tuple[int, int]:
    """Return a product and the process; tasks below zero fail, or kill the process."""
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


def test_results_keep_the_order_of_tasks() -> None:
    results = list(map_in_order(work, 3, iter(range(50)), 2))
    assert [product for product, _ in results] == [3 * task for task in range(50)]
    processes = {pid for _, pid in results}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.parametrize("tasks", [[], [7]])
def test_no_process_is_started_for_one_task(tasks: list[int]) -> None:
    assert list(map_in_order(work, 3, tasks, 2)) == [(21, os.getpid())] * len(tasks)


def test_tasks_are_taken_as_others_finish() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for task in range(100):
            taken.append(task)
            yield task

    results = map_in_order(work, 1, tasks(), 2)
    assert next(results)[0] == 0
    assert len(taken) <= 2 + TASKS_AHEAD * 2 + 1
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 100


def test_an_error_of_the_work_is_raised_where_its_result_is_due() -> None:
    results = map_in_order(work, 1, [4, -1, 5], 2)
    assert next(results)[0] == 4
    with pytest.raises(ValueError, match="below zero"):
        next(results)


def test_an_error_that_cannot_be_pickled_keeps_its_message() -> None:
    with pytest.raises(RuntimeError, match="OddError: -2: further below"):
        list(map_in_order(work, 1, [-2, 1], 2))


def test_this_process_does_the_task_of_a_killed_one() -> None:
    here = os.getpid()
    results = list(map_in_order(work, here, [2, -3, 4], 2))
    assert [product for product, _ in results] == [2 * here, -3 * here, 4 * here]
    assert results[1][1] == here


def test_this_process_does_all_tasks_without_an_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert list(map_in_order(work, 2, [1, 2, 3], 2)) == [
        (2 * each, os.getpid()) for each in (1, 2, 3)
    ]


def test_closing_waits_for_no_task() -> None:
    with closing(WorkerPool(nap, None, 2)) as pool:
        assert pool.submit(0).result(60) == 0
        running = pool.submit(600)
        began = time.monotonic()
    assert time.monotonic() - began < 60
    # Cancelled before it began, or stopped in the middle.
    assert running.cancelled() or running.exception(60) is not None


def test_prefetched_items_keep_their_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []
    assert list(prefetch(iter([None, False, None]))) == [None, False, None]


def test_the_next_item_is_computed_while_one_is_used() -> None:
    computed: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            computed.append(number)
            if number == 1:
                second.set()
            yield number

    items_ahead = prefetch(items())
    assert next(items_ahead) == 0
    assert second.wait(60)
    items_ahead.close()  # type: ignore[attr-defined]
    assert computed == [0, 1]


def test_an_error_of_an_iterator_is_raised_where_its_item_is_due() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    items_ahead = prefetch(items())
    assert next(items_ahead) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items_ahead)


def test_garbage_is_collected_rarely_only_meanwhile() -> None:
    before = gc.get_threshold()
    try:
        with infrequent_gc():
            assert gc.get_threshold() == (BULK_GC_THRESHOLD, *before[1:])
        assert gc.get_threshold() == before
    finally:
        gc.set_threshold(*before)


def test_a_step_is_reported_with_its_stage_and_a_stage_of_a_stage_alone() -> None:
    reports: list[tuple[str, int, int]] = []
    outer = Stage("final fit", lambda *report: reports.append(report))
    outer("irt", 1, 2)
    Stage("choosing settings", outer)("knn", 0, 0)
    assert reports == [("final fit: irt", 1, 2), ("choosing settings: knn", 0, 0)]


def test_a_part_is_reported_as_a_share_of_the_whole_and_never_goes_back() -> None:
    reports = []
    outer = Share(lambda *report: reports.append(report), 0.5, 0.5)
    inner = Share(outer, 0.0, 0.5)
    for done, total in ((1, 4), (3, 4), (1, 2), (9, 4), (0, 0)):
        inner("irt", done, total)
    Share(outer, 0.5, 0.5)("texts", 1, 2)
    assert [done for _, done, _ in reports] == [5625, 6875, 6875, 7500, 7500, 8750]
    assert {total for _, _, total in reports} == {WHOLE}
    assert reports[-1][0] == "texts"
