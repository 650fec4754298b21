"""Records of the Hub in a file: JSON lines or Parquet, as pages of a listing."""

import gzip
import json
import os
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, Self, TypeVar

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from registry.bounded import limits, parquet
from registry.coerce import timestamp
from registry.errors import HubError, UnreadableFileError, UsageError
from registry.hub.client import LISTED_FIELDS, ListingQuery, RawPage
from registry.hub.decode import decode_page
from registry.hub.digest import COUNTERS, digest
from registry.hub.records import name_of
from registry.sync.batch import RejectedRecord
from registry.sync.page import PAYLOAD_LENGTH

_ROWS = 1000  # of a Parquet file, read at once
_MOST_FIELDS = 1000  # whose names are kept
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_MOMENT = -(2**63)
_MICROSECOND = timedelta(microseconds=1)
_DOCUMENTS = frozenset({"cardData", "config", "evalResults", "gguf", "safetensors", "tags"})
_FLAGS = frozenset({"disabled", "gated", "private"})
_TRUTHS = {"true": True, "false": False}

_T = TypeVar("_T")


class _Place(NamedTuple):
    """Where a record lies: its line, the offset and length of its text."""

    line: int
    offset: int
    length: int


class RecordFile:
    """A file of records, read once for its index; the records then come in pages, day by day.

    Of records of one model and day, the one that was modified last counts, of equal ones the last.
    As a context manager, it removes its temporary copy at the end.

    Attributes:
        path: of the file.
        days: dates of observation, in order; a single None where the file has none.
        rejected: lines that are no record, with their numbers.
        repeated: number of records that others of the same model and day replace.
    """

    def __init__(self, path: Path, date_column: str | None = None) -> None:
        """Read nothing yet.

        Args:
            path: JSON lines, also compressed by gzip, or Parquet.
            date_column: field that says when a record was observed; it is no part of the record.
        """
        self.path, self._date_column = path, date_column
        self.days: Sequence[datetime | None] = [None]
        self.rejected: list[RejectedRecord] = []
        self.repeated = 0
        self._fields: set[str] = set()
        self._columns = {name: array("q") for name in (
            "line", "offset", "length", "day", "name", "key", "modified",
        )}  # fmt: skip
        self._rows: Mapping[int, NDArray[np.int64]] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Read the file's index.

        Raises:
            UsageError: when there is no such file, or it has no dates.
            UnreadableFileError: when it cannot be read to its end.
        """
        with self._open:
            try:
                self._content: IO[bytes] = self._open.enter_context(self.path.open("rb"))
                self._stat = os.fstat(self._content.fileno())
                self._index()
            except OSError as error:
                raise UsageError(
                    f"{self.path} cannot be read ({error.strerror or error})."
                ) from error
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def size(self, day: datetime | None) -> int:
        """Return how many records are observed on a day."""
        return len(self._rows.get(_microseconds(day), ()))

    def source(self, day: datetime | None, page_size: int) -> "DayPages":
        """Return the pages of a day."""
        return DayPages(self, day, page_size)

    def page(self, day: datetime | None, start: int, count: int) -> bytes:
        """Return records as the body of a page.

        Raises:
            UsageError: when the file has changed meanwhile.
        """
        stat = os.fstat(self._content.fileno())
        if (stat.st_size, stat.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise UsageError(f"{self.path} changed while it was read; sync from it again.")
        texts = [self._text(place) for place in self._places(day, start, count)]
        return b"[" + b",".join(texts) + b"]"

    def lines(self, day: datetime | None, start: int, count: int) -> dict[str, int]:
        """Return the lines of a page's records, by the keys that rejected ones would have."""
        lines: dict[str, int] = {}
        for place in self._places(day, start, count):
            [record] = decode_page(b"[" + self._text(place) + b"]")
            lines.setdefault(name_of(record) or f"digest {digest(record):x}", place.line)
        return lines

    def _places(self, day: datetime | None, start: int, count: int) -> Iterator[_Place]:
        rows = self._rows.get(_microseconds(day))
        if rows is not None:
            yield from (_Place(*row) for row in rows[start : start + count].tolist())

    def _text(self, place: _Place) -> bytes:
        """Return a record with the listing's fields, so that its digest is that of the Hub's."""
        text = os.pread(self._content.fileno(), place.length, place.offset)
        if self._fields <= LISTED_FIELDS:
            return text
        [record] = decode_page(b"[" + text + b"]")
        if not isinstance(record, dict) or record.keys() <= LISTED_FIELDS:
            return text
        listed = {name: value for name, value in record.items() if name in LISTED_FIELDS}
        try:
            return orjson.dumps(listed)
        except TypeError:  # lone surrogates, integers beyond 64 bits
            return json.dumps(listed).encode()

    def where(self, line: int) -> str:
        """Return a line as people find it."""
        return f"{self.path.name}, line {line}"

    def _index(self) -> None:
        beginning = self._content.read(4)
        self._content.seek(0)
        if beginning == b"PAR1":
            self._index_all(self._parquet_rows(), copied=True)
        elif beginning[:2] == b"\x1f\x8b":
            unpacked = limits.unpacked(self.path, self._content)
            self._index_all(self._texts(unpacked), copied=True)
        else:
            self._index_all(self._texts(self._content), copied=False)
        column = self._date_column
        if column is not None and column not in self._fields and self._fields:
            raise UsageError(
                f"{self.path} has no field {column!r}; its records have "
                f"{', '.join(sorted(self._fields))}."
            )
        self._arrange()

    def _index_all(self, records: Iterator[tuple[int, int, bytes]], *, copied: bool) -> None:
        """Note where each record lies; `copied` to a temporary file."""
        spool = self._open.enter_context(_temporary_file()) if copied else None
        position = 0
        for line, offset, text in records:
            record = self._decoded(line, text)
            if record is _REJECTED:
                continue
            day = None
            if isinstance(record, dict):
                if not record.keys() <= self._fields and len(self._fields) < _MOST_FIELDS:
                    self._fields |= record.keys()
                if self._date_column is not None:
                    day = timestamp(record.get(self._date_column))
                    if day is None:
                        self._reject(line, f"field {self._date_column!r} is no date", text)
                        continue
            if spool is not None:
                offset = position  # noqa: PLW2901 - in the copy
                position += spool.write(text)
            self._note(line, offset, len(text), day, record)
        if spool is not None:
            spool.flush()
            self._content = spool
            self._stat = os.fstat(spool.fileno())

    def _note(
        self, line: int, offset: int, length: int, day: datetime | None, record: object
    ) -> None:
        fields = record if isinstance(record, dict) else {}
        key, modified = fields.get("_id"), timestamp(fields.get("lastModified"))
        name = name_of(record)
        row = {
            "line": line,
            "offset": offset,
            "length": length,
            "day": _microseconds(day),
            # What has no name repeats nothing.
            "name": line if name is None else hash(name),
            "key": hash(key) if isinstance(key, str) and name is not None else -line,
            "modified": _NO_MOMENT if modified is None else _microseconds(modified),
        }
        for column, value in row.items():
            self._columns[column].append(value)

    def _arrange(self) -> None:
        """Order the records by day, without those that others replace."""
        columns = {name: np.frombuffer(each, np.int64) for name, each in self._columns.items()}
        counts = np.ones(len(columns["line"]), bool)
        for name in ("name", "key"):
            counts &= _newest(columns["day"], columns[name], columns["modified"])
        self.repeated = int((~counts).sum())
        places = np.stack([columns[name][counts] for name in _Place._fields], axis=1)
        days = columns["day"][counts]
        order = np.argsort(days, kind="stable")
        different, starts = np.unique(days[order], return_index=True)
        parts = np.split(places[order], starts[1:])
        self._rows = dict(zip(different.tolist(), parts, strict=bool(len(different))))
        if self._date_column is not None:
            self.days = [_EPOCH + each * _MICROSECOND for each in self._rows]

    def _decoded(self, line: int, text: bytes) -> object:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problem = str(error)
        try:
            [record] = decode_page(b"[" + text + b"]")
        except (HubError, ValueError):
            self._reject(line, f"it is no JSON ({problem})", text)
            return _REJECTED
        return record

    def _reject(self, line: int, problem: str, text: bytes) -> None:
        payload = text[:PAYLOAD_LENGTH].decode(errors="replace").replace("\0", "")
        where = self.where(line)
        self.rejected.append(RejectedRecord(where, f"{where}: {problem}", payload))

    def _texts(self, file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
        line = offset = 0
        try:
            while text := file.readline(limits.LINE + 1):
                line += 1
                length = len(text)
                if length > limits.LINE:
                    problem = f"it has more than {limits.megabytes(limits.LINE)}"
                    self._reject(line, problem, text)
                    while text and not text.endswith(b"\n"):
                        text = file.readline(limits.LINE + 1)
                        length += len(text)
                    offset += length
                    continue
                stripped = text.strip().removeprefix(b"\xef\xbb\xbf")
                if line == 1 and stripped.startswith(b"["):
                    raise UnreadableFileError(
                        self.path, "A list; write one record a line: jq -c '.[]' FILE", line=1
                    )
                if stripped:
                    yield line, offset + text.index(stripped[:1]), stripped
                offset += length
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableFileError(
                self.path, f"The compressed file is damaged or cut off ({error}).", line=line + 1
            ) from error

    def _parquet_rows(self) -> Iterator[tuple[int, int, bytes]]:
        try:
            with parquet.opened(self.path) as described:
                dictionaries = parquet.texts(described)
                plain = described.schema_arrow
            file = parquet.opened(self.path, self._content, read_dictionary=dictionaries)
            if "id" not in file.schema_arrow.names and "modelId" not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names)
                raise UnreadableFileError(self.path, f"There is no column id; there are {names}.")
            row = 0
            for packed in parquet.batches(self.path, file, _ROWS):
                parquet.require_text(self.path, packed, row)
                batch = _cast(packed, plain)
                for record in batch.to_pylist(maps_as_pydicts="strict"):
                    row += 1
                    yield row, 0, orjson.dumps(_as_listed(record))
        except (pa.ArrowException, KeyError, UnicodeError) as error:
            raise UnreadableFileError(self.path, f"It is no Parquet file ({error}).") from error


