"""Values of price lists: numbers and texts of any kind, read without raising."""

import math
from collections.abc import Mapping

from registry.catalog.resolution import nameable

_DECIMALS = 9
"""Of a price by million tokens: one by token has up to 15, and what floats add to them."""


_YES = frozenset({"true", "yes", "1", "1.0"})


def number(value: object) -> float | None:
    """Return a number; NaN for what is given and is none; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def per_million(value: object, *, times: float = 1.0) -> float | None:
    """Return a price by million tokens.

    Args:
        value: as the list has it.
        times: that price by the list's.
    """
    price = number(value)
    return None if price is None else round(price * times, _DECIMALS)


def tokens(value: object) -> int | None:
    """Return a number of tokens; None where it is none of a context."""
    count = number(value)
    if count is None or not math.isfinite(count) or not 0 < count < 1 << 53:
        return None
    return int(count)


def flag(value: object) -> bool:
    """Return whether a cell says yes."""
    return value is True or str(value).strip().lower() in _YES


def mapping(value: object) -> Mapping[str, object]:
    """Return an object of JSON; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def name(value: object) -> str | None:
    """Return a name of a model or a provider; None where it cannot be one."""
    if not isinstance(value, str) or not nameable(value.strip()):
        return None
    return value.strip()
