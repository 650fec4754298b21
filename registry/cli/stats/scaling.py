"""Command `registry stats scaling`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.parameters import OneOf
from registry.cli.stats.options import (
    frame_options,
    optional_group_options,
    probability,
    say_analysis,
    signed,
    slice_options,
)
from registry.enums import ScalingAxis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.analysis.plots.panels import Panel
    from registry.analysis.statistics.scaling_curves import ScalingAnalysis, ScalingResult

FIELDS = (
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("group_name", "group", whole=True, kept=True),
    Field("form", tabled=False),
    Field("n", look=grouped, right=True),
    Field("sizes", tabled=False),
    Field("floor", "chance", look=decimals, right=True),
    Field("floor_known", tabled=False),
    Field("slope", look=signed, right=True, kept=True),
    Field("slope_lower", "from", look=signed, right=True),
    Field("slope_upper", "to", look=signed, right=True),
    Field("p", look=probability, right=True),
    Field("deviation", look=decimals, right=True),
    Field("r_squared", look=decimals, right=True),
    Field("held_out", right=True),
    Field("error", look=decimals, right=True),
    Field("last_error", look=decimals, right=True),
    Field("line_error", tabled=False),
    Field("pooled_error", tabled=False),
    Field("shared_error", look=decimals, right=True),
    Field("covered", look=decimals, right=True),
    Field("shared_covered", tabled=False),
)

ABILITIES = (
    Field("group_name", "group", whole=True, kept=True),
    Field("n", look=grouped, right=True),
    Field("intercept", tabled=False),
    Field("slope", look=signed, right=True, kept=True),
    Field("slope_lower", "from", look=signed, right=True),
    Field("slope_upper", "to", look=signed, right=True),
    Field("p", look=probability, right=True),
    Field("r_squared", look=decimals, right=True),
    Field("ability_share", look=decimals, right=True),
)

AXES = {
    ScalingAxis.SIZE: "weights",
    ScalingAxis.TOKENS: "training tokens",
    ScalingAxis.COMPUTE: "operations of training",
}


@click.command()
@optional_group_options
@click.option(
    "--over",
    "axis",
    type=OneOf(ScalingAxis),
    default=ScalingAxis.SIZE,
    help="What scores are a curve of.  [default: size]",
)
@click.option(
    "--abilities", is_flag=True, help="Print how the first principal ability grows instead."
)
@slice_options
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the curves to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def scaling(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    axis: ScalingAxis,
    abilities: bool,
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Fit scores as curves of size, tokens or compute, by group.

    Shares are logistic in the logarithm, above the score of chance; other scores are lines. The
    largest third of each group is predicted from the rest, and the error stands beside that of
    simpler guesses. With --by series, groups are models that differ in size.

    \b
    Examples:
      registry stats scaling --by series --benchmark mmlu --plot mmlu.png
      registry stats scaling --by series --over compute --abilities
    """
    require("scipy", "statsmodels", doing="Scaling", extra="stats")
    from registry.analysis.plots.panels import check_panels, write_panels
    from registry.analysis.statistics.scaling_curves import run_scaling

    check_panels(plots)
    if plots:
        require("matplotlib", doing="A plot")
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_scaling(engine, options, axis=axis, level=level)
    fields = ABILITIES if abilities else FIELDS
    results: Sequence[Any] = found.abilities if abilities else found.fits
    output.rows(fields, [[getattr(each, field.name) for field in fields] for each in results])
    stored = found.stored
    for path in plots:
        write_panels(
            _panels(found, axis),
            path,
            title=f"Scores by {AXES[axis]}",
            caption=f"Bands hold a new model's score in {level:.0%}; curves go on beyond the"
            f" largest model. Analysis {stored.analysis_id}, {stored.created_at:%Y-%m-%d}.",
        )
        say(f"Drew {path}.")
    if sentence := _held_out(found.fits):
        say(sentence)
    say_analysis(stored)


def _held_out(fits: Sequence[ScalingResult]) -> str | None:
    """Return in a sentence how well larger models are predicted, over the curves of groups."""
    groups = [each for each in fits if each.error is not None and each.pooled_error is not None]
    chosen = groups or [each for each in fits if each.error is not None]
    count = sum(each.held_out for each in chosen if each.form == "logistic")
    if not count:
        return None

    def mean(name: str) -> float:
        return sum(
            each.held_out * (getattr(each, name) or 0) for each in chosen if each.form == "logistic"
        ) / count  # fmt: skip

    said = (
        f"{count:,} scores of the largest models, predicted from smaller ones: mean error"
        f" {mean('error'):.3f}; of the score at the largest smaller size {mean('last_error'):.3f},"
        f" of a line {mean('line_error'):.3f}. Intervals hold {mean('covered'):.0%}."
    )
    if all(each.shared_error is not None for each in chosen if each.form == "logistic"):
        said += (
            f" With the slope of all groups the error is {mean('shared_error'):.3f}, and intervals"
            f" hold {mean('shared_covered'):.0%}."
        )
    return said


def _panels(found: ScalingAnalysis, axis: ScalingAxis) -> list[Panel]:
    import numpy as np

    from registry.analysis.plots.panels import Panel, PanelSeries

    frame, panels = found.frame, []
    for column, benchmark in enumerate(frame.benchmarks):
        of = [
            each for each in found.fits
            if (each.benchmark, each.version) == (benchmark.name, benchmark.version)
        ]  # fmt: skip
        series = []
        # The curve through all lies behind, without a band if there are others.
        for fit in sorted(of, key=lambda each: each.pooled_error is not None or each.n):
            points = [
                (each.amount, each.score, each.lower, each.upper) for each in found.curves
                if (each.benchmark, each.version, each.group_name)
                == (fit.benchmark, fit.version, fit.group_name)
            ]  # fmt: skip
            muted = fit.group_name not in frame.groups and len(of) > 1
            rows = np.isfinite(frame.values[:, column]) & np.isfinite(frame.sizes)
            if fit.group_name in frame.groups:
                rows &= frame.codes[:, column] == list(frame.groups).index(fit.group_name)
            curve = np.array(points, np.float64)
            series.append(
                PanelSeries(
                    name=fit.group_name,
                    points=np.column_stack([frame.sizes[rows], frame.values[rows, column]])
                    if not muted
                    else np.empty((0, 2)),
                    curve=curve[:, :2] if muted else curve,
                    muted=muted,
                )
            )
        if series:
            panels.append(
                Panel(
                    title=benchmark.title, across=AXES[axis], up=f"score ({benchmark.unit})",
                    series=series, logarithmic=True,
                )
            )  # fmt: skip
    return panels
