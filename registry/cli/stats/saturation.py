"""Command `registry stats saturation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.parameters import OneOf
from registry.cli.stats.options import frame_options, say_analysis, slice_options
from registry.enums import Period
from registry.errors import UsageError

FIELDS = (
    Field("benchmark", whole=True),
    Field("version"),
    Field("period", whole=True, kept=True),
    Field("position", tabled=False),
    Field("n", look=grouped, right=True),
    Field("models", look=grouped, right=True),
    Field("median", look=decimals, right=True),
    Field("lower_quartile", "from", look=decimals, right=True),
    Field("upper_quartile", "to", look=decimals, right=True),
    Field("deviation", tabled=False),
    Field("best", look=decimals, right=True, kept=True),
    Field("best_model", tabled=False),
    Field("headroom", look=decimals, right=True),
    Field("noise", look=decimals, right=True),
    Field("near_best", look=decimals, right=True),
    Field("pairs", right=True),
    Field("separated", look=decimals, right=True),
    Field("paired", "on shared items"),
    Field("verdict", kept=True),
)


@click.command()
@click.option(
    "--by",
    "period",
    type=OneOf(Period),
    default=Period.YEAR,
    help="Periods of the models' creation.  [default: year]",
)
@click.option(
    "--items",
    multiple=True,
    metavar="NAME=COUNT",
    help="Items of a benchmark whose runs do not state them; repeatable.",
)
@slice_options
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw scores over time to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def saturation(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    period: Period,
    items: tuple[str, ...],
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Measure how saturated benchmarks are, over time.

    By year or quarter of the models: the best score so far, its distance from 1, the spread, and
    how many pairs of the ten best models are told apart, on shared items where outcomes are stored,
    else by the noise of as many items.

    \b
    Examples:
      registry stats saturation --benchmark gsm8k --items gsm8k=1319
      registry stats saturation --by quarter --benchmark mmlu_pro --plot time.png
    """
    require("scipy", "statsmodels", doing="Saturation", extra="stats")
    from registry.analysis.plots.panels import check_panels, write_panels
    from registry.analysis.report.analysis_panels import saturation_caption, saturation_panels
    from registry.analysis.statistics.benchmark_saturation import run_saturation

    check_panels(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    counts = dict(_count(each) for each in items)
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_saturation(engine, options, period=period, items=counts, level=level)
    output.rows(FIELDS, [[getattr(each, field.name) for field in FIELDS] for each in found.results])
    for path in plots:
        write_panels(
            list(saturation_panels(found, period)),
            path,
            title="Scores over time",
            caption=saturation_caption(found),
        )
        say(f"Drew {path}.")
    say_analysis(found.stored)


def _count(stated: str) -> tuple[str, int]:
    name, _, number = stated.rpartition("=")
    if not name or not number.isdecimal():
        raise UsageError(f"--items takes a benchmark and a number, as gsm8k=1319; not {stated!r}.")
    return name, int(number)
