"""Stored statistics of scores: groups of models compared, and benchmarks correlated."""
