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
from registry.errors import UnreadableFileError

_SMALL = 1 << 12  # compressed bytes that unpack to less than a page's limit, however well packed
_HEADER = 1 << 10  # bytes of a page's header: with statistics of long texts it is larger
_LARGEST_HEADER = 1 << 24
_TAIL = 8  # the length of the description, and PAR1


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
    size = _unpacked_size(path, file.metadata, columns)
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


def _unpacked_size(path: Path, metadata: Any, columns: Sequence[str] | None) -> int:
    """Return how many bytes the pages of columns have, each page being of bounded size."""
    if metadata.num_columns > limits.COLUMNS:
        raise limits.too_many_columns(path)
    size = 0
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            of_group = metadata.row_group(group)
            for number in range(of_group.num_columns):
                chunk = of_group.column(number)
                if columns is None or _is_below(chunk.path_in_schema, columns):
                    repeated = metadata.schema.column(number).max_repetition_level > 0
                    size += _chunk_size(path, file.fileno(), chunk, repeated=repeated)
    return size


def _is_below(name: str, columns: Sequence[str]) -> bool:
    return name in columns or any(name.startswith(f"{each}.") for each in columns)


def _chunk_size(path: Path, descriptor: int, chunk: Any, *, repeated: bool) -> int:
    """Return the size of a column in a group of rows, unpacked."""
    if chunk.total_compressed_size <= _SMALL and not repeated:
        return int(chunk.total_uncompressed_size)
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset]
    position = min(starts)
    end = position + chunk.total_compressed_size
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
                field=chunk.path_in_schema,
            )
        position += page.length + page.packed
    return size


def _page(descriptor: int, position: int) -> _Page | None:
    """Read the header of a page; None where there is none."""
    length = _HEADER
    while length <= _LARGEST_HEADER:
        reader = _Thrift(os.pread(descriptor, length, position))
        try:
            fields = reader.struct()
        except IndexError:
            length *= 16
            continue
        except (ValueError, RecursionError):
            return None
        unpacked, packed = fields.get(2), fields.get(3)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or packed < 0:
            return None
        kind: Any = next(
            (fields[key] for key in (5, 8) if key in fields), {}
        )  # of data, version 1 or 2
        values = kind.get(1, 0) if isinstance(kind, dict) else 0
        return _Page(unpacked, packed, reader.place, values if isinstance(values, int) else 0)
    return None


class _Thrift:
    """Reader of Thrift's compact protocol, as far as headers of pages use it."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def struct(self) -> dict[int, Any]:
        """Return the fields of a struct by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._zigzag()
            fields[number] = self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                self.place += 8
                return None
            case 8:
                self._skip(self._varint())
                return None
            case 12:
                return self.struct()
            case _:
                raise ValueError(kind)

    def _skip(self, length: int) -> None:
        self.place += length
        if self.place > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        value = self._data[self.place]
        self.place += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 - the last
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004 - of 64 bits
                raise ValueError(shift)

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
