"""Tables of a fixed schema in Parquet or CSV, written and read in batches."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from registry.bounded import parquet
from registry.errors import UnreadableFileError

Encoding: TypeAlias = Literal["parquet", "csv"]

ENDINGS: Mapping[Encoding, str] = {"parquet": ".parquet", "csv": ".csv.gz"}

ROWS = 1 << 17
"""Rows of a batch that is read."""

# Bytes of CSV that are read at once; for a row with more, the next.
_BLOCKS = (1 << 21, 1 << 26, 1 << 30)
_COMPRESSION = 6  # of gzip; 9 takes three times as long for 2 % less
_DICTIONARY = 1 << 26  # bytes; names of items are stored once, however many there are


class TableFile:
    """Writer of rows of one schema to a file, whose name determines the encoding."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema, self.rows = path, schema, 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.suffix == ".parquet":
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(
                    self.path,
                    self.schema,
                    compression="zstd",
                    store_schema=False,
                    dictionary_pagesize_limit=_DICTIONARY,
                )
            )
            return self
        file: Any = self._stack.enter_context(self.path.open("wb"))
        if self.path.suffix == ".gz":
            # Without a time, so that the same rows give the same bytes.
            zipped = gzip.GzipFile("", "wb", _COMPRESSION, fileobj=file, mtime=0)
            file = self._stack.enter_context(zipped)
        # Texts are quoted and null is not, which distinguishes the empty text.
        options = pc.WriteOptions(quoting_style="needed")
        self._writer = self._stack.enter_context(
            pc.CSVWriter(file, _flat(self.schema), write_options=options)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, columns: Mapping[str, Any]) -> None:
        """Write a batch of rows.

        Args:
            columns: Arrow arrays or lists, all of one length, by the names of the schema.
        """
        arrays = [
            columns[field.name]
            if isinstance(columns[field.name], pa.Array)
            else pa.array(columns[field.name], field.type)
            for field in self.schema
        ]
        self.rows += len(arrays[0])
        if self.path.suffix == ".parquet":
            table = pa.Table.from_arrays(arrays, names=self.schema.names)
            self._writer.write_table(table.cast(self.schema))
        else:
            flat = [_as_text(array) for array in arrays]
            table = pa.Table.from_arrays(flat, names=self.schema.names)
            self._writer.write_table(table.cast(_flat(self.schema)))


def _flat(schema: pa.Schema) -> pa.Schema:
    return pa.schema([
        field.with_type(pa.string()) if pa.types.is_list(field.type) else field for field in schema
    ])  # fmt: skip


def _as_text(array: pa.Array) -> pa.Array:
    if not pa.types.is_list(array.type):
        return array
    return pa.array([orjson.dumps(each).decode() for each in array.to_pylist()], pa.string())


def batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file that `TableFile` wrote.

    Raises:
        UnreadableFileError: it is not such a file.
    """
    with _arrow_errors(path):
        if path.suffix == ".parquet":
            yield from _parquet(path, schema)
        else:
            yield from _csv(path, schema)


def _parquet(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with parquet.opened(path, buffer_size=1 << 20, pre_buffer=False) as file:
        _require(path, file.schema_arrow.names, schema)
        for batch in parquet.batches(path, file, ROWS, schema.names):
            yield batch.select(schema.names).cast(schema)


def _csv(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    done = 0
    for block in _BLOCKS:
        try:
            for batch in _parsed(path, schema, block, skip=done):
                yield batch
                done += batch.num_rows
        except pa.ArrowInvalid:
            # A row may be longer than the block.
            if block == _BLOCKS[-1]:
                raise
        else:
            return


def _parsed(path: Path, schema: pa.Schema, block: int, *, skip: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows after the first `skip`, a block of bytes at a time."""
    with pc.open_csv(
        path,
        read_options=pc.ReadOptions(block_size=block, use_threads=False),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=_flat(schema),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    ) as file:
        _require(path, file.schema.names, schema)
        start = 0
        for batch in file:
            rest = batch.slice(max(skip - start, 0))
            start += batch.num_rows
            columns = [_as_list(rest.column(field.name), field) for field in schema]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _require(path: Path, columns: Sequence[str], schema: pa.Schema) -> None:
    for name in schema.names:
        if name not in columns:
            raise UnreadableFileError(path, "there is no such column.", field=name)


def _as_list(array: pa.Array, field: pa.Field) -> pa.Array:
    if not pa.types.is_list(field.type):
        return array
    return pa.array([orjson.loads(each) for each in array.to_pylist()], field.type)


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError, TypeError) as problem:
        what = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise UnreadableFileError(
            path, f"it is not a table as the registry writes it ({what})."
        ) from problem
