"""Bounded waits that say, every few seconds, what they are for."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator

logger = logging.getLogger("registry.bounded.waiting")

EVERY = 10.0
"""Seconds after which a wait says what it is for, and then again: none is silent for longer."""

_OFTEN, _SELDOM = 0.02, 1.0  # seconds between two attempts, at first and later


def attempts(what: str | Callable[[], str], limit: float) -> Iterator[None]:
    """Yield again and again until `limit` seconds have passed; the caller leaves when it is done.

    Args:
        what: a sentence without its end, for the log: "Waiting for ..."; or what returns it.
        limit: in seconds; the caller says what happens then.
    """
    began = reported = time.monotonic()
    while True:
        yield
        now = time.monotonic()
        if now - began >= limit:
            return
        if now - reported >= EVERY:
            said = what if isinstance(what, str) else what()
            logger.info("%s (%.0f s so far, %.0f s at most)", said, now - began, limit)
            reported = now
        time.sleep(min(max(_OFTEN, (now - began) / 20), _SELDOM))


def try_lock(descriptor: int) -> bool:
    """Lock a file for this descriptor alone; return False if another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, what: str | Callable[[], str], limit: float) -> bool:
    """Lock a file as `try_lock`, waiting for another process as `attempts` does."""
    return any(try_lock(descriptor) for _ in attempts(what, limit))
