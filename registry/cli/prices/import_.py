"""Command `registry prices import`, and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.failures import Failure
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import BYTES, MOMENT, OneOf
from registry.enums import PriceFormat
from registry.errors import first_of

if TYPE_CHECKING:
    from registry.evaluations.price_lists.price_import import PriceReport

_NAMED = 8
"""Names that are printed of entries that were left out, at most."""

SOME_FAILED = 3
"""Exit code where some files failed and others were imported."""

_FIELDS = (
    Field("path", "file"),
    Field("format", kept=True),
    Field("source"),
    Field("offers", look=grouped, right=True),
    Field("new", look=grouped, right=True),
    Field("changed", look=grouped, right=True),
    Field("withdrawn", look=grouped, right=True),
    Field("unchanged", look=grouped, right=True),
    Field("resolved", look=grouped, right=True),
    Field("methods", tabled=False),
    Field("left_out", tabled=False),
    Field("error", tabled=False),
)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--as",
    "file_format",
    type=OneOf(PriceFormat),
    help="The files' format.  [default: detected for each]",
)
@click.option(
    "--as-of",
    type=MOMENT,
    metavar="DATE",
    help="When a list without dates was true: its prices begin then; of dated ones, those until "
    "then count.  [default: now]",
)
@click.option(
    "--source", metavar="NAME", help="Keep the list under this name.  [default: the format's]"
)
@click.option(
    "--part", is_flag=True, help="The files are parts of their lists: what they lack stays."
)
@click.option(
    "--max-download",
    type=BYTES,
    default="10GB",
    show_default=True,
    metavar="SIZE",
    help="Fetch no more than this of remote files.",
)
@click.option("--dry-run", is_flag=True, help="Report what would change, and change nothing.")
@output_options
@click.pass_context
def import_(ctx: click.Context, /, output: Output, paths: tuple[str, ...], **chosen: Any) -> None:
    """Import lists of what models cost at providers.

    A PATH is a file, a folder, a pattern or an address, as for `registry evals import`: litellm's
    model_prices_and_context_window.json, models.dev's api.json, data.json of genai-prices (each
    may be gzipped), or a table of dated prices (Parquet, CSV or JSON lines) with the columns
    provider, model, input_per_million, output_per_million, one of committed, valid_from, date and
    at, and as it likes removed, cache_read, context, currency and tiered.

    Each file is imported whole or not at all; importing it again changes nothing. A price holds
    until the next one of the same list, provider and name; what a list lacks is withdrawn from it,
    unless it is dated or --part is given. Prices that cannot be right (negative, no number, 1,000
    times the median of the list) are left out and named. Names are resolved to models where that
    is certain; the others stay, without a model.

    \b
    Examples:
      registry prices import https://models.dev/api.json
      registry prices import model_prices_and_context_window.json --as-of 2026-01-31
      registry prices import price_events.parquet
      registry prices import ours.csv --source contract --part
    """
    from registry.evaluations.price_lists.price_import import PriceImportOptions, import_prices

    application = ctx.ensure_object(Application)
    options = PriceImportOptions(format=chosen.pop("file_format"), **chosen)
    with application.engine() as engine:
        application.set_up(engine)
        reports = import_prices(engine, paths, options)
    output.rows(_FIELDS, map(_row, reports), empty="There is no file there.")
    for report in reports:
        _say_details(report)
    if options.dry_run:
        say("A dry run: nothing was changed.")
    failed = sum(report.error is not None for report in reports)
    if failed == len(reports):
        raise Failure("Nothing was imported.", 1)
    if failed:
        ctx.exit(SOME_FAILED)


def _row(report: PriceReport) -> list[Any]:
    written = report.written
    counts = list(written) if written else [None] * 5
    resolved = sum(n for method, n in report.methods.items() if method != "unresolved")
    return [
        report.path, report.format, report.source, *counts, resolved if written else None,
        dict(report.methods), {reason: len(names) for reason, names in report.left_out.items()},
        report.error,
    ]  # fmt: skip


def _say_details(report: PriceReport) -> None:
    """Print what the table has no room for."""
    if report.error:
        say(report.error)
    for reason, names in report.left_out.items():
        say(f"{report.path}: left out {len(names):,} {reason}: {first_of(names, _NAMED)}")
    if report.methods:
        by_method = ", ".join(f"{method} {n:,}" for method, n in report.methods.items())
        say(f"{report.path}: names of {report.source}, by how they were resolved: {by_method}")
