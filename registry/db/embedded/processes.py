"""Processes of the operating system: which serve a PGDATA, what they do, and signals to them."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from registry.db.embedded.installation import Account
from registry.errors import EmbeddedServerError

PROGRAM = "postgres"


class Child(NamedTuple):
    """A process of a server: its number, title, state as in `ps`, and processor time in ticks."""

    pid: int
    title: str
    state: str
    ticks: int


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # as a container's init, this process inherits orphans
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    fields = _stat(pid)
    if fields is None:
        return not sys.platform.startswith("linux")
    return fields[0] not in {"Z", "X"}


def is_suspended(pid: int) -> bool:
    """Return whether a process was suspended (SIGSTOP); False where there is no /proc."""
    fields = _stat(pid)
    return fields is not None and fields[0] == "T"


def serves(pid: int, pgdata: Path) -> bool:
    """Return whether a process is a Postgres that serves a PGDATA."""
    if not sys.platform.startswith("linux"):
        shown = Account().run(["ps", "-ww", "-o", "command=", "-p", str(pid)]).stdout
        return "postgres" in shown and f"-D {pgdata}" in shown
    process = Path("/proc", str(pid))
    try:
        ours = process.stat().st_uid == pgdata.stat().st_uid
        if not ours or process.joinpath("comm").read_text().strip() != PROGRAM:
            return False
        try:
            return process.joinpath("cwd").samefile(pgdata)
        except PermissionError:
            # In a container root often may not read that, but everybody may read the arguments.
            arguments = process.joinpath("cmdline").read_bytes().split(b"\0")
            return os.fsencode(pgdata) in arguments
    except OSError:
        return False


def is_server(pid: int) -> bool:
    """Return whether a process is one of a Postgres server, and not its single-user program."""
    process = Path("/proc", str(pid))
    try:
        is_postgres = process.joinpath("comm").read_text().strip() == PROGRAM
        return is_postgres and b"--single" not in process.joinpath("cmdline").read_bytes()
    except OSError:
        return False


def send(pid: int, number: int, is_ours: Callable[[], bool]) -> bool:
    """Send a signal to a process if it is ours, and to no other that has its number by now.

    Raises:
        EmbeddedServerError: it belongs to another user.
    """
    handle = None
    with contextlib.suppress(AttributeError, OSError):  # not on macOS, nor in some containers
        handle = os.pidfd_open(pid)
    try:
        # The handle stays that of this process, whoever gets the number after it.
        if not is_ours():
            return False
        if handle is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise EmbeddedServerError(
            f"The embedded server (process {pid}) belongs to another user: only that user and "
            "root may stop it."
        ) from error
    finally:
        if handle is not None:
            os.close(handle)
    return True


def children(pid: int) -> list[Child]:
    """Return the processes that a server has started; none where there is no /proc."""
    return sorted(_children(pid))


def _children(parent: int) -> Iterator[Child]:
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields is None or int(fields[1]) != parent:
            continue
        with contextlib.suppress(OSError):
            title = (
                path.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            yield Child(
                pid=int(path.name),
                title=title.strip().removeprefix(f"{PROGRAM}: "),
                state=fields[0],
                ticks=int(fields[11]) + int(fields[12]),
            )


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on: state, parent, ..."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
