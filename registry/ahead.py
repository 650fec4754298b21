"""One thing made while the one before is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


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
