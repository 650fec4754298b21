"""Tables of the registry, in Postgres schema `store`.

The tables may change between versions; users query the views and functions of schema
`registry`, in `registry/db/sql/`. Every table that grows with the catalog carries a model's key in
its primary key, so that it can be distributed by model (see `LARGE_TABLES`).
"""

from registry.db.schema.base import metadata
from registry.db.schema.catalog import (
    counters,
    documents,
    edges,
    feature_sets,
    model_aliases,
    model_families,
    model_features,
    model_history,
    models,
    pending_edges,
    pending_renames,
    search_vocabulary,
    similarity_weights,
)
from registry.db.schema.embeddings import (
    VERSIONED_TABLES,
    embedding_versions,
    embeddings,
    encoders,
    item_embeddings,
    priors,
    serving_vectors,
    text_vectors,
    training_comparisons,
    training_results,
)
from registry.db.schema.evaluations import (
    answers,
    benchmarks,
    evaluated_names,
    imports,
    item_statistics,
    items,
    measures,
    pending_evaluations,
    runs,
    setups,
    sources,
)
from registry.db.schema.operations import (
    job_runs,
    lookups,
    quarantine,
    sql_objects,
    sweep_pages,
    sync_passes,
)

__all__ = [
    "LARGE_TABLES",
    "VERSIONED_TABLES",
    "answers",
    "benchmarks",
    "counters",
    "documents",
    "edges",
    "embedding_versions",
    "embeddings",
    "encoders",
    "evaluated_names",
    "feature_sets",
    "imports",
    "item_embeddings",
    "item_statistics",
    "items",
    "job_runs",
    "lookups",
    "measures",
    "metadata",
    "model_aliases",
    "model_families",
    "model_features",
    "model_history",
    "models",
    "pending_edges",
    "pending_evaluations",
    "pending_renames",
    "priors",
    "quarantine",
    "runs",
    "search_vocabulary",
    "serving_vectors",
    "setups",
    "similarity_weights",
    "sources",
    "sql_objects",
    "sweep_pages",
    "sync_passes",
    "text_vectors",
    "training_comparisons",
    "training_results",
]

LARGE_TABLES = (
    models,
    model_aliases,
    counters,
    model_history,
    documents,
    edges,
    model_families,
    model_features,
    lookups,
    runs,
    answers,
    pending_evaluations,
    embeddings,
    serving_vectors,
)
"""Tables that grow with the catalog."""
