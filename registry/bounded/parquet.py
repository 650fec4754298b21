"""Parquet files of unknown origin, read in bounded memory.

A few bytes may stand for gigabytes: a page that is packed well, one text that a dictionary repeats,
a list of millions. What Arrow would allocate is read from the headers of the pages first.
The format: https://github.com/apache/parquet-format (`parquet.thrift`).
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.bounded import limits
from registry.bounded.thrift import BINARY, INT32, INT64, LIST, STRUCT, CompactReader
from registry.errors import UnreadableFileError

_SMALL = 1 << 12  # compressed bytes that unpack to less than a page's limit, however well packed
_HEADER = 1 << 10  # bytes of a page's header: with statistics of long texts it is larger
_LARGEST_HEADER = 1 << 24
_TAIL = 8  # the length of the description, and PAR1

# Numbers of fields of ColumnMetaData: path_in_schema, total_uncompressed_size, ...
_PATH, _UNPACKED, _PACKED, _DATA, _DICTIONARY = 3, 6, 7, 9, 11


class _Chunk(NamedTuple):
    """A column in a group of rows: its number and name, bytes unpacked and packed, and where."""

    column: int
    name: str
    unpacked: int
    packed: int
    start: int


class _Page(NamedTuple):
    """What the header of a page states: sizes of its content in bytes, its own, and its values."""

    unpacked: int
    packed: int
    length: int
    values: int


def opened(path: Path, source: Any = None, **options: Any) -> pq.ParquetFile:
    """Open a file whose description is of bounded size.

    Args:
        path: of the file.
        source: the open file, where it is open.
        options: of `pq.ParquetFile`.

    Raises:
        UnreadableFileError: when it is larger than a description is.
        pa.ArrowException, OSError: when it is no Parquet file.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        footer = int.from_bytes(file.read(4), "little")
    if limits.PARQUET_FOOTER < footer <= size:
        raise UnreadableFileError(
            path,
            f"its description has more than {limits.megabytes(limits.PARQUET_FOOTER)}; write it "
            "with fewer columns and larger groups of rows.",
        )
    return pq.ParquetFile(path if source is None else source, **options)


