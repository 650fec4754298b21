"""Limits of input: what is read from files and from the Hub takes bounded memory and time.

docs/operations.md lists them under "Limits of input".
"""

import io
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import IO, BinaryIO

from registry.errors import UnreadableFileError

LINE = 1 << 25
"""Bytes of a line or a row of a text file, and of a record of the Hub in a file."""

DOCUMENT = 1 << 29
"""Bytes of a document that is read as a whole (JSON, a member of a zip archive), unpacked."""

VALUES = 20_000_000
"""Values in a JSON document that is decoded as a whole; each takes up to 100 bytes of memory."""

EXPANSION = 200
"""How many times its compressed size a file may have, beyond `EXPANDED`; texts have 3 to 30."""

EXPANDED = 1 << 25
"""Bytes that a file may unpack to, whatever its compressed size."""

COLUMNS = 200_000
"""Columns of a table."""

MAPPING = 1 << 18
"""Bytes of a mapping, in YAML."""

YAML_DEPTH = 100
"""Levels of a YAML document."""

YAML_NODES = 1_000_000
"""Values of a YAML document once its aliases are written out."""

PICKLE = 1 << 29
"""Bytes of memory that reading a pickle takes, beyond `PICKLE_EXPANSION` times its size."""

PICKLE_EXPANSION = 12

PARQUET_FOOTER = 1 << 26
"""Bytes of the description of a Parquet file."""

PARQUET_PAGE = 1 << 27
"""Bytes of a page of a Parquet file, unpacked; writers make pages of about a megabyte."""

PARQUET_LISTS = 1 << 28
"""Values of a nested column in a group of rows of a Parquet file."""

BATCH = 1 << 28
"""Bytes of values of a Parquet file that are read at once."""


REPLY = 1 << 27
"""Bytes of a reply of the Hub, unpacked; a page of 1,000 models has about 5 MB."""

EMPTY_PAGES = 20
"""Pages of a listing that follow each other without an entry."""

PAGES = 1_000_000
"""Pages of a listing; all models of the Hub are in about 3,000."""


_PART = 1 << 20


def megabytes(size: int) -> str:
    """Return a limit as messages state it."""
    return f"{size / 2**20:,.0f} MB"


def open_packed(path: Path) -> BinaryIO:
    """Open a gzip file for reading; what it unpacks to is bounded.

    Raises:
        OSError: when it cannot be opened.
    """
    return unpacked(path, path.open("rb"))


def unpacked(path: Path, packed: IO[bytes]) -> BinaryIO:
    """Return the content of an open gzip file, which is closed with it.

    Reading it raises `UnreadableFileError` where it expands as no data do.
    """
    return io.BufferedReader(_Unpacked(path, packed), 1 << 17)


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, counted while it is read."""

    def __init__(self, path: Path, packed: IO[bytes]) -> None:
        self._path, self._packed, self._size = path, packed, 0
        self._gzip = GzipFile(fileobj=packed)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override] # of any buffer
        """Read on."""
        part = self._gzip.read(min(len(buffer), 1 << 20))
        self._size += len(part)
        if self._size > EXPANDED and self._size > EXPANSION * self._packed.tell():
            raise UnreadableFileError(
                self._path,
                f"it unpacks to more than {EXPANSION} times its size, and more than "
                f"{megabytes(EXPANDED)}. If you trust it, unpack it yourself and read the result.",
            )
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close the file too."""
        if not self.closed:
            self._packed.close()
        super().close()


def content(path: Path, file: IO[bytes], begun: bytes = b"") -> bytes:
    """Return the rest of an open file, behind what was read of it already.

    Raises:
        UnreadableFileError: when it is larger than a document may be.
        OSError, EOFError, zlib.error: when it cannot be read.
    """
    # Not in one call: that allocates as many bytes as it is asked for.
    read = io.BytesIO()
    read.write(begun)
    while part := file.read(_PART):
        read.write(part)
        if read.tell() > DOCUMENT:
            raise UnreadableFileError(
                path,
                f"it has more than {megabytes(DOCUMENT)}, the limit of a document that is read as "
                "a whole. Split it, or write JSON lines or Parquet.",
            )
    return read.getvalue()


def lines(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of an open file, with their ends.

    Raises:
        UnreadableFileError: when one is longer than a line may be.
        OSError, EOFError, zlib.error: when it cannot be read.
    """
    number = 0
    while line := file.readline(LINE + 1):
        number += 1
        if len(line) > LINE:
            raise line_too_long(path, number)
        yield line


def too_many_columns(path: Path) -> UnreadableFileError:
    """Return the error of a table with more columns than a table may have."""
    return UnreadableFileError(
        path, f"it has more than {COLUMNS:,} columns; write one row for each outcome."
    )


def line_too_long(path: Path, number: int) -> UnreadableFileError:
    """Return the error of a line that is longer than a line may be."""
    return UnreadableFileError(
        path,
        f"the line has more than {megabytes(LINE)}. Write one record a line.",
        line=number,
    )


@contextmanager
def allocating(most: int) -> Iterator[None]:
    """Have allocations of this process fail in a block that together take more than `most` bytes.

    For formats whose programs may ask for any amount of memory before anything is read. Where the
    system has no such limit, nothing is limited.

    Raises:
        MemoryError: from the block, when it takes more.
    """
    try:
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limits = [used + most, *(each for each in (soft, hard) if each != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


BROKEN = (OSError, EOFError, zlib.error)
"""Errors of reading a file that is damaged, cut off or not there."""
