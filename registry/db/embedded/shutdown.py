"""Shutdown of the embedded server in bounded time, whatever state it is in.

Postgres has a trap: a "fast" shutdown (SIGINT) while the server recovers from the crash of one of
its processes leaves it "stopping" for ever, with processes that nobody ends. So a recovery is
waited for first; and a server that makes no progress gets an "immediate" shutdown (SIGQUIT), which
loses nothing: what was committed is in the write-ahead log, and is replayed at the next start.
"""

import logging
import signal
import time

from registry.bounded.waiting import attempts
from registry.db.embedded import answers, processes
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.installation import find_account
from registry.db.embedded.postmaster import Postmaster, claimed, find
from registry.errors import EmbeddedServerError

logger = logging.getLogger("registry.db.embedded")

RECOVERY_LIMIT = 30.0
"""Seconds for which a shutdown waits for the end of a recovery."""

SESSIONS_LIMIT = 30.0
"""Seconds that a fast shutdown may take until it writes its checkpoint."""

CHECKPOINT_LIMIT = 300.0
"""Seconds that it may take in all; the page cache, at most 2 GiB, is written to disk."""

STILL_LIMIT = 3.0
"""Seconds for which a server that is stopping may do nothing at all."""

IMMEDIATE_LIMIT = 15.0
"""Seconds that an immediate shutdown may take; the server kills its processes after 5 s."""

KILLED_LIMIT = 10.0

# Processes that a fast shutdown ends last, when nothing but the checkpoint is left to do.
_LAST = ("checkpointer", "io worker", "archiver", "logger")


def stop(directory: DataDirectory, process: Postmaster, *, at_once: bool = False) -> None:
    """Shut a server down and wait until it has ended.

    Args:
        directory: of the server.
        process: its postmaster.
        at_once: whether to leave a recovery to the next start.

    Raises:
        EmbeddedServerError: it has not ended, though it was killed.
    """
    resume(directory, process)
    if not at_once and _recovered(directory):
        _send(directory, process, signal.SIGINT)
        if _ended_in_order(directory, process):
            return
        logger.warning(
            "The embedded server (process %d) does not stop in order: it is stopped at once, and "
            "recovers at its next start; nothing is lost",
            process.pid,
        )
    _send(directory, process, signal.SIGQUIT)
    if _ended(directory, process, IMMEDIATE_LIMIT):
        return
    logger.warning("The embedded server (process %d) does not end: it is killed", process.pid)
    _send(directory, process, signal.SIGKILL)
    if not _ended(directory, process, KILLED_LIMIT):
        raise EmbeddedServerError(
            f"The embedded server (process {process.pid}) could not be ended, even by SIGKILL: "
            f"the disk of {directory.root} may not answer. Try again when it does."
        )
    end_orphans(directory)


def resume(directory: DataDirectory, process: Postmaster) -> None:
    """Let a server go on that may have been suspended."""
    _send(directory, process, signal.SIGCONT)


def end_orphans(directory: DataDirectory) -> None:
    """End processes that outlive their postmaster, which prevent the next start.

    Raises:
        EmbeddedServerError: there are some that cannot be seen or ended from here.
    """
    if directory.postgres.exists():
        with claimed(directory, find_account(directory)):
            pass


def _recovered(directory: DataDirectory) -> bool:
    """Wait until a server is not recovering; return whether an orderly shutdown is safe then."""
    for _ in attempts(
        "Waiting for the embedded server, which recovers from a crash, before it is stopped",
        RECOVERY_LIMIT,
    ):
        process = find(directory.postgres)  # again: its state changes
        if process is None or not answers.is_recovering(process):
            return True
    return False


def _ended_in_order(directory: DataDirectory, process: Postmaster) -> bool:
    """Wait for the end of a fast shutdown; return False if it does not get on."""
    began = moved = time.monotonic()
    before: list[processes.Child] = []
    for _ in attempts("The embedded server is still writing its data to disk", CHECKPOINT_LIMIT):
        if not _lives(directory, process):
            return True
        now, left = time.monotonic(), processes.children(process.pid)
        if left != before or not _has_nothing_to_do(left):
            before, moved = left, now
        writes = any("shutdown checkpoint" in child.title for child in left)
        if now - moved > STILL_LIMIT or (not writes and now - began > SESSIONS_LIMIT):
            return False
    return False


def _has_nothing_to_do(left: list[processes.Child]) -> bool:
    """Return whether only the last processes of a shutdown are left, and none of them works."""
    return bool(left) and all(
        child.title.startswith(_LAST) and "performing" not in child.title and child.state == "S"
        for child in left
    )


def _ended(directory: DataDirectory, process: Postmaster, limit: float) -> bool:
    what = "Waiting for the end of the embedded server"
    return any(not _lives(directory, process) for _ in attempts(what, limit))


def _lives(directory: DataDirectory, process: Postmaster) -> bool:
    return processes.is_alive(process.pid) and processes.serves(process.pid, directory.postgres)


def _send(directory: DataDirectory, process: Postmaster, number: int) -> None:
    processes.send(process.pid, number, lambda: processes.serves(process.pid, directory.postgres))
