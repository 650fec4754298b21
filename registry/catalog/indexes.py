"""Indexes that are built after an initial load, and the vocabulary of searches."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, Index, text

from registry.db.schema import (
    counters,
    edges,
    model_families,
    model_features,
    models,
    search_vocabulary,
)

_log = logging.getLogger(__name__)

FOR_NAMES = ("models_lower_name_idx",)
"""Look up names in any case: of parents, and of models that users name."""

OF_PAGES = (
    "counters_downloads_idx",
    "counters_likes_idx",
    "counters_trending_score_idx",
    "model_features_feature_set_id_idx",
)
"""Of tables that the resolution of lineage does not write."""

OF_MODELS = (
    "models_author_idx",
    "models_created_at_idx",
    "models_last_modified_idx",
    "models_tags_idx",
    "models_search_idx",
)
"""The inverted ones are last: Postgres builds them on all free cores."""

OF_LINEAGE = (
    "model_families_family_id_idx",
    "model_families_primary_parent_id_idx",
    "edges_parent_id_child_id_idx",
)

DEFERRED = (*FOR_NAMES, *OF_PAGES, *OF_MODELS, *OF_LINEAGE)
"""Built after an initial load. Until it ends, queries that need one of them read all rows."""

_INDEXES: Mapping[str, Index] = {
    str(each.name): each
    for table in (models, counters, model_features, model_families, edges)
    for each in table.indexes
}


def drop_before_load(connection: Connection) -> None:
    """Drop the deferred indexes if the catalog is empty."""
    if connection.scalar(text("SELECT EXISTS (SELECT FROM store.models)")):
        return
    for name in DEFERRED:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS store.{name}")


def build_missing(engine: Engine, names: Sequence[str] = DEFERRED) -> None:
    """Build the deferred indexes that are missing, each in a transaction of its own.

    Queries run meanwhile; writers of the table wait.

    Args:
        engine: of a database at head.
        names: which ones, in the order of building.
    """
    with engine.connect() as connection:
        with connection.begin():
            present = set(
                connection.scalars(
                    text("SELECT indexname FROM pg_indexes WHERE schemaname = 'store'")
                )
            )
        for name in names:
            if name not in present:
                with connection.begin():
                    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
                    # The next sync builds one that a crash of the server loses.
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    _INDEXES[name].create(connection)


def refresh_vocabulary(connection: Connection, *, since: datetime | None = None) -> None:
    """Update the vocabulary of searches from `models.search`.

    Args:
        connection: in a transaction.
        since: add the words of models that changed at or after this moment, and leave the counts
            of the others as they are; None counts everything again, 11 s per million models.
    """
    (trigrams,) = search_vocabulary.indexes
    existing = connection.scalar(text("SELECT EXISTS (SELECT FROM store.search_vocabulary)"))
    first = since is None and not existing
    if since is None:
        connection.exec_driver_sql("DELETE FROM store.search_vocabulary")
        conflict = ""
        if first:
            # Built afterwards, in half the time.
            trigrams.drop(connection)
        source = "SELECT search FROM store.models"
    else:
        moment = since.isoformat()
        conflict = "ON CONFLICT (word) DO NOTHING"
        source = f"SELECT search FROM store.models WHERE changed_at >= '{moment}'"  # noqa: S608
    connection.execute(
        text(f"""
        INSERT INTO store.search_vocabulary (word, models)
        SELECT word, ndoc FROM ts_stat(:source) WHERE length(word) <= 60 ORDER BY word COLLATE "C"
        {conflict}"""),  # noqa: S608
        {"source": source},
    )
    if first:
        trigrams.create(connection)


def merge_pending(connection: Connection) -> None:
    """Merge the pending lists of the inverted indexes, which every search reads whole.

    A full list of 32 MB slows searches from 5 to 128 ms.
    """
    for name in DEFERRED:
        if _INDEXES[name].dialect_kwargs.get("postgresql_using") == "gin":
            connection.execute(
                text("SELECT gin_clean_pending_list(cast(:name AS regclass))"),
                {"name": f"store.{name}"},
            )


EXACT_UP_TO = 100_000
"""Feature sets up to which there is no index, and a query reads all, in about 50 ms."""


def build_nearest(connection: Connection) -> bool:
    """Build the HNSW index of feature sets once there are many; return whether it was built.

    850,000 sets took 254 s to build and 2 ms each to add to, so it is built after an initial load,
    and is in no revision of the schema.
    """
    many = connection.scalar(
        text("SELECT count(*) > :most FROM store.feature_sets"), {"most": EXACT_UP_TO}
    )
    there = connection.scalar(text("SELECT to_regclass('store.feature_sets_hnsw_idx')"))
    if not many or there is not None:
        return False
    _log.info("Building the index of similar models; this takes some minutes, once")
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
    connection.exec_driver_sql(
        "CREATE INDEX feature_sets_hnsw_idx ON store.feature_sets"
        " USING hnsw (features sparsevec_cosine_ops)"
    )
    return True
