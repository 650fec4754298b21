"""Tables in text files (CSV, TSV, JSON lines), whose cells are texts; errors name lines."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, NoReturn

import orjson
import pyarrow as pa
import pyarrow.csv as pcsv

from registry.bounded import limits
from registry.errors import UnreadableFileError
from registry.evaluations.formats.tables.cells import BadCellError, text_of
from registry.evaluations.formats.tables.sources import CellBatch, field_at

BLOCK = limits.LINE
"""Bytes read at once, and the limit of a row."""

LINES = 1 << 14
"""Lines of a batch of JSON."""

_SAMPLED = 1_000  # lines of JSON whose keys are the columns


@dataclass(frozen=True)
class CsvTable:
    """A file of comma- or tab-separated values, names first; cells may have several lines."""

    path: Path
    columns: list[str]
    delimiter: str

    @classmethod
    def open(cls, path: Path, delimiter: str) -> "CsvTable":
        """Read the names of the columns."""
        table = cls(path, [], delimiter)
        for _, cells in table.records():
            return cls(path, cells, delimiter)
        raise UnreadableFileError(path, "It is empty; its first line has to name the columns.")

    def has(self, name: str) -> bool:
        """Tell whether there is such a column, or a field of objects in texts of one."""
        top = name.partition(".")[0]
        if name in self.columns or top == name or top not in self.columns:
            return name in self.columns
        rows = islice(self.records(), 1, _SAMPLED)
        place = self.columns.index(top)
        cells = ({top: cells[place]} for _, cells in rows if len(cells) > place)
        return any(field_at(cell, name) is not None for cell in cells)

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order."""
        nested = [name for name in columns if name not in self.columns]
        own = [name if name in self.columns else name.partition(".")[0] for name in columns]
        names = list(dict.fromkeys(own))
        start = 0
        try:
            with pa.input_stream(
                str(self.path), compression="gzip" if self.path.suffix == ".gz" else None
            ) as stream:
                reader = pcsv.open_csv(
                    stream,
                    read_options=pcsv.ReadOptions(use_threads=False, block_size=BLOCK),
                    parse_options=pcsv.ParseOptions(
                        delimiter=self.delimiter, newlines_in_values=True
                    ),
                    convert_options=pcsv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.large_string()),
                        include_columns=names,
                        strings_can_be_null=False,
                        quoted_strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    arrays = dict(zip(names, batch.columns, strict=True))
                    arrays |= {name: _nested(arrays, name) for name in nested}
                    yield CellBatch(start, batch.num_rows, arrays)
                    start += batch.num_rows
        except (pa.ArrowException, *limits.BROKEN) as problem:
            self._explain(problem)

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names the line where a row begins."""
        line = None
        if row is not None:
            for number, (first_line, _) in enumerate(self.records(), -1):
                if number == row:
                    line = first_line
                    break
        return UnreadableFileError(self.path, problem, line=line, field=field)

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the first line of each record, and its cells: slowly, the names first."""
        limit = csv.field_size_limit(BLOCK)
        try:
            with _opened(self.path) as file:
                reader = csv.reader(_decoded(self.path, file), delimiter=self.delimiter)
                line = 1
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
        except csv.Error as problem:
            message = f"It is not a table ({problem})."
            raise UnreadableFileError(self.path, message, line=line) from problem
        finally:
            csv.field_size_limit(limit)

    def _explain(self, problem: Exception) -> NoReturn:
        """Raise the error of the row that Arrow rejects."""
        for line, cells in self.records():
            if len(cells) != len(self.columns):
                message = (
                    f"It has {len(cells)} cells where there are {len(self.columns)} columns. "
                    "Is a quotation mark or a separator missing?"
                )
                raise UnreadableFileError(self.path, message, line=line) from problem
            if sum(map(len, cells)) >= BLOCK:
                message = f"The row has more than {BLOCK:,} bytes."
                raise UnreadableFileError(self.path, message, line=line) from problem
        what = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise UnreadableFileError(self.path, f"It cannot be read ({what}).") from problem


