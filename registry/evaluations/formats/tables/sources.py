"""Tables in files, read in batches of the requested columns, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from registry.bounded import parquet
from registry.errors import UnreadableFileError
from registry.evaluations.formats import pickles
from registry.evaluations.formats.tables.cells import text_of

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

    def has(self, name: str) -> bool:
        """Tell whether there is such a column, or a field of a nested one: `usage.tokens`."""

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order, of columns and of fields of nested ones.

        Raises:
            UnreadableFileError: the file is not such a table; names the place.
        """

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names a row (from 0) by its line, or by its number from 1."""


def field_at(record: Mapping[str, object], name: str) -> object:
    """Return the value of a key, or of a path of keys with points; None where there is none.

    A key that has points itself comes first; an object may be a text of JSON.
    """
    if name in record:
        return record[name]
    value: object = record
    for key in name.split("."):
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                return None
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


_SAMPLED = 1_000  # rows in which the keys of nested columns are looked for


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file; texts come dictionary-encoded."""

    path: Path
    columns: list[str]
    texts: frozenset[str]
    schema: pa.Schema = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> "ParquetTable":
        """Open a file: read the names and types of its columns."""
        with _arrow_errors(path), parquet.opened(path) as file:
            schema = file.schema_arrow
            names = list(schema.names)
        texts = frozenset(
            column.name
            for column in schema
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        )
        return cls(path, names, texts, schema)

    def has(self, name: str) -> bool:
        """Tell whether there is such a column, or a field of a struct or of objects in texts."""
        if name in self.columns:
            return True
        top, *keys = name.split(".")
        if not keys or top not in self.columns:
            return False
        if top in self.texts:
            return self._in_texts(name)
        kind = self.schema.field(top).type
        for key in keys:
            if not pa.types.is_struct(kind) or kind.get_field_index(key) < 0:
                return False
            kind = kind.field(key).type
        return True

    def _in_texts(self, name: str) -> bool:
        top = name.partition(".")[0]
        with _arrow_errors(self.path), parquet.opened(self.path, read_dictionary=[top]) as file:
            batch = next(parquet.batches(self.path, file, _SAMPLED, [top]), None)
            if batch is not None:
                parquet.require_text(self.path, batch, 0)
            rows = batch.to_pylist() if batch is not None else []
        return any(field_at(row, name) is not None for row in rows)

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order, without buffering row groups, which may be huge."""
        names = list(columns)
        nested = [name for name in names if name not in self.columns]
        read = [name.partition(".")[0] if self._is_text(name) else name for name in names]
        rows = max(min(ROWS, CELLS // max(len(names), 1)), 1)
        with (
            _arrow_errors(self.path),
            parquet.opened(
                self.path,
                read_dictionary=[name for name in read if name in self.texts],
                buffer_size=1 << 20,
                pre_buffer=False,
            ) as file,
        ):
            start = 0
            for batch in parquet.batches(self.path, file, rows, read):
                if nested:  # whose texts are written out
                    parquet.require_text(self.path, batch, start)
                by_name = dict(zip(batch.schema.names, batch.columns, strict=True))
                by_name |= {name: self._nested(by_name, name) for name in nested}
                yield CellBatch(start, batch.num_rows, by_name)
                start += batch.num_rows

    def _is_text(self, name: str) -> bool:
        return name not in self.columns and name.partition(".")[0] in self.texts

    def _nested(self, columns: Mapping[str, pa.Array], name: str) -> pa.Array:
        """Return the values of a field of a nested column."""
        top, *keys = name.split(".")
        if not self._is_text(name):
            return pc.struct_field(columns[top], keys)
        cells = [text_of(field_at({top: cell}, name)) for cell in columns[top].to_pylist()]
        return pa.array(cells, pa.large_string())

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names the row from 1; Parquet has no lines."""
        number = None if row is None else row + 1
        return UnreadableFileError(self.path, problem, row=number, field=field)


@dataclass(frozen=True)
class PickledTable:
    """A pickle of a pandas table, in memory."""

    path: Path
    columns: list[str]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> "PickledTable":
        """Read the whole table."""
        content = pickles.load(path)
        if not isinstance(content, dict) or not all(_is_column(each) for each in content.values()):
            problem = "It is a pickle of something else than a table."
            raise UnreadableFileError(path, problem)
        lengths = {len(column) for column in content.values()}
        if len(lengths) > 1:
            raise UnreadableFileError(path, "Its columns are not of one length.")
        return cls(path, [str(name) for name in content], {str(k): v for k, v in content.items()})

    def has(self, name: str) -> bool:
        """Tell whether there is such a column."""
        return name in self.columns

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order."""
        length = len(next(iter(self.arrays.values()), ()))
        for start in range(0, length, ROWS):
            parts = {name: self.arrays[name][start : start + ROWS] for name in columns}
            try:
                arrays = {name: _arrow(part) for name, part in parts.items()}
            except (UnicodeError, ValueError) as problem:  # of texts with what is no character
                message = f"A text in it is none ({' '.join(str(problem).split())[:200]})."
                raise UnreadableFileError(self.path, message) from problem
            yield CellBatch(start, min(ROWS, length - start), arrays)

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names the row from 1."""
        number = None if row is None else row + 1
        return UnreadableFileError(self.path, problem, row=number, field=field)


def _is_column(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _arrow(values: NDArray[Any]) -> pa.Array:
    """Return numbers as they are, and anything else as texts."""
    if values.dtype.kind in "biuf":
        return pa.array(values)
    return pa.array([text_of(each) for each in values.tolist()], pa.large_string())


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as problem:
        what = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        message = f"It is not a whole Parquet file ({what}). Fetch it again."
        raise UnreadableFileError(path, message) from problem
