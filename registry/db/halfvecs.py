"""Vectors into and out of the database by binary COPY, as pgvector's `halfvec`, beside keys.

In that form a row is its number of columns, then each column as its length and its bytes. With
all vectors of one dimension all rows are of one length, so that numpy writes and reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from registry.db.connection import driver_connection

ROWS_AT_ONCE = 4_096
"""Rows that are read before numpy is given them."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
_UUID, _INTEGER = "V16", ">i4"


def copy_vectors(
    connection: Connection,
    table: str,
    columns: tuple[str, str],
    keys: Sequence[UUID],
    vectors: NDArray[np.float32],
) -> None:
    """Load vectors, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns: a uuid, a halfvec.
        keys: n of them.
        vectors: n x dimension, finite, none of the numbers beyond 65,504.
    """
    dimension = vectors.shape[1]
    rows = np.zeros(len(keys), _row(_UUID, dimension))
    rows["columns"] = 2
    rows["key_bytes"] = 16
    rows["key"] = np.frombuffer(b"".join(key.bytes for key in keys), _UUID)
    rows["vector_bytes"] = 4 + 2 * dimension
    rows["dimension"] = dimension
    rows["vector"] = vectors
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
    with (
        _as_sqlalchemy_fails(statement),
        driver_connection(connection).cursor() as cursor,
        cursor.copy(statement.encode()) as copy,
    ):
        copy.write(_HEADER + rows.tobytes() + _TRAILER)


def read_vectors(
    connection: Connection, query: str, parameters: Mapping[str, object], dimension: int
) -> Iterator[_Rows]:
    """Yield what a query finds, some rows after others: n keys, and n x dimension.

    Args:
        connection: to read from; nothing else may use it meanwhile.
        query: of an `integer` and a `halfvec`; its parameters are written as %(name)s.
        parameters: by name.
        dimension: of each of its vectors.
    """
    statement = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    row = _row(_INTEGER, dimension)
    with (
        _as_sqlalchemy_fails(statement),
        driver_connection(connection).cursor() as cursor,
        cursor.copy(statement.encode(), parameters) as copy,
    ):
        waiting = bytearray()
        begun = False
        for some in copy:
            waiting += some
            if not begun and len(waiting) >= len(_HEADER):
                del waiting[: len(_HEADER)]
                begun = True
            if len(waiting) >= ROWS_AT_ONCE * row.itemsize:
                yield _taken(waiting, row)
        yield _taken(waiting, row)


def _taken(
    waiting: bytearray, row: np.dtype[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Take the whole rows off what was read; what stays is part of a row, or the trailer."""
    whole = len(waiting) // row.itemsize
    rows = np.frombuffer(bytes(waiting[: whole * row.itemsize]), row)
    del waiting[: whole * row.itemsize]
    assert (rows["dimension"] == row["vector"].shape[0]).all()
    return rows["key"].astype(np.int64), rows["vector"].astype(np.float32)


def _row(key: str, dimension: int) -> np.dtype[np.void]:
    return np.dtype([
        ("columns", ">i2"),
        ("key_bytes", ">i4"),
        ("key", key),
        ("vector_bytes", ">i4"),
        ("dimension", ">i2"),
        ("unused", ">i2"),
        ("vector", ">f2", (dimension,)),
    ])  # fmt: skip


@contextmanager
def _as_sqlalchemy_fails(statement: str) -> Iterator[None]:
    # The driver is called directly: fail as SQLAlchemy would.
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error
