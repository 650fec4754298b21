"""Command `registry evals preferences`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import SEED
from registry.cli.progress import trainings
from registry.cli.stats.options import say_analysis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.analysis.plots.intervals import IntervalMark
    from registry.analysis.statistics.preference_ratings import PreferenceAnalysis, RatedModel


def _points(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


FIELDS = (
    Field("model", whole=True, kept=True),
    Field("rating", look=_points, right=True, kept=True),
    Field("lower", look=_points, right=True),
    Field("upper", look=_points, right=True),
    Field("rank", right=True, kept=True),
    Field("best_rank", right=True),
    Field("worst_rank", right=True),
    Field("wins", look=grouped, right=True),
    Field("ties", look=grouped, right=True),
    Field("losses", look=grouped, right=True),
    Field("items", look=grouped, right=True),
    Field("unrated"),
)


@click.command()
@click.argument("benchmark")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Rate these models; repeatable.  [default: all with outcomes by item]",
)
@click.option("--metric", metavar="NAME", help="Outcomes by this metric.")
@click.option(
    "--filter",
    "of_filter",
    metavar="NAME",
    help="Outcomes by this filter or judge.  [default: that of the most models]",
)
@click.option(
    "--most",
    type=click.IntRange(2, 200),
    default=50,
    show_default=True,
    help="Models at most, those with the most outcomes.",
)
@click.option(
    "--replicates",
    type=click.IntRange(20, 10_000),
    default=200,
    show_default=True,
    help="Resamples of the items for the intervals.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Share of intervals that hold the rating.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the resampling.")
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw ratings with intervals to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def preferences(
    application: Application,
    output: Output,
    *,
    benchmark: str,
    models: tuple[str, ...],
    metric: str | None,
    of_filter: str | None,
    most: int,
    replicates: int,
    level: float,
    seed: int,
    plots: tuple[Path, ...],
) -> None:
    """Rate models by which does better on each item of BENCHMARK.

    Bradley and Terry's model on Elo's scale (400 points are odds of ten to one; mean 1000), from
    each pair of models on each item that both answered: the higher outcome is preferred, equal ones
    are half a win for each. Intervals are over resampled items; ranks are a range where intervals
    overlap. Outcomes are all by one measure; ratings are stored, as of `registry stats`.

    \b
    Examples:
      registry evals preferences alpaca_eval --plot ratings.png
      registry evals preferences gsm8k --model org/a --model org/b --model org/c --format csv
    """
    require("scipy", "evalica", doing="Rating models", extra="stats")
    from registry.analysis.plots.intervals import check_intervals, write_intervals
    from registry.analysis.statistics.preference_ratings import run_preferences
    from registry.analysis.statistics.shared_outcomes import PreferenceOptions

    check_intervals(plots)
    if any(path.suffix.lower() == ".png" for path in plots):
        require("matplotlib", doing="A picture")
    options = PreferenceOptions(
        benchmark=benchmark, models=models or None, metric=metric, filter=of_filter, most=most,
        replicates=replicates, level=level, seed=seed,
    )  # fmt: skip
    with trainings("reading outcomes") as on_progress, application.engine() as engine:
        found = run_preferences(engine, options, on_progress=on_progress)
    output.rows(FIELDS, [[getattr(each, field.name) for field in FIELDS] for each in found.models])
    for path in plots:
        write_intervals(
            _marks(found.models), path, title=f"Models by preference on {benchmark}",
            across="rating (Elo's scale)", caption=_caption(found, level),
        )  # fmt: skip
        say(f"Drew {path}.")
    say_analysis(found.stored, "outcomes")


def _marks(models: Sequence[RatedModel]) -> list[IntervalMark]:
    from registry.analysis.plots.intervals import IntervalMark

    return [
        IntervalMark(
            name=each.model, value=each.rating, lower=each.lower, upper=each.upper,
            note=_range(each.best_rank, each.worst_rank),
        )
        for each in models
        if each.rating is not None
    ]  # fmt: skip


def _range(best: int | None, worst: int | None) -> str:
    return f"rank {best}" if best == worst else f"ranks {best} to {worst}"


def _caption(found: PreferenceAnalysis, level: float) -> str:
    unrated = sum(each.rating is None for each in found.models)
    return (
        f"Outcomes by {found.measure}; {100 * level:.4g}% intervals over resampled items, mean"
        " 1000."
        + (f" {unrated} without a rating are not drawn." if unrated else "")
        + f" Analysis {found.stored.analysis_id}, {found.stored.created_at:%Y-%m-%d}."
    )
