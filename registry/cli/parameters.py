"""What options accept besides words and numbers: counts such as 7B, and dates."""

from datetime import datetime

import click

from registry.cli.figures import read_count, read_moment


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


class Moment(click.ParamType[datetime]):
    """A date or time in ISO 8601; UTC where it names no zone."""

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


COUNT = Count()
MOMENT = Moment()
AT_LEAST_ONE = click.IntRange(min=1)
