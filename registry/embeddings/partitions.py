"""Partitions of the tables of vectors, one per version, and their HNSW indexes.

A partition is filled and indexed as a table of its own and then attached, which blocks no reader;
only dropping one does, for a moment.
"""

import logging
import os
import time
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

MOMENT = "100ms"
"""Lock timeout of an attempt to exchange a partition; new readers wait that long at most."""

ATTEMPTS, PAUSE = 20, 0.25
"""Attempts to exchange a partition, and seconds between two of them."""

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


def replace_placed(
    connection: Connection, version: int, parts: Iterable[Mapping[str, Column]]
) -> None:
    """Replace the folded and cold vectors of a version; other transactions see it at the commit.

    Rows are replaced in place, for which no reader waits and which waits for none. Where there is
    an index, which would be updated row by row, a table is filled and indexed beside the old one
    and takes its place; where readers hold the old one for too long, rows are replaced all the
    same.

    Args:
        connection: in a transaction.
        version: its key.
        parts: new rows by column, part by part, without version_id.
    """
    name = f"embeddings_{version}"
    if _has_index(connection, name):
        _fill_beside(connection, name, version, parts)
        if not _exchanged(connection, name, version):
            _move_rows(connection, name)
        return
    connection.exec_driver_sql(f"DELETE FROM store.{name} WHERE NOT ({_TRAINED})")  # noqa: S608
    for columns in parts:
        copy_in(connection, f"store.{name}", versioned(columns, version))
    _build_index(connection, name)
    connection.exec_driver_sql(f"ANALYZE store.{name}")


_TRAINED = "kind = 'trained'"


def _has_index(connection: Connection, name: str) -> bool:
    return bool(
        connection.scalar(
            text("SELECT to_regclass(:name) IS NOT NULL"), {"name": f"store.{name}_hnsw_idx"}
        )
    )


def _fill_beside(
    connection: Connection, name: str, version: int, parts: Iterable[Mapping[str, Column]]
) -> None:
    """Fill and index a table of a version's trained vectors and new rows."""
    beside = f"{name}_next"
    connection.exec_driver_sql(f"CREATE TABLE store.{beside} (LIKE store.embeddings INCLUDING ALL)")
    _give_to_owner(connection, beside, "embeddings")
    # Proves the partition bound beforehand: attaching need not scan the rows while readers wait.
    connection.exec_driver_sql(
        f"ALTER TABLE store.{beside} ADD CONSTRAINT one_version CHECK (version_id = {version})"
    )
    connection.exec_driver_sql(
        f"INSERT INTO store.{beside} SELECT * FROM store.{name} WHERE {_TRAINED}"  # noqa: S608
    )
    for columns in parts:
        copy_in(connection, f"store.{beside}", versioned(columns, version))
    _build_index(connection, beside)
    connection.exec_driver_sql(f"ANALYZE store.{beside}")


def _exchanged(connection: Connection, name: str, version: int) -> bool:
    """Put the table beside a partition in its place; return whether readers let it.

    New readers queue behind a lock that waits, so each attempt waits for a moment only.
    """
    beside = f"{name}_next"
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{MOMENT}'")
    for attempt in range(ATTEMPTS):
        try:
            with connection.begin_nested():
                drop_partition(connection, "embeddings", version)
            break
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if attempt + 1 == ATTEMPTS:
                return False
            time.sleep(PAUSE)
    connection.exec_driver_sql(f"ALTER TABLE store.{beside} RENAME TO {name}")
    connection.exec_driver_sql(
        f"ALTER INDEX IF EXISTS store.{beside}_hnsw_idx RENAME TO {name}_hnsw_idx"
    )
    connection.exec_driver_sql(
        f"ALTER TABLE store.embeddings ATTACH PARTITION store.{name} FOR VALUES IN ({version})"
    )
    connection.exec_driver_sql(f"ALTER TABLE store.{name} DROP CONSTRAINT one_version")
    return True


def _move_rows(connection: Connection, name: str) -> None:
    """Replace the placed rows of a partition by those of the table beside it."""
    connection.exec_driver_sql(f"DELETE FROM store.{name} WHERE NOT ({_TRAINED})")  # noqa: S608
    connection.exec_driver_sql(
        f"INSERT INTO store.{name} SELECT * FROM store.{name}_next"  # noqa: S608
        f" WHERE NOT ({_TRAINED})"
    )
    connection.exec_driver_sql(f"DROP TABLE store.{name}_next")


def _build_index(connection: Connection, name: str) -> None:
    count, dimension = connection.execute(
        text(f"SELECT count(*), max(vector_dims(vector)) FROM store.{name}")  # noqa: S608
    ).one()
    build_index(connection, name, count, dimension or 0)


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
