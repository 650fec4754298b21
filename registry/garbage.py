"""How often Python looks for cycles of objects that nobody needs any more."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""More than the pages of a sync that wait hold; the default of 700 cost 12 us a model."""

OBJECTS_OF_IMPORTS = 50_000
"""About what a command imports: looking for cycles meanwhile took a sixth more time."""


def relax() -> None:
    """Have this process look for cycles seldom, and not once more when it ends.

    For programs that run once. Modules are full of cycles: looking through all of them kept a sync
    from ending for 0.35 s.
    """
    gc.set_threshold(OBJECTS_OF_IMPORTS)
    atexit.register(gc.freeze)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Have Python look for cycles seldom: records and items are many objects without any."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
