"""Overview of the registry: counts of its rows, and the last run of each job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

COUNTED_UP_TO = 5_000_000
"""Rows of a table up to which they are counted; beyond, the planner's estimate is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The registry at one moment; sizes in bytes, times in UTC.

    Attributes:
        models: number of models by state.
        edges: number of edges by relation; one parent of one child counts once per relation.
        families: number of families with more than one model.
        aliases: number of aliases by source.
        history: rows of history.
        features: models with a feature vector.
        runs: evaluation runs.
        outcomes: outcomes that runs hold, one a model and item.
        benchmarks: versions of benchmarks that there are runs on.
        unresolved: names in evaluations that resolve to no known model.
        quarantine: records in quarantine.
        embeddings: the current version of learned embeddings: version, method, models (that it was
            trained on), dimension, vectors (those placed later included), created_at, promoted_at;
            None while there is none.
        estimated: which of the numbers are estimates.
        jobs: the last run of each job: job, started_at, finished_at, status, summary.
        passes: state of each sync: scope, kind, watermark, swept_at, swept_models, under_way,
            pages, summary.
        size: of the database.
    """

    models: Mapping[str, int]
    edges: Mapping[str, int]
    families: int
    aliases: Mapping[str, int]
    history: int
    features: int
    runs: int
    outcomes: int
    benchmarks: int
    unresolved: int
    quarantine: int
    embeddings: Mapping[str, Any] | None
    estimated: Sequence[str]
    jobs: Sequence[Mapping[str, Any]]
    passes: Sequence[Mapping[str, Any]]
    size: int


def read_overview(connection: Connection) -> Overview:
    """Read counts, the state of syncs and the last runs."""
    estimated: list[str] = []

    def rows_of(label: str, table: str) -> int:
        count, exact = _rows(connection, table)
        if not exact:
            estimated.append(label)
        return count

    families = connection.scalar(
        text("""
        SELECT count(DISTINCT family_id) FROM store.model_families
         WHERE primary_parent_id IS NOT NULL""")
    )
    return Overview(
        models=_grouped(connection, "SELECT state, count(*) FROM store.models GROUP BY state"),
        edges=_grouped(
            connection,
            "SELECT relation, count(*) FROM (SELECT DISTINCT child_id, parent_id, relation"
            " FROM store.edges) AS stated GROUP BY relation",
        ),
        families=families or 0,
        aliases=_grouped(
            connection, "SELECT source, count(*) FROM store.model_aliases GROUP BY source"
        ),
        history=rows_of("history", "store.model_history"),
        features=rows_of("features", "store.model_features"),
        runs=rows_of("runs", "store.runs"),
        outcomes=_count(connection, "SELECT sum(outcome_count) FROM store.runs"),
        benchmarks=_count(connection, "SELECT count(DISTINCT benchmark_id) FROM store.runs"),
        unresolved=_count(
            connection, "SELECT count(*) FROM store.evaluated_names WHERE method = 'unresolved'"
        ),
        quarantine=rows_of("quarantine", "store.quarantine"),
        embeddings=_current_embeddings(connection),
        estimated=estimated,
        jobs=last_runs(connection),
        passes=[
            dict(row)
            for row in connection.execute(
                text("""
                SELECT scope, kind, watermark, swept_at, swept_models, under_way, pages, summary
                  FROM store.sync_passes ORDER BY scope, kind""")
            ).mappings()
        ],
        size=connection.scalar(text("SELECT pg_database_size(current_database())")) or 0,
    )


def last_runs(connection: Connection) -> list[dict[str, Any]]:
    """Return the last run of each job: job, started_at, finished_at, status and summary."""
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (job) job, started_at, finished_at, status, summary
          FROM registry.job_runs
         ORDER BY job, started_at DESC""")
    )
    return [dict(row) for row in rows.mappings()]


def _current_embeddings(connection: Connection) -> dict[str, Any] | None:
    row = connection.execute(
        text("""
        SELECT version, method, models, dimension,
               (SELECT count(*) FROM registry.embeddings) AS vectors, created_at, promoted_at
          FROM registry.embedding_versions WHERE current""")
    )
    version = row.mappings().one_or_none()
    return None if version is None else dict(version)


def _count(connection: Connection, statement: str) -> int:
    return int(connection.scalar(text(statement)) or 0)


def _grouped(connection: Connection, statement: str) -> dict[str, int]:
    counts = {row[0]: row[1] for row in connection.execute(text(statement))}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _rows(connection: Connection, table: str) -> tuple[int, bool]:
    estimate = connection.scalar(
        text("SELECT reltuples::bigint FROM pg_class WHERE oid = cast(:table AS regclass)"),
        {"table": table},
    )
    if estimate is not None and estimate > COUNTED_UP_TO:
        return estimate, False
    return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0, True  # noqa: S608
