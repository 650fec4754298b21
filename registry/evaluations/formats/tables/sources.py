"""Tables in files, read in batches of the requested columns, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import UnreadableFileError

ROWS = 1 << 18
"""Rows of a batch of a Parquet file, if it has few columns."""

CELLS = 1 << 24
"""Cells of a batch at most, in wide tables."""


class CellBatch(NamedTuple):
    """Consecutive rows of a table: its columns by name, and the number of rows before them."""

    start: int
    length: int
    columns: Mapping[str, pa.Array]


class Table(Protocol):
    """A file that is a table."""

    @property
    def path(self) -> Path:
        """Its path."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order.

        Raises:
            UnreadableFileError: the file is not such a table; names the place.
        """

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names a row (from 0) by its line, or by its number from 1."""


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file; texts come dictionary-encoded."""

    path: Path
    columns: list[str]
    texts: frozenset[str]

    @classmethod
    def open(cls, path: Path) -> "ParquetTable":
        """Open a file: read the names and types of its columns."""
        with _arrow_errors(path), pq.ParquetFile(path) as file:
            schema = file.schema_arrow
        texts = frozenset(
            column.name
            for column in schema
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        )
        return cls(path, list(schema.names), texts)

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order, without buffering row groups, which may be huge."""
        names = list(columns)
        rows = max(min(ROWS, CELLS // max(len(names), 1)), 1)
        with (
            _arrow_errors(self.path),
            pq.ParquetFile(
                self.path,
                read_dictionary=[name for name in names if name in self.texts],
                buffer_size=1 << 20,
                pre_buffer=False,
            ) as file,
        ):
            start = 0
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                by_name = dict(zip(batch.schema.names, batch.columns, strict=True))
                yield CellBatch(start, batch.num_rows, by_name)
                start += batch.num_rows

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names the row from 1; Parquet has no lines."""
        number = None if row is None else row + 1
        return UnreadableFileError(self.path, problem, row=number, field=field)


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as problem:
        what = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        message = f"It is not a whole Parquet file ({what}). Fetch it again."
        raise UnreadableFileError(path, message) from problem
