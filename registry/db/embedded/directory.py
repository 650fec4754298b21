"""Data directory of the embedded server: paths of its files, and locks on them."""

import contextlib
import errno
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.bounded.waiting import lock
from registry.errors import EmbeddedServerError

# A socket's whole path has 107 bytes on Linux and 103 on macOS.
_SOCKET_PATH_BYTES = 103 - len("/.s.PGSQL.65535")
_LOG_BYTES = 4 << 20
_LOG_END = 64 << 10
_ROOM_TO_START = 20 << 20  # one file of the write-ahead log, and a little more
_LOCK_LIMIT = 600.0  # seconds
_INIT_PREFIX = ".initdb-"


@dataclass(frozen=True)
class DataDirectory:
    """The paths below one data directory.

    Only `postgres` and `sockets` belong to the server's account. The registry's own files lie
    outside them: under root, the server's account must not be able to place a link that root would
    follow.
    """

    root: Path

    @property
    def postgres(self) -> Path:
        """PGDATA."""
        return self.root / "postgres"

    @property
    def sockets(self) -> Path | None:
        """The directory of the Unix socket; None where its path is too long for a socket."""
        path = self.root / "sockets"
        return path if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES else None

    @property
    def log(self) -> Path:
        """The log of the server."""
        return self.root / "postgres.log"

    @property
    def keep(self) -> Path:
        """A file that exists while the server runs until `stop`."""
        return self.root / "postgres.keep"

    @property
    def password(self) -> Path:
        """The password of the database's owner, readable by the directory's owner alone."""
        return self.root / "postgres.password"

    @property
    def port(self) -> Path:
        """The port used last, to be used again."""
        return self.root / "postgres.port"

    def create(self) -> None:
        """Create the directory and its missing parents; existing ones stay as they are."""
        missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                path.chmod(0o755)  # the server's account has to pass, whatever the umask

    def open(self, path: Path, flags: int) -> int:
        """Open one of the registry's files, private to the directory's owner, following no link."""
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            # Root, working in a user's directory, must not lock that user out.
            owner, status = self.root.stat(), os.fstat(descriptor)
            if status.st_uid == 0 and status.st_nlink == 1 and stat.S_ISREG(status.st_mode):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def write(self, path: Path, text: str) -> None:
        """Replace a small file atomically."""
        new = path.with_name(f"{path.name}.new")
        with os.fdopen(self.open(new, os.O_WRONLY | os.O_TRUNC), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for starting and stopping the server; it ends with its process."""
        descriptor = self.open(self.root / "postgres.lock", os.O_RDWR)
        try:
            if not lock(descriptor, lambda: f"Waiting for {_holder(descriptor)}", _LOCK_LIMIT):
                raise EmbeddedServerError(
                    f"Nothing was done: {_holder(descriptor)}, and has not finished in "
                    f"{_LOCK_LIMIT:.0f} s. Try again later, or end that process."
                )
            _sign(descriptor)
            yield
        finally:
            os.close(descriptor)

    def log_size(self) -> int:
        """Return the length of the log in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_since(self, offset: int) -> str:
        """Return what the server wrote to its log after an offset in bytes, at most the end."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = offset if offset <= size else 0  # it has been rotated
            file.seek(max(start, size - _LOG_END))
            return file.read().decode(errors="replace")
        return ""

    def is_full(self) -> bool:
        """Return whether the disk has no room for what the server has to write at its start."""
        room = os.statvfs(self.root)
        return room.f_frsize * room.f_bavail < _ROOM_TO_START

    def open_users(self) -> int:
        """Open the file that each user of a shared server holds a shared lock on."""
        return self.open(self.root / "postgres.users", os.O_RDWR)

    def open_life(self) -> int:
        """Open the file that every process of the server holds locked while it runs."""
        return self.open(self.root / "postgres.life", os.O_RDONLY)

    def open_log(self) -> int:
        """Open the log to append to it; a large one is rotated first."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        return self.open(self.log, os.O_WRONLY | os.O_APPEND)

    @contextlib.contextmanager
    def initialising(self) -> Iterator[Path]:
        """Yield an empty directory to build PGDATA in; incomplete earlier ones are removed."""
        self._clear_initialised()
        path = self.root / f"{_INIT_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
        path.mkdir(0o700)
        try:
            yield path
        finally:
            # This one, and what the initdb of a killed start wrote during the first removal.
            self._clear_initialised()

    def _clear_initialised(self) -> None:
        for left in self.root.glob(f"{_INIT_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def explaining(root: Path) -> Iterator[None]:
    """Raise errors of the operating system as sentences for a person.

    Raises:
        EmbeddedServerError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(root) from error
        raise EmbeddedServerError(
            f"The embedded server's directory {root} cannot be used by {user_name(os.geteuid())}: "
            f"{error.strerror or error} ({error.filename or 'no file named'}). Make it readable "
            f"and writable, or choose another one with REGISTRY_DATA_DIR."
        ) from error


def disk_full(root: Path) -> EmbeddedServerError:
    """Return the error of a full disk."""
    return EmbeddedServerError(
        f"The disk that holds {root} is full: free some space and run this again, or choose "
        f"another disk with REGISTRY_DATA_DIR; what was stored before is intact."
    )


def mentions_full_disk(said: str) -> bool:
    """Return whether a program of the server said that the disk is full."""
    return any(
        ("No space left on device" in line or "Disk quota exceeded" in line)
        and "shared memory" not in line  # which is no disk
        for line in said.splitlines()
    )


def _sign(descriptor: int) -> None:
    """Write into a locked file which process holds it, for those that wait."""
    with contextlib.suppress(OSError):  # of a full disk; it is only shown
        os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Return who holds a lock, and what for."""
    try:
        number = f" (process {int(os.pread(descriptor, 20, 0))})"
    except (OSError, ValueError):
        number = ""
    return f"another command{number}, which starts or stops the embedded server"


def user_name(uid: int) -> str:
    """Return the name of an account of the operating system, for messages."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user id {uid}"
