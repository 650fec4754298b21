"""Command `registry stats map`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.parameters import OneOf
from registry.cli.progress import trainings
from registry.cli.stats.options import (
    frame_options,
    optional_group_options,
    say_analysis,
    seed_option,
    slice_options,
)
from registry.enums import MapLayout

if TYPE_CHECKING:
    from registry.analysis.plots.model_map import DrawnMap
    from registry.analysis.statistics.model_maps import MapAnalysis
    from registry.enums import Grouping

FIELDS = (
    Field("model", whole=True),
    Field("x", look=decimals, right=True),
    Field("y", look=decimals, right=True),
    Field("group_name", "group", kept=True),
)


@click.command("map")
@optional_group_options
@slice_options
@click.option(
    "--layout",
    type=OneOf(MapLayout),
    default=MapLayout.TSNE,
    help="How models are laid out; umap needs the extra umap.  [default: tsne]",
)
@seed_option
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the map to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def map_models(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    layout: MapLayout,
    seed: int,
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Lay out models on a plane by their scores.

    Models with a score on each benchmark, by t-SNE or UMAP of standardised scores; with --by it is
    measured whether groups lie apart, by scores and on the plane, against random orders. Without
    --benchmark it is the block of the most scores.

    \b
    Examples:
      registry stats map --by size --plot map.png
      registry stats map --by architecture --where "parameters < 8e9" --plot map.html
    """
    require("scipy", "statsmodels", doing="A map", extra="stats")
    require("sklearn", "openTSNE", doing="A map")
    if layout == MapLayout.UMAP:
        require("umap", doing="Layout umap", extra="umap")
    from registry.analysis.plots.model_map import check_map_plots, write_map
    from registry.analysis.report.sentences import map_sentences
    from registry.analysis.statistics.model_maps import run_map

    check_map_plots(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    options = frame_options(**chosen)
    with trainings("reading scores") as on_progress, application.engine() as engine:
        found = run_map(
            engine, options, layout=layout, seed=seed, level=level, on_progress=on_progress
        )
    output.rows(FIELDS, [[getattr(each, field.name) for field in FIELDS] for each in found.points])
    for path in plots:
        write_map(_drawn(found, options.grouping), path)
        say(f"Drew {path}.")
    for sentence in map_sentences(found.check):
        say(sentence)
    say_analysis(found.stored)


def _drawn(found: MapAnalysis, grouping: Grouping | None) -> DrawnMap:
    import numpy as np

    from registry.analysis.plots.model_map import DrawnMap

    check, stored = found.check, found.stored
    caption = (
        f"{'t-SNE' if check.layout == MapLayout.TSNE else 'UMAP'}; analysis {stored.analysis_id},"
        f" {stored.created_at:%Y-%m-%d}."
    )
    if check.purity is not None:
        caption += (
            f" Of the ten nearest models {check.purity:.0%} are of the same group,"
            f" {check.purity_by_chance:.0%} by chance."
        )
    return DrawnMap(
        title=f"{check.models:,} models by scores on {check.benchmarks} benchmarks"
        + (f", by {grouping}" if grouping else ""),
        caption=caption,
        models=[each.model for each in found.points],
        points=np.array([(each.x, each.y) for each in found.points]),
        groups=[each.group_name for each in found.points],
    )
