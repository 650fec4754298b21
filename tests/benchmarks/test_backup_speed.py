"""Backup and restore: time and size beside pg_dump and pg_restore, after a year of versions.

BENCHMARK_MODELS sets the size of the catalog, BENCHMARK_VERSIONS the number of versions of vectors
(default 52, one a week), BENCHMARK_VECTORS how many models each has vectors of.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from learned import trained
from measuring import empty_database
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db.backup import programs
from registry.db.backup.dump import back_up
from registry.db.backup.restore import restore
from registry.embeddings import save, versions
from registry.embeddings.export import export

pytestmark = pytest.mark.benchmark

VERSIONS = int(os.environ.get("BENCHMARK_VERSIONS", "52"))
VECTORS = int(os.environ.get("BENCHMARK_VECTORS", "5000"))
DIMENSION = 64


def a_year_passes(engine: Engine) -> None:
    """Store a version of vectors a week, and counters of the same models."""
    numbers = np.random.default_rng(0)
    with engine.connect() as connection:
        models = list(
            connection.scalars(
                text("SELECT name FROM store.models WHERE state = 'available' LIMIT :count"),
                {"count": VECTORS},
            )
        )
    vectors = numbers.standard_normal((len(models), DIMENSION), np.float32)
    for week in range(VERSIONS):
        with engine.begin() as connection:
            vectors += 0.05 * numbers.standard_normal(vectors.shape, np.float32)
            serving = np.hstack([vectors, vectors[:, :1]])
            version = save.save(connection, trained(models, vectors, serving=serving))
            versions.promote(connection, version)
            count_again(connection, models, week)


def count_again(connection: Connection, models: list[str], week: int) -> None:
    connection.execute(
        text("""
        INSERT INTO store.model_history (model_id, observed_at, downloads, likes)
        SELECT model_id, timestamptz '2025-01-01' + :week * interval '7 days',
               :week * 1000 + model_id % 997, :week + model_id % 13
          FROM store.models WHERE name = ANY (:names)"""),
        {"week": week, "names": models},
    )


@contextmanager
def measured(what: str, file: Path | None = None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    size = "" if file is None else f", {file.stat().st_size / 2**20:,.0f} MiB"
    print(f"{what}: {time.perf_counter() - began:.1f} s{size}", flush=True)


def test_a_year_of_versions(large: Engine, benchmark_server: str, tmp_path: Path) -> None:
    with measured(f"{VERSIONS} versions of {VECTORS:,} vectors stored"):
        a_year_passes(large)
    with large.connect() as connection:
        size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        families = connection.scalar(
            text("SELECT count(DISTINCT family_id) FROM store.model_families")
        )
    print(f"database: {size / 2**20:,.0f} MiB, {families:,} families")
    dump, restorer = (programs.find(name, 16).path for name in ("pg_dump", "pg_restore"))
    address, environment = programs.connecting(large.url)
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    with measured("pg_dump --format=custom", plain):
        subprocess.run([dump, "-Fc", "-f", plain, address], env=environment, check=True)
    with measured("registry backup", ours):
        manifest, _ = back_up(large, ours)
    with empty_database(benchmark_server, "by_pg_restore") as url:
        address, environment = programs.connecting(database.create_engine(url).url)
        command: list[str | Path] = [restorer, "-1", f"--dbname={address}", plain]
        with measured("pg_restore --single-transaction"):
            subprocess.run(command, env=environment, check=True)
    with empty_database(benchmark_server, "restored") as url:
        with measured("registry restore, verified"):
            restored = restore(database.setting(url), ours)
        engine = database.create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET ROLE registry_reader")
            query = "SELECT count(*) FROM registry.embeddings"
            assert connection.exec_driver_sql(query).scalar() == VECTORS
        for version in (1, VERSIONS):
            exported = [tmp_path / f"{name}-{version}.parquet" for name in ("before", "after")]
            for each, file in zip((large, engine), exported, strict=True):
                export(each, file, "parquet", version)
            assert exported[0].read_bytes() == exported[1].read_bytes()
    assert restored.manifest == manifest
