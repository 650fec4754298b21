"""Types of options: numbers in a range, counts such as 7B, and dates."""

import math
import re
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import click

from registry.cli.figures import read_count, read_moment
from registry.enums import ImportFormat

LARGEST = 500_000_000
"""The most that functions of the database accept: they read up to four times as many rows as are
requested, and count them in integers of 32 bits."""


_E = TypeVar("_E", bound=StrEnum)


class OneOf(click.Choice[_E]):
    """A member of an enumeration, written as its value; click would ask for its name."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """Return what is written on the command line."""
        del ctx
        return str(choice)


class FormatName(OneOf[ImportFormat]):
    """A format of evaluations: a built-in one, or one that an installed package adds."""

    def __init__(self) -> None:
        super().__init__(ImportFormat)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the member of the enumeration, or the name of an installed format."""
        if str(value) in self.choices:
            return super().convert(value, param, ctx)
        from registry.evaluations.formats import plugins

        return value if value in plugins.names() else super().convert(value, param, ctx)


class Whole(click.IntRange):
    """A whole number from `min` to `largest`; help shows only the lower end."""

    def __init__(self, min: int, largest: int = LARGEST) -> None:  # noqa: A002 - as click has it
        super().__init__(min=min)
        self.largest = largest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        number: int = super().convert(value, param, ctx)
        if number > self.largest:
            self.fail(f"{number} is not in the range {self.min}<=x<={self.largest}.", param, ctx)
        return number


class Finite(click.FloatRange):
    """A number in a range; not nan, which no range excludes, and not infinite."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


class Key(click.ParamType[int]):
    """A key of a row: any integer of 64 bits."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the key."""
        key: int = click.INT.convert(value, param, ctx)
        if not -(2**63) <= key < 2**63:
            self.fail(f"{key} is not in the range {-(2**63)}<=x<={2**63 - 1}.", param, ctx)
        return key


class Count(click.ParamType[int]):
    """A count, written 7B, 350M or 1,000,000."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read the count."""
        if isinstance(value, int):
            return value
        try:
            return read_count(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a count such as 7B, 350M or 1000000.", param, ctx)


class Bytes(click.ParamType[int]):
    """A size in bytes, written 500MB, 10GB or 1TB."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read the size."""
        if isinstance(value, int):
            return value
        matched = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", str(value).strip().lower())
        if matched is None:
            self.fail(f"{value!r} is not a size such as 500MB, 10GB or 1TB.", param, ctx)
        return int(float(matched[1]) * 1000 ** " kmgt".index(matched[2] or " "))


class Moment(click.ParamType[datetime]):
    """A date or time in ISO 8601; UTC without a zone."""

    name = "date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the moment."""
        if isinstance(value, datetime):
            return value
        try:
            return read_moment(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is not a date such as 2026-01-31 or 2026-01-31T12:00Z.", param, ctx
            )


BYTES = Bytes()
COUNT = Count()
MOMENT = Moment()
AT_LEAST_ZERO = Whole(min=0)
AT_LEAST_ONE = Whole(min=1)
SEED = Whole(min=0, largest=2**32 - 1)
KEY = Key()
