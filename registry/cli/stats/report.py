"""Command `registry stats report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.parameters import OneOf, Whole
from registry.cli.progress import trainings
from registry.cli.stats.options import frame_options, slice_options
from registry.enums import Grouping


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--by",
    "groupings",
    type=OneOf(Grouping),
    multiple=True,
    default=(Grouping.SIZE, Grouping.ARCHITECTURE),
    help="What to group models by; repeatable.  [default: size, architecture]",
)
@click.option(
    "--most",
    type=Whole(min=2),
    default=8,
    show_default=True,
    help="Compare no more groups than this, the largest.",
)
@slice_options
@pass_application
def report(
    application: Application,
    /,
    *,
    file: Path,
    groupings: tuple[Grouping, ...],
    level: float,
    **chosen: Any,
) -> None:
    """Write a report on the scores of a slice of models.

    FILE is a new .html, which needs no network and no script, or .md. It has the data, the best
    models, groups of models, what families share, parents, correlations, abilities, curves over
    size and time, and a map, by the first grouping; it says what was not found, and what is not
    known. The analyses are stored. Without --benchmark it is of the six with the most scores.

    \b
    Examples:
      registry stats report scores.html
      registry stats report small.md --by size --where "parameters < 8e9"
    """
    require("scipy", "statsmodels", "gamrs", "mixedlm", doing="A report", extra="stats")
    require("sklearn", doing="A report")
    from registry.analysis.report.score_report import check_report, score_report, write_report

    check_report(file)
    options = frame_options(**chosen)
    with trainings("data") as on_progress, application.engine() as engine:
        found = score_report(
            engine, options, tuple(dict.fromkeys(groupings)), level=level, on_progress=on_progress
        )
    write_report(found, file)
    say(f"Wrote {file}.")
