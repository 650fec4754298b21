"""A generated Hub of any size, for tests and benchmarks."""
