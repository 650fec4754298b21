"""Vectors in and out of the database, by binary COPY, and the partition of each version.

A version's partition is filled and indexed as a table of its own and then attached, which stops no
reader: only dropping one does, for a moment.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.db.connection import driver_connection

_log = logging.getLogger(__name__)

INDEXED_FROM = 50_000
"""Vectors of a version from which it has an HNSW index; fewer are all looked at, in some 20 ms."""

MOST_INDEXED = 4_000
"""Dimensions up to which pgvector indexes vectors in half precision."""

PATIENCE = "4s"
"""How long dropping a partition waits for its readers; others wait behind it meanwhile."""

LINKS, BREADTH = 24, 100
"""Links of a vector in the index, and candidates that they are chosen from."""

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_ROWS_AT_ONCE = 8_192
_SHARED_MEMORY_FULL = "53100"


class Arrays(NamedTuple):
    """A column of arrays of one length: n x k, int64 or float32."""

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


Column = NDArray[Any] | Arrays | str | None
"""A column to load: numbers, a matrix for vectors, arrays, one text for all rows, NULL."""

_KEYS_OF_TYPES = {"i8": 20, "f4": 700}
"""What Postgres calls the types of arrays' elements in binary."""


def create_partition(
    connection: Connection, table: str, version: int, *parts: Mapping[str, Column]
) -> None:
    """Create the partition of a version, with its rows; other transactions see it at the commit.

    Args:
        connection: in a transaction.
        table: one of `schema.VERSIONED_TABLES`, by name.
        version: key of the version.
        parts: rows by column, one part after the other; version_id is added.
    """
    name = f"store.{table}_{version}"
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE store.{table} INCLUDING ALL)")
    _give_to_owner(connection, f"{table}_{version}", table)
    count = dimension = 0
    for columns in parts:
        vectors = columns["vector"]
        assert isinstance(vectors, np.ndarray)
        copy_in(connection, name, versioned(columns, version))
        count, dimension = count + len(vectors), vectors.shape[1]
    if table == "embeddings":
        build_index(connection, f"{table}_{version}", count, dimension)
    connection.exec_driver_sql(f"ANALYZE {name}")
    connection.exec_driver_sql(
        f"ALTER TABLE store.{table} ATTACH PARTITION {name} FOR VALUES IN ({version})"
    )


def replace_partition(
    connection: Connection,
    table: str,
    version: int,
    kept: str,
    parts: Iterable[Mapping[str, Column]],
) -> None:
    """Replace the partition of a version by one with some of its rows and others.

    It is filled and indexed beside the old one, which can be read meanwhile; to change places
    takes a moment in which nobody reads the table.

    Args:
        connection: in a transaction.
        table: one of `schema.VERSIONED_TABLES`, by name.
        version: key of the version.
        kept: trusted SQL, the condition that rows meet to stay.
        parts: rows by column that are added; version_id is too.

    Raises:
        DBAPIError: when somebody reads the old one for longer than 4 s.
    """
    name, beside = f"{table}_{version}", f"{table}_{version}_next"
    connection.exec_driver_sql(f"CREATE TABLE store.{beside} (LIKE store.{table} INCLUDING ALL)")
    _give_to_owner(connection, beside, table)
    # Known beforehand, so that all rows need not be looked at while readers wait.
    connection.exec_driver_sql(
        f"ALTER TABLE store.{beside} ADD CONSTRAINT one_version CHECK (version_id = {version})"
    )
    connection.exec_driver_sql(
        f"INSERT INTO store.{beside} SELECT * FROM store.{name} WHERE {kept}"  # noqa: S608
    )
    for columns in parts:
        copy_in(connection, f"store.{beside}", versioned(columns, version))
    count, dimension = connection.execute(
        text(f"SELECT count(*), max(vector_dims(vector)) FROM store.{beside}")  # noqa: S608
    ).one()
    build_index(connection, beside, count, dimension or 0)
    connection.exec_driver_sql(f"ANALYZE store.{beside}")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    drop_partition(connection, table, version)
    connection.exec_driver_sql(f"ALTER TABLE store.{beside} RENAME TO {name}")
    connection.exec_driver_sql(
        f"ALTER INDEX IF EXISTS store.{beside}_hnsw_idx RENAME TO {name}_hnsw_idx"
    )
    connection.exec_driver_sql(
        f"ALTER TABLE store.{table} ATTACH PARTITION store.{name} FOR VALUES IN ({version})"
    )
    connection.exec_driver_sql(f"ALTER TABLE store.{name} DROP CONSTRAINT one_version")


def _give_to_owner(connection: Connection, name: str, table: str) -> None:
    """Give a new table the owner of the table that it is to be a partition of."""
    owner = connection.scalar(
        text("SELECT relowner::regrole::text FROM pg_class WHERE oid = CAST(:name AS regclass)"),
        {"name": f"store.{table}"},
    )
    connection.exec_driver_sql(f"ALTER TABLE store.{name} OWNER TO {owner}")


def versioned(columns: Mapping[str, Column], version: int) -> Mapping[str, Column]:
    """Return rows of vectors with the number of their version beside them."""
    vectors = columns["vector"]
    assert isinstance(vectors, np.ndarray)
    return {**columns, "version_id": np.broadcast_to(np.int32(version), len(vectors))}


def drop_partition(connection: Connection, table: str, version: int) -> None:
    """Drop the partition of a version, if it has one."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS store.{table}_{version}")


def build_index(connection: Connection, name: str, count: int, dimension: int) -> bool:
    """Build the HNSW index of a table of vectors where they are many; return whether it was.

    In half precision, which halves it; what it finds is put in order by the vectors themselves.
    """
    if count < INDEXED_FROM or dimension > MOST_INDEXED:
        return False
    _log.info("Building the index of %s vectors; this takes some minutes", f"{count:,}")
    # A graph that does not fit is built on disk, several times slower: 2.3 kB for 128 dimensions.
    needed = count * (2 * dimension + 64 * LINKS + 512) * 5 // 4
    kilobytes = min(max(needed, 1 << 26), 1 << 33) >> 10
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{kilobytes}kB'")
    statement = (
        f"CREATE INDEX {name}_hnsw_idx ON store.{name}"
        f" USING hnsw ((vector::halfvec({dimension})) halfvec_cosine_ops)"
        f" WITH (m = {LINKS}, ef_construction = {BREADTH})"
    )
    for workers in (min(os.cpu_count() or 1, 8), 0):
        connection.exec_driver_sql(f"SET LOCAL max_parallel_maintenance_workers = {workers}")
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(statement)
            break
        except DBAPIError as error:
            # Workers share memory, of which a container may have little.
            full = isinstance(error.orig, psycopg.Error) and (
                error.orig.sqlstate == _SHARED_MEMORY_FULL
            )
            if not (full and workers):
                raise
            _log.info("Too little shared memory to build it in parallel; building it alone")
    return True


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
