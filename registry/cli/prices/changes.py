"""Command `registry prices changes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.output import Output, output_options
from registry.cli.parameters import AT_LEAST_ONE, MOMENT, OneOf
from registry.cli.prices.listing import FIELDS
from registry.enums import PriceChange

if TYPE_CHECKING:
    from datetime import datetime


@click.command()
@click.option("--since", type=MOMENT, required=True, metavar="DATE", help="From this date on.")
@click.option("--until", type=MOMENT, metavar="DATE", help="Before this date.")
@click.option("--model", metavar="NAME", help="Only of this model.")
@click.option("--provider", metavar="NAME", help="Only of what this one sells.")
@click.option("--change", type=OneOf(PriceChange), help="Only changes of this kind.")
@click.option(
    "--resolved/--unresolved",
    default=None,
    help="Only of models in the catalog, or only of names that resolve to none.",
)
@click.option("--limit", type=AT_LEAST_ONE, default=50, show_default=True, help="Rows, at most.")
@output_options
@pass_application
def changes(
    application: Application, /, output: Output, since: datetime, limit: int, **chosen: Any
) -> None:
    """List what became cheaper or dearer, is new, or gone.

    The last come first. Dates are those of a dated list, else those as of which lists were
    imported. What a list had when it was imported for the first time is not new. The same in SQL:
    view `price_changes`.

    \b
    Examples:
      registry prices changes --since 2026-06-01
      registry prices changes --since 2026-06-01 --change cheaper --resolved
      registry prices changes --since 2026-01-01 --provider anthropic --format csv
    """
    from registry.catalog.prices import read

    with application.reading() as connection:
        output.rows(
            [FIELDS[name] for name in read.CHANGE_COLUMNS],
            read.list_changes(connection, since=since, limit=limit, **chosen),
            empty="No price is known to have changed then.",
        )
