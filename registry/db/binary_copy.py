"""Binary COPY of keys and vectors, from and to numpy arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from registry.db.connection import driver_connection

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)


_ROWS_AT_ONCE = 8_192


class Arrays(NamedTuple):
    """A column of arrays of one length: n x k, int64 or float32."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


Column = NDArray[Any] | Arrays | str | None
"""A column to load: numbers, a matrix for vectors, arrays, one text for all rows, NULL."""


_KEYS_OF_TYPES = {"i8": 20, "f4": 700}
"""What Postgres calls the types of arrays' elements in binary."""


def copy_in(connection: Connection, table: str, columns: Mapping[str, Column]) -> None:
    """Load rows by binary COPY, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: by trusted name; all arrays are of one length.
    """
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            copy.write(_SIGNATURE)
            for rows in _encoded(list(columns.values())):
                copy.write(rows)
            copy.write(b"\xff\xff")
    except psycopg.Error as error:
        # The driver was called directly: fail as SQLAlchemy would have.
        raise DBAPIError(statement, None, error) from error


def _encoded(columns: Sequence[Column]) -> Iterator[bytes]:
    """Yield rows as COPY has them: the number of fields, then each with its length before it."""
    count = next(len(column) for column in columns if isinstance(column, np.ndarray))
    rows = _blank(columns, min(count, _ROWS_AT_ONCE))
    for start in range(0, count, _ROWS_AT_ONCE):
        some = rows[: min(count - start, _ROWS_AT_ONCE)]
        for place, column in enumerate(columns):
            if isinstance(column, Arrays):
                elements = some[f"value{place}"]["elements"]
                elements["value"] = column.values[start : start + len(some)]
            elif isinstance(column, np.ndarray):
                some[f"value{place}"] = column[start : start + len(some)]
        yield some.tobytes()


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
            rows[f"value{place}"]["head"] = (1, 0, _KEYS_OF_TYPES[kind], column.values.shape[1], 1)
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


def copy_out(connection: Connection, query: str, columns: Mapping[str, Any]) -> NDArray[np.void]:
    """Read rows by binary COPY, in one piece.

    Args:
        connection: to read from.
        query: trusted SQL, whose columns are never null.
        columns: a numpy type for each, such as "i8"; the number of dimensions for a vector.

    Returns:
        A record array with these fields, big-endian as they came.
    """
    fields: list[Any] = [("", ">i2")]
    for name, kind in columns.items():
        fields.append((f"length of {name}", ">i4"))
        if isinstance(kind, int):
            fields += [(f"head of {name}", ">i4"), (name, ">f4", (kind,))]
        else:
            fields.append((name, f">{kind}"))
    layout = np.dtype(fields)
    data = bytearray()
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode()) as copy,
        ):
            for chunk in copy:
                data += chunk
    except psycopg.Error as error:
        raise DBAPIError(query, None, error) from error
    count = (len(data) - len(_SIGNATURE) - 2) // layout.itemsize
    return np.frombuffer(data, layout, count, len(_SIGNATURE))
