"""Remote files of evaluations: their addresses, and their copies in the cache."""
