"""How often Python looks for cycles of objects that nobody needs any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than the pages of a sync that wait hold; the default of 700 cost 12 us a model."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Have Python look for cycles seldom: records and items are many objects without any."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
