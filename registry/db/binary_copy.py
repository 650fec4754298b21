"""Binary COPY of numbers, keys and vectors, from and to numpy arrays.

In that form a row is its number of fields, then each field as its length and its bytes. With
vectors of one dimension all rows are of one length, so that numpy writes and reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from registry.db.copy import copying

ROWS_AT_ONCE = 8_192
"""Rows that are encoded, or decoded of a stream, at once."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


class Arrays(NamedTuple):
    """A column of arrays of one length: n x k, int64 or float32."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


Column = NDArray[Any] | Arrays | str | None
"""A column to load: numbers or bytes (n), vectors (n x d; of float16 for `halfvec`), arrays, one
text for all rows, or NULL."""

Kind = str | tuple[str, int]
"""A column to read: the type of its numbers, as "i8"; for vectors, "f4" or "f2" for `halfvec`,
with the number of dimensions."""

_ELEMENT_TYPES = {"i8": 20, "f4": 700}
"""Object identifiers of the types of arrays' elements."""


def copy_in(connection: Connection, table: str, columns: Mapping[str, Column]) -> None:
    """Load rows, in the connection's transaction.

    Args:
        connection: to load by.
        table: trusted name of the table, as SQL.
        columns: by trusted name; all arrays are of one length.
    """
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with copying(connection, statement) as copy:
        copy.write(_HEADER)
        for rows in _encoded(list(columns.values())):
            copy.write(rows)
        copy.write(_TRAILER)


def _encoded(columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield rows as COPY has them, ROWS_AT_ONCE at a time."""
    count = next(len(column) for column in columns if isinstance(column, np.ndarray))
    blank = _blank(columns, min(count, ROWS_AT_ONCE))
    for start in range(0, count, ROWS_AT_ONCE):
        rows = blank[: min(count - start, ROWS_AT_ONCE)]
        for place, column in enumerate(columns):
            if isinstance(column, Arrays):
                elements = rows[f"value{place}"]["elements"]
                elements["value"] = column.values[start : start + len(rows)]
            elif isinstance(column, np.ndarray):
                rows[f"value{place}"] = column[start : start + len(rows)]
        yield rows.tobytes()


def _blank(columns: Sequence[Column], count: int) -> NDArray[np.void]:
    """Return rows with all that is the same in each: lengths, heads and constants."""
    layout: list[Any] = [("fields", ">i2")]
    for place, column in enumerate(columns):
        layout += _field(place, column)
    rows = np.zeros(count, np.dtype(layout))
    rows["fields"] = len(columns)
    for place, column in enumerate(columns):
        if column is None:
            rows[f"length{place}"] = -1
            continue
        rows[f"length{place}"] = rows.dtype[f"value{place}"].itemsize
        if isinstance(column, str):
            rows[f"value{place}"] = column.encode()
        elif isinstance(column, Arrays):
            kind = column.values.dtype.str[1:]
            # Dimensions, whether some is null, the type, the length, the first subscript.
            rows[f"value{place}"]["head"] = (1, 0, _ELEMENT_TYPES[kind], column.values.shape[1], 1)
            rows[f"value{place}"]["elements"]["length"] = column.values.dtype.itemsize
        elif column.ndim > 1:
            rows[f"length{place}"] += 4
            rows[f"head{place}"] = (column.shape[1], 0)
    return rows


def _field(place: int, column: Column) -> list[Any]:
    """Return the layout of a column: its length, the head of a vector, the value."""
    length = (f"length{place}", ">i4")
    if column is None:
        return [length]
    if isinstance(column, str):
        return [length, (f"value{place}", f"S{len(column.encode())}")]
    if isinstance(column, Arrays):
        kind = column.values.dtype.newbyteorder(">")
        element = [("length", ">i4"), ("value", kind)]
        array = [("head", ">i4", (5,)), ("elements", element, (column.values.shape[1],))]
        return [length, (f"value{place}", array)]
    value = (f"value{place}", column.dtype.newbyteorder(">"), column.shape[1:])
    return [length, (f"head{place}", ">i2", (2,)), value] if column.ndim > 1 else [length, value]


def copy_out(connection: Connection, query: str, columns: Mapping[str, Kind]) -> NDArray[np.void]:
    """Read rows in one piece.

    Args:
        connection: to read from.
        query: trusted SQL, whose columns are never null.
        columns: their kinds by name.

    Returns:
        A record array with these fields, big-endian as they came.
    """
    layout = _layout(columns)
    data = bytearray()
    with copying(connection, f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
        for chunk in copy:
            data += chunk
    count = (len(data) - len(_HEADER) - len(_TRAILER)) // layout.itemsize
    return np.frombuffer(data, layout, count, len(_HEADER))


def stream_out(
    connection: Connection,
    query: str,
    columns: Mapping[str, Kind],
    parameters: Mapping[str, object],
) -> Iterator[NDArray[np.void]]:
    """Yield rows as `copy_out` returns them, ROWS_AT_ONCE or a few more at a time.

    Args:
        connection: to read from; nothing else may use it meanwhile.
        query: trusted SQL, whose columns are never null; its parameters are written as %(name)s.
        columns: their kinds by name.
        parameters: by name.
    """
    layout = _layout(columns)
    statement = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with copying(connection, statement, parameters) as copy:
        data = bytearray()
        for chunk in copy:
            data += chunk
            if len(data) >= len(_HEADER) + ROWS_AT_ONCE * layout.itemsize:
                rows = _decoded(data, layout)
                # Every piece is read as one that begins with a header.
                data = bytearray(_HEADER) + data[len(_HEADER) + rows.nbytes :]
                yield rows
        yield _decoded(data, layout)


def _decoded(data: bytearray, layout: np.dtype[np.void]) -> NDArray[np.void]:
    """Return the whole rows after the header; what follows is part of a row, or the trailer."""
    return np.frombuffer(data, layout, (len(data) - len(_HEADER)) // layout.itemsize, len(_HEADER))


def _layout(columns: Mapping[str, Kind]) -> np.dtype[np.void]:
    fields: list[Any] = [("", ">i2")]
    for name, kind in columns.items():
        fields.append((f"length of {name}", ">i4"))
        if isinstance(kind, str):
            fields.append((name, f">{kind}"))
        else:
            number, dimension = kind
            fields += [(f"head of {name}", ">i4"), (name, f">{number}", (dimension,))]
    return np.dtype(fields)
