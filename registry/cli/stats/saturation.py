"""Command `registry stats saturation`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.parameters import OneOf
from registry.cli.stats.options import frame_options, say_analysis, slice_options
from registry.enums import Period
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.analysis.plots.panels import Panel
    from registry.analysis.statistics.benchmark_saturation import SaturationAnalysis

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
    Field("pairs", tabled=False),
    Field("separated", look=decimals, right=True),
    Field("paired", tabled=False),
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
    from registry.analysis.statistics.benchmark_saturation import run_saturation

    check_panels(plots)
    if plots:
        require("matplotlib", doing="A plot")
    counts = dict(_count(each) for each in items)
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_saturation(engine, options, period=period, items=counts, level=level)
    output.rows(FIELDS, [[getattr(each, field.name) for field in FIELDS] for each in found.results])
    for path in plots:
        write_panels(
            _panels(found, period),
            path,
            title="Scores over time",
            caption="Best score so far, and median of the models of each period with quartiles."
            f" Analysis {found.stored.analysis_id}, {found.stored.created_at:%Y-%m-%d}.",
        )
        say(f"Drew {path}.")
    say_analysis(found.stored)


def _count(stated: str) -> tuple[str, int]:
    name, _, number = stated.rpartition("=")
    if not name or not number.isdecimal():
        raise UsageError(f"--items takes a benchmark and a number, as gsm8k=1319; not {stated!r}.")
    return name, int(number)


def _panels(found: SaturationAnalysis, period: Period) -> list[Panel]:
    import numpy as np

    from registry.analysis.plots.panels import Panel, PanelSeries

    panels = []
    for name, version in dict.fromkeys((each.benchmark, each.version) for each in found.results):
        of = [each for each in found.results if (each.benchmark, each.version) == (name, version)]
        # Where no date is known there is one row, of all models.
        rows = of[:-1] or of
        places = np.arange(len(rows), dtype=np.float64)
        best = np.column_stack([places, [each.best for each in rows]])
        median = np.column_stack(
            [
                places,
                [each.median for each in rows],
                [each.lower_quartile for each in rows],
                [each.upper_quartile for each in rows],
            ]
        )
        panels.append(
            Panel(
                title=f"{name}@{version}: {of[-1].verdict}" if version
                else f"{name}: {of[-1].verdict}",
                across=f"{period} of the models", up="score (share)",
                series=[
                    PanelSeries(name="best so far", curve=best, points=best),
                    PanelSeries(name="median, quartiles", curve=median, points=median[:, :2]),
                ],
                ticks=[f"{each.period.replace(' or before', ' -')} (n={each.n:,})"
                       for each in rows],
            )
        )  # fmt: skip
    return panels
