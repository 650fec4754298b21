"""Cache of remote files: whole ones by content and by place, and what has arrived of others."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from registry.bounded.waiting import lock
from registry.errors import RemoteError, RemoteUnavailableError, UsageError
from registry.evaluations.remote.files import RemoteFile
from registry.hub.transfer import RestartError

GIGABYTE = 10**9

SPARE = 500 * 10**6
"""Bytes that stay free on the disk."""

PATIENCE = 3600.0
"""Seconds for which a file that another process fetches is waited for."""

_BEGINNING = 512  # bytes in which a web page shows itself
_READ = 2**20


class Cache:
    """A folder of remote files.

    `content` has each file once, by what identifies its content, and `NAME.part` what has arrived
    of one. The other folders have links to them, laid out as where the files come from. All of it
    may be deleted at any time.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def missing_bytes(self, files: Sequence[RemoteFile]) -> int:
        """Return how many bytes of files are still to be fetched, as far as sizes are known."""
        return sum(self._missing(file) for file in files)

    def require_room(self, files: Sequence[RemoteFile], limit: int) -> None:
        """Check that files may be fetched, and that there is room for them.

        Raises:
            UsageError: when not.
        """
        missing = self.missing_bytes(files)
        what = files[0].address if len(files) == 1 else f"{len(files):,} files"
        if missing > limit:
            largest = max(files, key=self._missing)
            example = "" if len(files) == 1 else f" (the largest is {largest.address})"
            raise UsageError(
                f"{gigabytes(missing)} of {what} would be fetched{example}; the limit is "
                f"{gigabytes(limit)}. Name fewer files, or allow more: "
                f"--max-download {_allowing(missing)}GB"
            )
        free = shutil.disk_usage(self._made(self.root)).free
        if missing + SPARE > free:
            raise UsageError(
                f"{gigabytes(missing)} of {what} would be fetched, but only {gigabytes(free)} are "
                f"free where the cache is, {self.root}. Free some, or set REGISTRY_DATA_DIR."
            )

    def fetch(self, file: RemoteFile, limit: int, on_bytes: Callable[[int], None]) -> Path:
        """Return the path of a file's copy; what is missing of it is fetched.

        Args:
            file: the file.
            limit: of the bytes that are fetched, where its size is not known.
            on_bytes: receives how many bytes of it are here.

        Raises:
            RemoteError: when it cannot be read, or arrives damaged.
            UsageError: when it is larger than the limit.
        """
        target = self.root / file.place
        content = self._content(file)
        if content is None or not content.is_file():
            content = self._fetched(file, content, limit, on_bytes)
        _link(content, self._made(target.parent) / target.name)
        if file.content is None:
            content.unlink()
        return target

    def _content(self, file: RemoteFile) -> Path | None:
        if file.content is None:
            return None
        return self.root / "content" / hashlib.sha256(file.content.encode()).hexdigest()

    def _missing(self, file: RemoteFile) -> int:
        content, size = self._content(file), file.size or 0
        if content is None:
            return size
        if content.is_file():
            return 0
        part = content.with_suffix(".part")
        return max(size - (part.stat().st_size if part.is_file() else 0), 0)

    def _fetched(
        self,
        file: RemoteFile,
        content: Path | None,
        limit: int,
        on_bytes: Callable[[int], None],
    ) -> Path:
        folder = self._made(self.root / "content")
        content = content or folder / f"once-{token_hex(8)}"
        path = content.with_suffix(".part")
        with _locked(path, file.address) as part:
            if content.is_file():  # another process was faster
                return content
            try:
                _receive(file, part, limit, on_bytes)
                _verify(file, part)
            except _UselessError as error:
                path.unlink()
                raise RemoteError(str(error)) from None
            except BaseException:
                if file.content is None:
                    path.unlink()
                raise
            os.fsync(part.fileno())
            path.rename(content)
        return content

    @staticmethod
    def _made(folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"The folder {folder} cannot be made ({error.strerror}).") from error
        return folder


class _UselessError(Exception):
    """What has arrived is of no use."""


def gigabytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _allowing(count: int) -> int:
    return -(-count // GIGABYTE)


def _receive(file: RemoteFile, part: BinaryIO, limit: int, on_bytes: Callable[[int], None]) -> None:
    """Append what is missing to what has arrived."""
    position = part.seek(0, os.SEEK_END)
    if file.size is not None and position > file.size:
        part.truncate(0)
        position = 0
    try:
        try:
            _append(file, part, position, limit, on_bytes)
        except RestartError:
            part.truncate(0)
            _append(file, part, 0, limit, on_bytes)
    except OSError as error:
        raise RemoteError(
            f"{file.address} cannot be kept in the cache ({error.strerror or error})."
        ) from error


def _append(
    file: RemoteFile, part: BinaryIO, position: int, limit: int, on_bytes: Callable[[int], None]
) -> None:
    on_bytes(position)
    for piece in file.read(position):
        part.write(piece)
        part.flush()
        position += len(piece)
        if file.size is None and position > limit:
            raise _UselessError(
                f"{file.address} has more than the limit of {gigabytes(limit)}; allow more: "
                f"--max-download {_allowing(2 * limit)}GB"
            )
        on_bytes(position)


def _verify(file: RemoteFile, part: BinaryIO) -> None:
    size = part.seek(0, os.SEEK_END)
    part.seek(0)
    start = part.read(_BEGINNING).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) and not file.address.endswith("html"):
        raise _UselessError(
            f"{file.address} answers with a web page in place of a file; it may be a page about "
            "the file, or one that asks to log in. Name the address of the file itself."
        )
    if file.size is not None and size != file.size:
        raise _UselessError(f"{file.address} has {size:,} bytes in place of {file.size:,}.")
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    elif file.git_hash is not None:
        # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        expected = file.git_hash
    else:
        return
    part.seek(0)
    while piece := part.read(_READ):
        digest.update(piece)
    if digest.hexdigest() != expected:
        raise _UselessError(
            f"{file.address} has arrived damaged: its hash is {digest.hexdigest()}, not {expected} "
            "as stated. Import it again."
        )


@contextmanager
def _locked(path: Path, address: str) -> Iterator[BinaryIO]:
    """Open a file to append to, which no other process has.

    Raises:
        RemoteUnavailableError: when another process has it for too long.
    """
    while True:
        with path.open("a+b") as file:
            what = f"Waiting for another command, which fetches {address}"
            if not lock(file.fileno(), what, PATIENCE):
                raise RemoteUnavailableError(
                    f"Another command has been fetching {address} for more than "
                    f"{PATIENCE / 60:.0f} minutes; try again when it has finished."
                )
            # Another process may have finished it while this one waited.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return
            if not path.exists() and path.with_suffix("").is_file():
                yield file
                return


def _link(content: Path, target: Path) -> None:
    """Put a file at another place too, in place of what is there."""
    if target.is_file() and target.samefile(content):
        return
    new = target.with_name(f".partial-{token_hex(4)}")
    try:
        os.link(content, new)
    except OSError:  # the file system has no links
        shutil.copyfile(content, new)
    new.replace(target)
