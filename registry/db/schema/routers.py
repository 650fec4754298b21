"""Tables of routers: what a version's blend of neighbours and kernel regression is served from."""

from typing import Any

from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import (
    REAL,
    Column,
    Double,
    ForeignKey,
    Integer,
    Named,
    Table,
    TypedColumns,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from registry.db.schema.base import metadata, model_key
from registry.db.schema.embeddings import embeddings, item_embeddings, serving_vectors


class BlendTable(TypedColumns):
    """One row per version that routes by neighbours: settings, weights and held-out figures."""

    version_id = Column(
        Integer,
        ForeignKey("store.embedding_versions.version_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    subjects: Named[Any] = Column(
        ARRAY(VECTOR()),
        nullable=False,
        comment="weights of each subject's logit on a prompt's vector and 1",
    )
    neighbours: Named[int] = Column(Integer, comment="items that a prompt is compared with")
    sharpness: Named[float] = Column(
        REAL, comment="of their weights: softmax of this times the inner product"
    )
    subject_weight: Named[float] = Column(REAL, comment="of subjects in vectors of route_items")
    kernel_subject_weight: Named[float] = Column(REAL, comment="in vectors of route_landmarks")
    width: Named[float] = Column(REAL, comment="of the kernel: exp(width (2 cosine - 2))")
    common_neighbours: Named[float] = Column(Double, comment="of what models have in common")
    common_regression: Named[float] = Column(Double, comment="of what models have in common")
    apart_neighbours: Named[float] = Column(Double, comment="of what tells models apart")
    apart_regression: Named[float] = Column(Double, comment="of what tells models apart")
    metrics: Named[Any] = Column(
        JSONB, nullable=False, comment="of each router on items that were left out"
    )


route_blends = Table("route_blends", metadata, BlendTable)


class RoutedModelTable(TypedColumns):
    """One row per model that a version routes to by neighbours."""

    model_id = model_key()
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    place: Named[int] = Column(Integer, comment="of its entry in route_items' vectors, from 1")
    level: Named[float] = Column(REAL, comment="its mean outcome")
    outcomes: Named[int] = Column(Integer, comment="number of its outcomes")
    vector: Named[Any] = Column(VECTOR(), nullable=False, comment="weight of each landmark")


route_models = Table(
    "route_models", metadata, RoutedModelTable, postgresql_partition_by="LIST (version_id)"
)


class RoutedItemTable(TypedColumns):
    """One row per item that prompts are compared with: the outcomes of all models together."""

    benchmark_id = Column(Integer, primary_key=True, autoincrement=False, comment="the benchmark")
    ordinal = Column(Integer, primary_key=True, autoincrement=False, comment="of items")
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    vector: Named[Any] = Column(
        HALFVEC(), nullable=False, comment="of its text and roots of its subjects' probabilities"
    )
    outcomes: Named[Any] = Column(
        HALFVEC(), nullable=False, comment="of each model of route_models; 0 where not observed"
    )
    seen: Named[Any] = Column(
        HALFVEC(), nullable=True, comment="1 where observed, else 0; null where all are"
    )


route_items = Table(
    "route_items", metadata, RoutedItemTable, postgresql_partition_by="LIST (version_id)"
)


class LandmarkTable(TypedColumns):
    """One row per landmark of a version's kernel regression."""

    place = Column(Integer, primary_key=True, autoincrement=False, comment="of its weight, from 1")
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    vector: Named[Any] = Column(
        VECTOR(), nullable=False, comment="of a text and roots of its subjects' probabilities"
    )


route_landmarks = Table(
    "route_landmarks", metadata, LandmarkTable, postgresql_partition_by="LIST (version_id)"
)

VERSIONED_TABLES = (
    embeddings,
    serving_vectors,
    item_embeddings,
    route_models,
    route_items,
    route_landmarks,
)
"""Tables with a partition for each version."""
