"""Commands `registry prices show` and `registry prices list`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.output import Field, Output, count, day, output_options
from registry.cli.parameters import AT_LEAST_ONE, COUNT, MOMENT, Finite

if TYPE_CHECKING:
    from datetime import datetime

FIELDS = {
    each.name: each
    for each in (
        Field("changed_at", "date", look=day, kept=True),
        Field("model", kept=True),
        Field("provider", kept=True),
        Field("change", kept=True),
        Field("input_before", "input $/M", right=True),
        Field("input_after", "now", right=True),
        Field("output_before", "output $/M", right=True),
        Field("output_after", "now", right=True),
        Field("input_per_million", "input /M", right=True),
        Field("output_per_million", "output /M", right=True),
        Field("cached_input_per_million", "cached /M", right=True),
        Field("currency"),
        count("context"),
        Field("free"),
        Field("tiered"),
        Field("valid_from", "since", look=day),
        Field("valid_to", "until", look=day),
        Field("offered_as", "offered as"),
        Field("source"),
        Field("resolved_by", "by"),
        Field("resolved", tabled=False),
        Field("seen_at", tabled=False),
    )
}
"""Columns of offers and of changes, by name."""


@click.command()
@click.argument("model")
@click.option("--at", type=MOMENT, metavar="DATE", help="On this date.  [default: today]")
@click.option("--history", is_flag=True, help="All prices over time instead.")
@output_options
@pass_application
def show(
    application: Application, /, output: Output, model: str, at: datetime | None, *, history: bool
) -> None:
    """Print what MODEL costs at each provider, the cheapest first.

    MODEL is any name of a model, or the name that a provider uses. Prices are of a million tokens;
    the order is that of three tokens of input to one of output. A free offer is rationed, or part
    of a subscription. The same in SQL: function `price_at`, view `prices`.

    \b
    Examples:
      registry prices show meta-llama/Llama-3.1-70B-Instruct
      registry prices show gpt-4o --at 2026-01-31
      registry prices show gpt-4o --history --format csv
    """
    from registry.catalog.prices import read
    from registry.errors import UsageError

    if history and at is not None:
        raise UsageError("Give a date by --at, or --history for all of them.")
    with application.reading() as connection:
        if history:
            rows = read.history_of(connection, model)
        else:
            rows = read.offers_of(connection, model, at)
        fields = [FIELDS[name] for name in read.HISTORY_COLUMNS]
        if not history:
            fields = [replace(each, tabled=each.name != "valid_to") for each in fields]
        output.rows(fields, rows)


@click.command("list")
@click.argument("model", required=False)
@click.option("--provider", metavar="NAME", help="Only what this one sells.")
@click.option("--source", metavar="NAME", help="Only what this list states, such as litellm.")
@click.option(
    "--max-input", type=Finite(0), metavar="DOLLARS", help="For a million input tokens, at most."
)
@click.option(
    "--max-output", type=Finite(0), metavar="DOLLARS", help="For a million output tokens, at most."
)
@click.option("--min-context", type=COUNT, help="Tokens of prompt and answer, at least: 128K.")
@click.option("--free/--paid", default=None, help="Only free offers, or only others.")
@click.option(
    "--resolved/--unresolved",
    default=None,
    help="Only offers of models in the catalog, or only those whose names resolve to none.",
)
@click.option("--at", type=MOMENT, metavar="DATE", help="On this date.  [default: today]")
@click.option("--limit", type=AT_LEAST_ONE, default=50, show_default=True, help="Rows, at most.")
@output_options
@pass_application
def list_(
    application: Application, /, output: Output, model: str | None, limit: int, **chosen: Any
) -> None:
    """List offers of models, the cheapest first.

    The order is that of three tokens of input to one of output. With a MODEL, only its own; where
    no model has this name, those with it in their names.

    \b
    Examples:
      registry prices list --provider openrouter --free
      registry prices list --max-input 0.5 --min-context 128K --resolved
      registry prices list llama-3.3-70b --paid
      registry prices list --unresolved --limit 1000 --format csv
    """
    from registry.catalog.prices import read

    wanted = read.OfferFilter(
        model=model,
        provider=chosen["provider"],
        source=chosen["source"],
        most_input=chosen["max_input"],
        most_output=chosen["max_output"],
        least_context=chosen["min_context"],
        free=chosen["free"],
        resolved=chosen["resolved"],
        at=chosen["at"],
    )
    with application.reading() as connection:
        output.rows(
            [FIELDS[name] for name in read.OFFER_COLUMNS],
            read.list_offers(connection, wanted, limit=limit),
            empty="No offer fits. Without any prices: registry prices import",
        )
