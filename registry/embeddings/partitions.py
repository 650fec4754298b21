"""Partitions of the tables of vectors, one per version, and their HNSW indexes.

A partition is filled and indexed as a table of its own and then attached, which blocks no reader;
only dropping one does, for a moment.
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
"""Vectors of a version from which it has an HNSW index; fewer are scanned, in about 20 ms."""

MOST_INDEXED = 4_000
"""Largest dimension that pgvector indexes in half precision."""

PATIENCE = "4s"
"""Lock timeout of dropping a partition; new readers queue behind it meanwhile."""

LINKS, BREADTH = 24, 100
"""Links of a vector in the index (m), and candidates they are chosen from (ef_construction)."""

_SHARED_MEMORY_FULL = "53100"


def create_partition(
    connection: Connection, table: str, version: int, *parts: Mapping[str, Column]
) -> None:
    """Create the partition of a version with its rows; other transactions see it at the commit.

    Args:
        connection: in a transaction.
        table: one of `schema.VERSIONED_TABLES`, by name.
        version: key of the version.
        parts: rows by column, part by part, without version_id.
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
    """Replace the partition of a version, keeping some of its rows.

    The new one is filled and indexed beside the old one, which can be read meanwhile; readers wait
    for the exchange, which takes a moment.

    Args:
        connection: in a transaction.
        table: one of `schema.VERSIONED_TABLES`, by name.
        version: key of the version.
        kept: trusted SQL, the condition of rows that stay.
        parts: new rows by column, part by part, without version_id.

    Raises:
        DBAPIError: when a reader holds the old one for longer than 4 s.
    """
    name, beside = f"{table}_{version}", f"{table}_{version}_next"
    connection.exec_driver_sql(f"CREATE TABLE store.{beside} (LIKE store.{table} INCLUDING ALL)")
    _give_to_owner(connection, beside, table)
    # Proves the partition bound beforehand: attaching need not scan the rows while readers wait.
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
    """Give a new table the owner of the partitioned table."""
    owner = connection.scalar(
        text("SELECT relowner::regrole::text FROM pg_class WHERE oid = CAST(:name AS regclass)"),
        {"name": f"store.{table}"},
    )
    connection.exec_driver_sql(f"ALTER TABLE store.{name} OWNER TO {owner}")


def versioned(columns: Mapping[str, Column], version: int) -> Mapping[str, Column]:
    """Return rows of vectors with their version_id."""
    vectors = columns["vector"]
    assert isinstance(vectors, np.ndarray)
    return {**columns, "version_id": np.broadcast_to(np.int32(version), len(vectors))}


def drop_partition(connection: Connection, table: str, version: int) -> None:
    """Drop the partition of a version, if it has one."""
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS store.{table}_{version}")


def build_index(connection: Connection, name: str, count: int, dimension: int) -> bool:
    """Build the HNSW index of a table with many vectors; return whether one was built.

    In half precision, which halves its size; queries sort its candidates by the vectors themselves.
    """
    if count < INDEXED_FROM or dimension > MOST_INDEXED:
        return False
    _log.info("Building the index of %s vectors; this takes some minutes", f"{count:,}")
    # A graph that does not fit into memory is built on disk, several times slower. It takes 2.3 kB
    # per vector of 128 dimensions.
    needed = count * (2 * dimension + 64 * LINKS + 512) * 5 // 4
    kilobytes = min(max(needed, 1 << 26), 1 << 33) >> 10
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{kilobytes}kB'")
    statement = (
        f"CREATE INDEX {name}_hnsw_idx ON store.{name}"
        f" USING hnsw ((vector::halfvec({dimension})) halfvec_l2_ops)"
        f" WITH (m = {LINKS}, ef_construction = {BREADTH})"
    )
    for workers in (min(os.cpu_count() or 1, 8), 0):
        connection.exec_driver_sql(f"SET LOCAL max_parallel_maintenance_workers = {workers}")
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(statement)
            break
        except DBAPIError as error:
            # Workers share memory, and a container may have little.
            full = isinstance(error.orig, psycopg.Error) and (
                error.orig.sqlstate == _SHARED_MEMORY_FULL
            )
            if not (full and workers):
                raise
            _log.info("Too little shared memory to build it in parallel; using one process")
    return True
