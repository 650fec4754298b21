"""Numbers and times as people read and write them: 7.2B, 350M, 2026-01-31."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}
_WRITTEN = re.compile(r"(\d[\d_,]*(?:\.\d+)?)\s*([KMBGT]?)", re.IGNORECASE | re.ASCII)
_LARGEST = 2**63 - 1


def short(number: float) -> str:
    """Write a number with at most three digits and a unit: 950, 45.2K, 7.2B, 120M."""
    size = abs(Decimal(str(number)))
    for index, unit in enumerate(("", "K", "M", "B", "T")):
        scaled = size / 1000**index
        # 999,950 is 1M, not 1000K: what counts is the number as it will be written.
        digits = Decimal(1) if scaled >= 100 or not unit else Decimal("0.1")  # noqa: PLR2004
        rounded = scaled.quantize(digits, ROUND_HALF_UP)
        if rounded < 1000 or unit == "T":  # noqa: PLR2004
            break
    sign = "-" if number < 0 else ""
    return f"{sign}{f'{rounded:f}'.removesuffix('.0')}{unit}"


def read_count(written: str) -> int:
    """Read a count such as 7B, 350M, 1.5k or 1,000,000.

    Raises:
        ValueError: when it is none, or more than 2^63 - 1.
    """
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise ValueError(f"{written!r} is not a count")
    digits, unit = match.groups()
    count = int(Decimal(digits.replace(",", "").replace("_", "")) * _UNITS[unit.upper()])
    if count > _LARGEST:
        raise ValueError(f"{written!r} is not a count that fits")
    return count


def read_moment(written: str) -> datetime:
    """Read an ISO 8601 date or time; without a zone it is UTC.

    Raises:
        ValueError: when it is neither.
    """
    try:
        moment = datetime.fromisoformat(written.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{written!r} is not a date") from error


def iso(moment: datetime) -> str:
    """Write a time as ISO 8601, in UTC and with Z if it has a zone."""
    if moment.tzinfo is None:
        return moment.isoformat()
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def minute(moment: datetime) -> str:
    """Write a time to the minute, in UTC, for tables."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M}"


def span(seconds: float) -> str:
    """Write a duration: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{whole} s"


def sparkline(values: list[float]) -> str:
    """Draw a row of bars, the smallest value lowest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    bars = "▁▂▃▄▅▆▇█"
    if high == low:
        return bars[3] * len(values)
    return "".join(bars[round((value - low) / (high - low) * (len(bars) - 1))] for value in values)


def interval(figure: Any) -> str:
    """Write a mean with half of its interval: 0.7512 ±0.0031; nothing for None."""
    if figure is None:
        return ""
    half = "" if figure["lower"] is None else f" ±{figure['mean'] - figure['lower']:.4f}"
    return f"{figure['mean']:.4f}{half}"
