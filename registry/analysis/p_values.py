"""Printed p-values: one rule for tables, pages and pictures."""

LEAST = 1e-300
"""About what a double holds: p-values of 0 are below it."""

LEAST_INTEGRATED = 1e-12
"""Below it p-values by numerical integrals, of pairs of groups and of curves, are rounding."""


def p_value(value: float | None, *, unknown: str = "not known") -> str:
    """Write a p-value, or that it is below what a number can hold."""
    return _written(value, LEAST, unknown)


def integrated_p_value(value: float | None, *, unknown: str = "not known") -> str:
    """Write a p-value of a pair of groups or a curve, or that it is below `LEAST_INTEGRATED`."""
    return _written(value, LEAST_INTEGRATED, unknown)


def _written(value: float | None, least: float, unknown: str) -> str:
    if value is None:
        return unknown
    return f"<{least:.0e}" if value < least else f"{value:.2g}"
