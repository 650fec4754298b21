"""Outcomes on their way from the order of a file to one row a run, through temporary files.

Files are written to the directory that TMPDIR names and have no name of their own: they are gone
when the process is, however it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 1 << 26
"""Bytes that are kept out of files."""

Cells: TypeAlias = NDArray[np.uint8 | np.int32]
"""Encoded so that 0 is missing, as never written parts of a file read as zeros."""

_NAN = np.float32(np.nan).view(np.int32)


def encode_floats(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Encode numbers, NaN being missing."""
    missing = np.isnan(values)
    if missing.any():  # of the many NaNs there are, take one
        values = np.where(missing, np.float32(np.nan), values)
    return np.asarray(values.view(np.int32) ^ _NAN)


def decode_floats(cells: NDArray[np.int32]) -> NDArray[np.float32]:
    """Reverse `encode_floats`."""
    return np.asarray((cells ^ _NAN).view(np.float32))


BINARY = np.array([np.nan, 0.0, 1.0], np.float32)
"""Outcomes by their encoding in a byte."""


_WRONG, _RIGHT = encode_floats(np.array([0.0, 1.0], np.float32))


def is_binary(cells: NDArray[np.int32]) -> bool:
    """Tell whether encoded numbers are all 0, 1 or missing."""
    return bool(((cells == _RIGHT) | (cells == _WRONG) | (cells == 0)).all())


def encode_binary(cells: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Encode such numbers in a byte, where `BINARY` has them."""
    return np.asarray((cells == _WRONG).view(np.uint8) | ((cells == _RIGHT).view(np.uint8) << 1))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive outcomes: their runs, their items, and what is known of each."""

    runs: NDArray[np.int32]
    items: NDArray[np.int32]
    planes: list[NDArray[np.int32]]

    @property
    def columns(self) -> tuple[NDArray[np.int32], ...]:
        """All of it."""
        return (self.runs, self.items, *self.planes)


class Spool:
    """Outcomes in their order, once written and read again; 4 bytes a number.

    They are kept in memory until they are more than IN_MEMORY, then in a file.
    """

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._shapes: list[tuple[int, int]] = []
        self.length = 0
        self._kept = 0
        self._file: IO[bytes] | None = None

    def write(self, chunk: Chunk) -> None:
        """Append outcomes; the arrays are not to be changed any more."""
        self.length += len(chunk.runs)
        self._chunks.append(chunk)
        self._kept += sum(column.nbytes for column in chunk.columns)
        if self._kept > IN_MEMORY:
            self._put_off()

    def _put_off(self) -> None:
        """Move what is in memory to the file."""
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`
        for chunk in self._chunks:
            self._shapes.append((len(chunk.runs), len(chunk.columns)))
            for column in chunk.columns:
                self._file.write(np.ascontiguousarray(column).data)
        self._chunks.clear()
        self._kept = 0

    def read(self) -> Iterator[Chunk]:
        """Yield them again, from the beginning."""
        if self._file is not None:
            self._file.seek(0)
            for length, columns in self._shapes:
                runs, items, *planes = (
                    np.frombuffer(self._file.read(4 * length), np.int32) for _ in range(columns)
                )
                yield Chunk(runs, items, planes)
        yield from self._chunks

    def close(self) -> None:
        """Let go of them."""
        self._chunks.clear()
        if self._file is not None:
            self._file.close()


def matrix(cells: int, dtype: type[np.uint8 | np.int32]) -> Cells:
    """Return that many cells, all missing; a large matrix lies in a file."""
    if cells * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.zeros(cells, dtype)
    with TemporaryFile() as file:
        # The mapping outlives the descriptor, and the file lives no longer than the mapping.
        return np.memmap(file, dtype, "w+", shape=(cells,))
