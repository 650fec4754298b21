"""Command `registry stats correlate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.stats.options import (
    frame_options,
    probability,
    say_analysis,
    signed,
    slice_options,
)

if TYPE_CHECKING:
    from registry.analysis.statistics.benchmark_correlations import CorrelationAnalysis

FIELDS = (
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("other", whole=True, kept=True),
    Field("other_version", tabled=False),
    Field("n", look=grouped, right=True),
    Field("pearson", look=signed, right=True, kept=True),
    Field("pearson_lower", "from", look=signed, right=True),
    Field("pearson_upper", "to", look=signed, right=True),
    Field("pearson_p", tabled=False),
    Field("pearson_holm", "p", look=probability, right=True),
    Field("spearman", look=signed, right=True),
    Field("spearman_lower", "from", look=signed, right=True),
    Field("spearman_upper", "to", look=signed, right=True),
    Field("spearman_p", tabled=False),
    Field("spearman_holm", tabled=False),
    Field("partial", "given size", look=signed, right=True),
    Field("partial_lower", "from", look=signed, right=True),
    Field("partial_upper", "to", look=signed, right=True),
    Field("partial_n", "of known size", look=grouped, right=True),
    Field("partial_p", tabled=False),
    Field("partial_holm", tabled=False),
    Field("partial_spearman", tabled=False),
    Field("partial_spearman_lower", tabled=False),
    Field("partial_spearman_upper", tabled=False),
)


@click.command()
@slice_options
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the correlations as a heat map to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def correlate(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Correlate scores on each pair of benchmarks.

    Over the models with both scores: the linear correlation (Pearson), that of ranks (Spearman),
    and the linear one given the logarithm of the number of weights, over models whose own size is
    known. p is corrected for the number of pairs (Holm).

    \b
    Examples:
      registry stats correlate --benchmark arc --benchmark hellaswag --benchmark gsm8k
      registry stats correlate --where "parameters < 8e9" --complete --plot heat.png
    """
    require("scipy", "statsmodels", doing="Correlating benchmarks", extra="stats")
    from registry.analysis.plots.correlations import check_plots
    from registry.analysis.statistics.benchmark_correlations import run_correlations

    check_plots(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_correlations(engine, options, level=level)
    rows = [[getattr(result, field.name) for field in FIELDS] for result in found.results]
    output.rows(FIELDS, rows)
    for path in plots:
        _draw(found, path)
        say(f"Drew {path}.")
    say_analysis(found.stored)


def _draw(found: CorrelationAnalysis, path: Path) -> None:
    from registry.analysis.plots.correlations import write_correlations

    titles = [
        (f"{each.benchmark}@{each.version}" if each.version else each.benchmark,
         f"{each.other}@{each.other_version}" if each.other_version else each.other)
        for each in found.results
    ]  # fmt: skip
    pairs = {pair: each.pearson for pair, each in zip(titles, found.results, strict=True)}
    counts = [each.n for each in found.results]
    models = f"{min(counts):,}" if len(set(counts)) == 1 else f"{min(counts):,} to {max(counts):,}"
    write_correlations(
        sorted({name for pair in titles for name in pair}),
        pairs,
        path,
        title="Correlations of scores",
        caption=f"Pearson's, over {models} models a pair. Analysis {found.stored.analysis_id}, "
        f"{found.stored.created_at:%Y-%m-%d}.",
    )
