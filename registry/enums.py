"""Values that the schema, the core and the command line share."""

FEATURE_DIMENSIONS = 1 << 24
"""Length of a model's sparse feature vector: feature names are hashed into it."""
