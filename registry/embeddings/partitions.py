"""Vectors in and out of the database, by binary COPY, and the partition of each version.

A version's partition is filled and indexed as a table of its own and then attached, which stops no
reader: only dropping one does, for a moment.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.db.binary_copy import Column, copy_in

_log = logging.getLogger(__name__)

INDEXED_FROM = 50_000
"""Vectors of a version from which it has an HNSW index; fewer are all looked at, in some 20 ms."""

MOST_INDEXED = 4_000
"""Dimensions up to which pgvector indexes vectors in half precision."""

PATIENCE = "4s"
"""How long dropping a partition waits for its readers; others wait behind it meanwhile."""

LINKS, BREADTH = 24, 100
"""Links of a vector in the index, and candidates that they are chosen from."""

_SHARED_MEMORY_FULL = "53100"


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


def delete_rows(connection: Connection, version: int, keys: Sequence[int]) -> None:
    """Delete the folded and cold vectors of models in a version."""
    connection.execute(
        text("""
        DELETE FROM store.embeddings
         WHERE version_id = :version AND model_id = ANY (:keys) AND kind <> 'trained'"""),
        {"version": version, "keys": list(keys)},
    )


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
