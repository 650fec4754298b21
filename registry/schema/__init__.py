"""Every table of the registry, in Postgres schema `store`.

The tables may change between versions; what users query are the views and functions of schema
`registry`, in `registry/sql/`. Every table that grows with the catalog carries a model's key in
its primary key, so that it can be distributed by model (see `LARGE_TABLES`).
"""

from registry.schema.base import metadata
from registry.schema.catalog import (
    ALIAS_SOURCES,
    EDGE_SOURCES,
    MODEL_STATES,
    RELATIONS,
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
from registry.schema.embeddings import encoders, text_vectors
from registry.schema.evaluations import (
    NAME_METHODS,
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
from registry.schema.operations import (
    job_runs,
    lookups,
    quarantine,
    sql_objects,
    sweep_pages,
    sync_passes,
)

__all__ = [
    "ALIAS_SOURCES",
    "EDGE_SOURCES",
    "LARGE_TABLES",
    "MODEL_STATES",
    "NAME_METHODS",
    "RELATIONS",
    "answers",
    "benchmarks",
    "counters",
    "documents",
    "edges",
    "encoders",
    "evaluated_names",
    "feature_sets",
    "imports",
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
    "quarantine",
    "runs",
    "search_vocabulary",
    "setups",
    "similarity_weights",
    "sources",
    "sql_objects",
    "sweep_pages",
    "sync_passes",
    "text_vectors",
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
)
"""Tables that grow with the catalog."""
