"""The catalog of models: names, lineage, families, features and search."""
