"""Temporary storage of outcomes, between the order of a file and one row per run.

Files are written to the directory that TMPDIR names and are unlinked: they are gone when the
process ends, however it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 1 << 26
"""Bytes up to which no file is written."""

Cells: TypeAlias = NDArray[np.uint8 | np.int32]
"""Encoded so that 0 is missing: parts of a file that were never written read as zeros."""

_NAN = np.float32(np.nan).view(np.int32)


def encode_floats(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Encode numbers, NaN being missing."""
    missing = np.isnan(values)
    if missing.any():  # one of the many NaNs
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
    """Encode binary outcomes in a byte each, as indices of `BINARY`."""
    return np.asarray((cells == _WRONG).view(np.uint8) | ((cells == _RIGHT).view(np.uint8) << 1))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive outcomes: the numbers of their runs and items, and arrays of encoded values."""

    runs: NDArray[np.int32]
    items: NDArray[np.int32]
    planes: list[NDArray[np.int32]]

    @property
    def columns(self) -> tuple[NDArray[np.int32], ...]:
        """All arrays."""
        return (self.runs, self.items, *self.planes)


class Spool:
    """Outcomes in their order, written once and then read; 4 bytes a number.

    They are held in memory up to IN_MEMORY bytes, then in a file.
    """

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._shapes: list[tuple[int, int]] = []
        self.length = 0
        self._size = 0
        self._file: IO[bytes] | None = None

    def write(self, chunk: Chunk) -> None:
        """Append outcomes; the arrays must not be changed afterwards."""
        self.length += len(chunk.runs)
        self._chunks.append(chunk)
        self._size += sum(column.nbytes for column in chunk.columns)
        if self._size > IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        """Move the chunks in memory to the file."""
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`
        for chunk in self._chunks:
            self._shapes.append((len(chunk.runs), len(chunk.columns)))
            for column in chunk.columns:
                self._file.write(np.ascontiguousarray(column).data)
        self._chunks.clear()
        self._size = 0

    def read(self) -> Iterator[Chunk]:
        """Yield the chunks from the beginning."""
        if self._file is not None:
            self._file.seek(0)
            for length, columns in self._shapes:
                runs, items, *planes = (
                    np.frombuffer(self._file.read(4 * length), np.int32) for _ in range(columns)
                )
                yield Chunk(runs, items, planes)
        yield from self._chunks

    def close(self) -> None:
        """Discard the outcomes and the file."""
        self._chunks.clear()
        if self._file is not None:
            self._file.close()


def matrix(cells: int, dtype: type[np.uint8 | np.int32]) -> Cells:
    """Return `cells` cells, all missing; a large matrix is mapped to a file."""
    if cells * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.zeros(cells, dtype)
    with TemporaryFile() as file:
        # The mapping outlives the descriptor, and keeps the file until it ends.
        return np.memmap(file, dtype, "w+", shape=(cells,))