@dataclass(frozen=True)
class JsonlTable:
    """A file with one JSON object per line; a missing key is null."""

    path: Path
    columns: list[str]

    @classmethod
    def open(cls, path: Path) -> "JsonlTable":
        """Open a file: read the keys in the first lines."""
        names: dict[str, None] = {}
        for record in cls(path, []).sampled():
            names.update(dict.fromkeys(record))
            if len(names) > limits.COLUMNS:
                raise limits.too_many_columns(path)
        if not names:
            raise UnreadableFileError(path, "It is empty; each line has to be a JSON object.")
        return cls(path, list(names))

    def sampled(self) -> Iterator[dict[str, object]]:
        """Yield the first objects."""
        yield from (record for _, record in islice(self.records(), _SAMPLED))

    def has(self, name: str) -> bool:
        """Tell whether there is such a key, or path of keys, in the first lines."""
        if name in self.columns or name.partition(".")[0] not in self.columns:
            return name in self.columns
        return any(field_at(record, name) is not None for record in self.sampled())

    def batches(self, columns: Sequence[str]) -> Iterator[CellBatch]:
        """Yield the rows in their order; all cells as texts, lists and objects as JSON."""
        start = 0
        cells: dict[str, list[str | None]] = {name: [] for name in columns}
        length = 0
        for line, record in self.records():
            for name, column in cells.items():
                try:
                    column.append(text_of(field_at(record, name)))
                except BadCellError as bad:
                    raise UnreadableFileError(
                        self.path, bad.problem, line=line, field=name
                    ) from None
            length += 1
            if length == LINES:
                yield _batch(start, length, cells)
                start, length = start + length, 0
                cells = {name: [] for name in columns}
        if length:
            yield _batch(start, length, cells)

    def error(
        self, problem: str, *, row: int | None = None, field: str | None = None
    ) -> UnreadableFileError:
        """Return an error that names the line of a row."""
        line = None
        if row is not None:
            line = next((line for at, (line, _) in enumerate(self.records()) if at == row), None)
        return UnreadableFileError(self.path, problem, line=line, field=field)

    def records(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield the objects and their lines, without empty lines."""
        with _opened(self.path) as file:
            line = 0
            while text := file.readline(BLOCK):
                line += 1
                if len(text) == BLOCK and not text.endswith(b"\n"):
                    raise UnreadableFileError(
                        self.path, f"The line has more than {BLOCK:,} bytes.", line=line
                    )
                if not text.strip():
                    continue
                try:
                    record = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
                except orjson.JSONDecodeError as problem:
                    message = f"The line is not JSON ({problem})."
                    raise UnreadableFileError(self.path, message, line=line) from None
                if not isinstance(record, dict):
                    message = "The line is not a JSON object, with a key for each column."
                    raise UnreadableFileError(self.path, message, line=line)
                yield line, record


def _nested(columns: Mapping[str, pa.Array], name: str) -> pa.Array:
    """Return the values of a field of objects in a column's texts."""
    top = name.partition(".")[0]
    cells = [text_of(field_at({top: cell}, name)) for cell in columns[top].to_pylist()]
    return pa.array(cells, pa.large_string())


def _batch(start: int, length: int, cells: dict[str, list[str | None]]) -> CellBatch:
    arrays = {name: pa.array(column, pa.large_string()) for name, column in cells.items()}
    return CellBatch(start, length, arrays)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, compressed or not; errors in reading it are errors of the file."""
    try:
        with path.open("rb") as file:
            yield limits.unpacked(path, file) if path.suffix == ".gz" else file
    except limits.BROKEN as problem:
        message = f"It cannot be read to its end ({problem}). Fetch it again."
        raise UnreadableFileError(path, message) from problem


def _decoded(path: Path, file: IO[bytes]) -> Iterator[str]:
    """Yield lines as texts, with their ends."""
    for number, line in enumerate(limits.lines(path, file), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as problem:
            message = f"The line is not UTF-8 ({problem}). Save the file as UTF-8."
            raise UnreadableFileError(path, message, line=number) from None
        yield text
