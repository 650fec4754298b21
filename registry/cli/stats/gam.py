"""Command `registry stats gam`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import OneOf, Whole
from registry.cli.stats.options import (
    frame_options,
    integrated_probability,
    one_grouping,
    say_analysis,
    slice_options,
)
from registry.enums import Grouping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.analysis.statistics.additive_models import GamAnalysis

NONE = "none"

FIELDS = (
    Field("response", whole=True),
    Field("version", tabled=False),
    Field("n", look=grouped, right=True),
    Field("r_squared", "R2", look=lambda value: f"{value:.3f}", right=True),
    Field("explained", tabled=False),
    Field("residual", tabled=False),
    Field("kind", tabled=False),
    Field("term", whole=True, kept=True),
    Field("term_version", tabled=False),
    Field("group_name", "group", whole=True),
    Field("groups", tabled=False),
    Field("edf", look=lambda value: f"{value:.2f}", right=True),
    Field("rank", tabled=False),
    Field("f", "F", look=lambda value: "" if value is None else f"{value:.4g}", right=True),
    Field("p", tabled=False),
    Field("holm", "p", look=integrated_probability, right=True, kept=True),
    Field("deviation", look=lambda value: "" if value is None else f"{value:.3g}", right=True),
    Field("shape", kept=True),
)


@click.command()
@click.option(
    "--response",
    "responses",
    multiple=True,
    metavar="NAME",
    help="Explain this benchmark, or size; repeatable.  [default: each benchmark]",
)
@click.option(
    "--on",
    multiple=True,
    metavar="NAME",
    default=("size",),
    show_default=True,
    help="By a smooth of this: size, a benchmark, or abilities, all others; repeatable.",
)
@click.option(
    "--random",
    multiple=True,
    type=click.Choice([NONE, *(str(each) for each in Grouping if each != Grouping.SIZE)]),
    default=("architecture",),
    show_default=True,
    help="With a random effect of this grouping; repeatable.",
)
@click.option(
    "--by",
    "grouping",
    type=OneOf(Grouping),
    multiple=True,
    callback=one_grouping,
    help="A smooth for each group, with its own level.",
)
@click.option("--cuts", metavar="BILLIONS", help="Bounds of ranges of size, with --by size.")
@click.option("--log", is_flag=True, help="Take the logarithms of scores; those of 0 are left out.")
@click.option(
    "--basis",
    type=Whole(min=3),
    default=10,
    show_default=True,
    help="Coefficients of a smooth at most.",
)
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the curves to this new .png or .html file; repeatable.",
)
@slice_options
@output_options
@pass_application
def gam(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    responses: tuple[str, ...],
    on: tuple[str, ...],
    random: tuple[str, ...],
    log: bool,
    basis: int,
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Explain scores by curves of size and other abilities.

    Generalised additive mixed models, fitted by REML: a curve of each number, as smooth as the data
    suggest, and random effects of groups. p is of no effect given all other terms (Wood 2013),
    corrected for the number of terms (Holm); edf 1 is a straight line. Size is a logarithm.

    \b
    Examples:
      registry stats gam --plot size.html
      registry stats gam --response arc --on abilities --on size --complete --log
      registry stats gam --by type --benchmark mmlu_pro --random author
    """
    require("scipy", "statsmodels", "gamrs", doing="Fitting curves", extra="stats")
    from registry.analysis.plots.panels import check_panels, write_panels
    from registry.analysis.report.analysis_panels import gam_caption, gam_panels
    from registry.analysis.statistics.additive_models import run_gam
    from registry.analysis.statistics.additive_samples import GamOptions

    check_panels(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    model = GamOptions(
        responses=responses or None,
        on=on,
        random=tuple(Grouping(each) for each in dict.fromkeys(random) if each != NONE),
        log=log,
        basis=basis,
    )
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_gam(engine, options, model, level=level)
    output.rows(FIELDS, _rows(found))
    for path in plots:
        write_panels(
            list(gam_panels(found)),
            path,
            title="What scores go with",
            caption=gam_caption(found, log=log, level=level),
        )
        say(f"Drew {path}.")
    say_analysis(found.stored)


def _rows(found: GamAnalysis) -> Iterator[list[Any]]:
    fits = {(each.response, each.version): each for each in found.fits}
    for term in found.terms:
        fit = fits[term.response, term.version]
        yield [getattr(term if hasattr(term, field.name) else fit, field.name) for field in FIELDS]
