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
    Field("drift", look=decimals, right=True),
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
    simpler guesses. With --by series, groups are models that differ in size. Training tokens and
    operations are those that sources state (facts tokens and flops).

    \b
    Examples:
      registry stats scaling --by series --benchmark mmlu --plot mmlu.png
      registry stats scaling --by series --over compute --abilities
    """
    require("scipy", "statsmodels", doing="Scaling", extra="stats")
    from registry.analysis.plots.panels import check_panels, write_panels
    from registry.analysis.report.analysis_panels import AXES, scaling_caption, scaling_panels
    from registry.analysis.report.sentences import held_out_sentence
    from registry.analysis.statistics.scaling_curves import run_scaling

    check_panels(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_scaling(engine, options, axis=axis, level=level)
    fields = ABILITIES if abilities else FIELDS
    results: Sequence[Any] = found.abilities if abilities else found.fits
    output.rows(fields, [[getattr(each, field.name) for field in fields] for each in results])
    stored = found.stored
    for path in plots:
        write_panels(
            list(scaling_panels(found, axis)),
            path,
            title=f"Scores by {AXES[axis]}",
            caption=scaling_caption(found, level=level),
        )
        say(f"Drew {path}.")
    if sentence := held_out_sentence(found.fits):
        say(sentence)
    say_analysis(stored)
