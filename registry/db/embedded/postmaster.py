"""The server's first process: finding and launching it, and ending what an earlier one left."""

import contextlib
import logging
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry.bounded.waiting import attempts, try_lock
from registry.db.embedded import processes
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.installation import Account
from registry.errors import EmbeddedServerError

logger = logging.getLogger("registry.db.embedded")

# Below the ports that Linux and macOS give to outgoing connections, so that it stays free.
_PORTS = range(15432, 32768)
_ORPHANS_LEAVE_BY_THEMSELVES = 2.0  # seconds; idle ones notice the postmaster's death at once
_ORPHANS_LIMIT = 30.0


@dataclass(frozen=True)
class Postmaster:
    """The server's first process, as its postmaster.pid describes it."""

    pid: int
    port: int
    status: str  # starting, ready, stopping


def find(pgdata: Path) -> Postmaster | None:
    """Return the postmaster of a PGDATA, or None if none is alive.

    A process that merely has the number in a stale postmaster.pid does not count.
    """
    try:
        lines = (pgdata / "postmaster.pid").read_text(errors="replace").splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    if pid <= 0:  # a single-user server, not ours to use
        return None
    if not processes.serves(pid, pgdata):
        return None
    return Postmaster(pid, port, lines[7].strip() if len(lines) > 7 else "starting")  # noqa: PLR2004


def _stale_pid(pgdata: Path) -> int | None:
    """Return the number in a postmaster.pid if no server of this PGDATA has it."""
    try:
        # The number of a single-user server is negative.
        pid = abs(int((pgdata / "postmaster.pid").read_text(errors="replace").split()[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return None if processes.serves(pid, pgdata) else pid


def choose_port(preferred: int | None) -> int:
    """Return a port of 127.0.0.1 that is free at this moment, the preferred one if possible."""
    candidates = random.sample(_PORTS, 200)
    for port in [preferred, *candidates] if preferred else candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedServerError("No free port was found on 127.0.0.1 for the embedded server.")


def launch(
    directory: DataDirectory,
    account: Account,
    binaries: Path,
    settings: Mapping[str, str],
) -> int:
    """Launch the server, independent of this process, and return its process id at once."""
    environment = {}
    stale = _stale_pid(directory.postgres)
    if stale is not None:
        # Postgres takes any process of its own user with the stale number for a server, unless it
        # is named as the shell that started it. It is known to be none.
        environment["PG_GRANDPARENT_PID"] = str(stale)
    options = [f"--{name}={value}" for name, value in settings.items()]
    # The shell ends at once, so the server has no parent here: it leaves no zombie, and holds no
    # terminal or pipe.
    script = '"$@" >&2 & echo $!'
    with claimed(directory, account) as life:
        _clear_sockets(directory)
        log = directory.open_log()
        try:
            launched = account.run(
                [
                    *("/bin/sh", "-c", script, "sh"),
                    *(binaries / "postgres", "-D", directory.postgres),
                    *options,
                ],
                stderr=log,
                environment=environment,
                pass_fds=[life],
            )
        finally:
            os.close(log)
    return int(launched.stdout)


def _clear_sockets(directory: DataDirectory) -> None:
    """Remove a dead server's sockets; their lock files hold stale numbers of processes too."""
    if directory.sockets is not None:
        for path in directory.sockets.glob(".s.PGSQL.*"):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def claimed(directory: DataDirectory, account: Account) -> Iterator[int]:
    """Yield a locked file for the server to inherit, once no process of an earlier one is left.

    Only a lock shows that a server lives in every case. Containers may share the directory and see
    neither each other's processes nor shared memory, and two servers would destroy the data; and a
    backend may outlive its postmaster.
    """
    life = directory.open_life()
    try:
        began = time.monotonic()
        for _ in attempts("Waiting for the end of processes of an earlier server", _ORPHANS_LIMIT):
            if try_lock(life):
                break
            if time.monotonic() - began > _ORPHANS_LEAVE_BY_THEMSELVES:
                _kill_orphans(directory.postgres, account)
        else:
            raise EmbeddedServerError(
                f"{directory.postgres} is in use by server processes that cannot be seen or "
                f"ended from here, perhaps in another container: stop that server first."
            )
        yield life
    finally:
        os.close(life)


def _kill_orphans(pgdata: Path, account: Account) -> None:
    """End the backends of a postmaster that is gone; crash recovery follows in any case."""
    # Run by the account: root in a container may not read another user's processes.
    script = 'for p in /proc/[0-9]*; do test "$p/cwd" -ef "$1" && echo "${p#/proc/}"; done'
    listed = account.run(["/bin/sh", "-c", script, "sh", pgdata], stderr=subprocess.DEVNULL)
    for pid in map(int, listed.stdout.split()):
        if processes.send(pid, signal.SIGKILL, partial(processes.is_server, pid)):
            logger.warning("Ended process %d, left behind by a server that was killed", pid)
