"""The fixtures of the benchmarks."""

from measuring import benchmark_server, large, speed_database, warm

__all__ = ["benchmark_server", "large", "speed_database", "warm"]