def batches(
    path: Path, file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of columns, fewer at a time where they are large.

    Args:
        path: of the file, for its pages.
        file: the file, as `opened` returns it.
        rows: most rows at a time.
        columns: names of columns, or of fields of nested ones; all without them.

    Raises:
        UnreadableFileError: when reading it would take more memory than data do.
        pa.ArrowException, OSError: when it cannot be read.
    """
    size = _unpacked_size(path, file, columns)
    count = file.metadata.num_rows
    if size > limits.BATCH and count:
        rows = max(min(rows, int(limits.BATCH / size * count)), 1)
    names = None if columns is None else list(columns)
    for batch in file.iter_batches(rows, columns=names, use_threads=False):
        batch.validate(full=True)  # texts may be no UTF-8, which Arrow finds out too late
        yield batch


def require_text(path: Path, batch: pa.RecordBatch, start: int) -> None:
    """Refuse rows whose texts, each written out, take too much memory.

    Args:
        path: of the file.
        batch: the rows, with texts in dictionaries.
        start: number of the rows before them.
    """
    size = sum(map(_text_size, batch.columns))
    if size > limits.BATCH and batch.num_rows > 1:
        for row in range(batch.num_rows):  # which row it is
            require_text(path, batch.slice(row, 1), start + row)
        size = limits.BATCH + 1
    if size > limits.BATCH:
        raise UnreadableFileError(
            path,
            f"the texts of these rows have more than {limits.megabytes(limits.BATCH)}; no data "
            "have that.",
            row=start + 1,
        )


def texts(file: pq.ParquetFile) -> list[str]:
    """Return the paths of the columns with texts or bytes, also nested ones."""
    schema = file.schema
    return [
        schema.column(number).path
        for number in range(len(schema))
        if schema.column(number).physical_type == "BYTE_ARRAY"
    ]


def _text_size(array: pa.Array) -> int:
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _text_size(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(_text_size, array.flatten()))
    return int(array.nbytes)


def _unpacked_size(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None) -> int:
    """Return how many bytes the pages of columns have, each page being of bounded size."""
    schema = file.schema
    if len(schema) > limits.COLUMNS:
        raise limits.too_many_columns(path)
    size = 0
    with path.open("rb") as opened_file:
        descriptor = opened_file.fileno()
        try:
            for chunk in _chunks(_description(descriptor)):
                if columns is None or _is_below(chunk.name, columns):
                    repeated = schema.column(chunk.column).max_repetition_level > 0
                    size += _chunk_size(path, descriptor, chunk, repeated=repeated)
        except (IndexError, ValueError, RecursionError):
            raise OSError("its description is damaged") from None
    return size


def _description(descriptor: int) -> bytes:
    """Return the description at the end of a file, as `opened` has found it to be."""
    end = os.fstat(descriptor).st_size - _TAIL
    length = int.from_bytes(os.pread(descriptor, 4, end), "little")
    return os.pread(descriptor, length, max(end - length, 0))


def _chunks(description: bytes) -> Iterator[_Chunk]:
    """Yield the columns of all groups of rows.

    Arrow's own description of a column ends the process where its statistics are damaged
    (`RowGroupMetaData.column` of pyarrow 26), while reading the column raises an error.

    Raises:
        IndexError, ValueError, RecursionError: when it is damaged.
    """
    reader = CompactReader(description)
    # FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data
    for _ in _listed(reader, 4):
        for column, _ in enumerate(_listed(reader, 1)):
            for field in reader.fields():
                if field == (3, STRUCT):
                    yield _chunk(reader, column)
                else:
                    reader.skip(field[1])


def _listed(reader: CompactReader, number: int) -> Iterator[None]:
    """Yield once for each struct of a list in a field of a struct, of which the rest is skipped."""
    for field in reader.fields():
        if field == (number, LIST):
            yield from reader.items(STRUCT)
        else:
            reader.skip(field[1])


def _chunk(reader: CompactReader, column: int) -> _Chunk:
    """Read a ColumnMetaData."""
    names: list[str] = []
    sizes: dict[int, int] = {}
    for number, kind in reader.fields():
        if (number, kind) == (_PATH, LIST):
            names = [reader.binary().decode("utf-8", "replace") for _ in reader.items(BINARY)]
        elif number in {_UNPACKED, _PACKED, _DATA, _DICTIONARY} and kind == INT64:
            sizes[number] = reader.integer()
        else:
            reader.skip(kind)
    data = sizes.get(_DATA, 0)
    start = min(data, sizes.get(_DICTIONARY) or data)
    name = ".".join(names)
    return _Chunk(column, name, sizes.get(_UNPACKED, 0), sizes.get(_PACKED, 0), start)


def _is_below(name: str, columns: Sequence[str]) -> bool:
    return name in columns or any(name.startswith(f"{each}.") for each in columns)


def _chunk_size(path: Path, descriptor: int, chunk: _Chunk, *, repeated: bool) -> int:
    """Return the size of a column in a group of rows, unpacked."""
    if chunk.packed <= _SMALL and not repeated:
        return chunk.unpacked
    position = chunk.start
    if position < 0:
        raise ValueError(position)
    end = position + chunk.packed
    size = values = 0
    while position < end:
        page = _page(descriptor, position)
        if page is None:  # Arrow says what is wrong
            return size
        size += page.unpacked
        values += page.values
        if page.unpacked > limits.PARQUET_PAGE or (repeated and values > limits.PARQUET_LISTS):
            what = (
                f"a page with {limits.megabytes(page.unpacked)}"
                if page.unpacked > limits.PARQUET_PAGE
                else f"lists of more than {limits.PARQUET_LISTS:,} values"
            )
            raise UnreadableFileError(
                path,
                f"it has {what}, more than can be read ({limits.megabytes(limits.PARQUET_PAGE)} a "
                "page); write it again with smaller groups of rows.",
                field=chunk.name,
            )
        position += page.length + page.packed
    return size


def _page(descriptor: int, position: int) -> _Page | None:
    """Read the header of a page; None where there is none."""
    length = _HEADER
    while length <= _LARGEST_HEADER:
        try:
            return _header(CompactReader(os.pread(descriptor, length, position)))
        except IndexError:
            length *= 16
        except (ValueError, RecursionError):
            return None
    return None


def _header(reader: CompactReader) -> _Page:
    """Read a PageHeader."""
    sizes: dict[int, int] = {}
    values = 0
    for number, kind in reader.fields():
        if number in {2, 3} and kind == INT32:  # uncompressed_page_size, compressed_page_size
            sizes[number] = reader.integer()
        elif number in {5, 8} and kind == STRUCT:  # of data, version 1 or 2: num_values
            for field in reader.fields():
                if field == (1, INT32):
                    values = reader.integer()
                else:
                    reader.skip(field[1])
        else:
            reader.skip(kind)
    if len(sizes) < 2 or sizes[3] < 0:  # noqa: PLR2004 - both
        raise ValueError(sizes)
    return _Page(sizes[2], sizes[3], reader.place, values)
