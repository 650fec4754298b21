"""The SQL catalog of language models: lineage, features, outcomes and embeddings in Postgres."""

__version__ = "0.1.0"