_REJECTED = object()


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with texts in place of dictionaries."""
    return pa.RecordBatch.from_arrays(
        [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(batch.columns, schema, strict=True)
        ],
        schema=schema,
    )


def _temporary_file() -> BinaryIO:
    return tempfile.TemporaryFile(prefix="registry-records-")


class DayPages:
    """The records of a day, as a listing of the Hub."""

    def __init__(self, file: RecordFile, day: datetime | None, page_size: int) -> None:
        self._file, self._day, self._page_size = file, day, page_size

    def first_url(self, query: ListingQuery) -> str:  # noqa: ARG002 - all records are selected
        """Return the address of the first page."""
        return "record 0"

    def fetch(self, url: str, read: Callable[[RawPage], _T]) -> _T:
        """Read a page."""
        return read(self.fetch_raw(url))

    def fetch_raw(self, url: str) -> RawPage:
        """Return a page."""
        start = int(url.removeprefix("record "))
        end = start + self._page_size
        following = f"record {end}" if end < self._file.size(self._day) else None
        return RawPage(self._file.page(self._day, start, self._page_size), following, url)

    def located(
        self, urls: Sequence[str], rejected: Sequence[RejectedRecord]
    ) -> list[RejectedRecord]:
        """Return the rejected records of pages with their lines in the reason."""
        lines: dict[str, int] = {}
        for url in urls if rejected else ():
            start = int(url.removeprefix("record "))
            lines = self._file.lines(self._day, start, self._page_size) | lines
        return [
            each._replace(reason=f"{self._file.where(lines[each.key])}: {each.reason}")
            if each.key in lines
            else each
            for each in rejected
        ]


def _microseconds(moment: datetime | None) -> int:
    return _NO_MOMENT if moment is None else (moment - _EPOCH) // _MICROSECOND


def _newest(
    day: NDArray[np.int64], key: NDArray[np.int64], modified: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which records are the newest of their day and key; of equal ones, the last."""
    order = np.lexsort((np.arange(len(key)), modified, key, day))
    last = np.ones(len(key), bool)
    if len(key):
        last[:-1] = (np.diff(key[order]) != 0) | (np.diff(day[order]) != 0)
    newest = np.empty(len(key), bool)
    newest[order] = last
    return newest


def _as_listed(record: Mapping[str, object]) -> dict[str, object]:
    """Return a row as the Hub lists it: what tables turn into text or nulls is turned back."""
    listed: dict[str, object] = {}
    for name, value in record.items():
        plain = _plain(value)
        if isinstance(plain, str):
            if name in _DOCUMENTS and plain[:1] in ("{", "["):
                with suppress(orjson.JSONDecodeError):
                    plain = orjson.loads(plain)
            elif name in _FLAGS:
                plain = _TRUTHS.get(plain.lower(), plain)
        if name in COUNTERS and isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        if plain is not None:
            listed[name] = plain
    return listed


def _plain(value: object) -> object:
    """Return a value of a table as JSON has it, without nulls; None for what it has not."""
    match value:
        case dict():
            members = {str(name): _plain(each) for name, each in value.items()}
            return {name: each for name, each in members.items() if each is not None}
        case list():
            return [each for each in map(_plain, value) if each is not None]
        case datetime():
            utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case float() if value != value:  # noqa: PLR0124 - NaN is a null of a table
            return None
        case bool() | int() | float() | str() | None:
            return value
        case bytes():
            return value.decode(errors="replace")
        case _:
            return str(value)
