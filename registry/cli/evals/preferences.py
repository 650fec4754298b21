"""Command `registry evals preferences`."""

from __future__ import annotations

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import SEED


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
@output_options
@pass_application
def preferences(
    application: Application,
    output: Output,
    *,
    benchmark: str,
    models: tuple[str, ...],
    most: int,
    replicates: int,
    level: float,
    seed: int,
) -> None:
    """Rate models by which does better on each item of BENCHMARK.

    Bradley and Terry's model on Elo's scale (400 points are odds of ten to one; mean 1000), from
    each pair of models on each item that both answered: the higher outcome is preferred, equal ones
    are half a win for each. Intervals are over resampled items; ranks are a range where intervals
    overlap.

    \b
    Examples:
      registry evals preferences alpaca_eval
      registry evals preferences gsm8k --model org/a --model org/b --model org/c --format csv
    """
    require("scipy", "evalica", doing="Rating models", extra="stats")
    from registry.analysis.preference_ratings import rate_models

    with application.reading() as connection:
        found, notes = rate_models(
            connection, benchmark, models=models or None, most=most, replicates=replicates,
            level=level, seed=seed,
        )  # fmt: skip
    output.rows(FIELDS, [[getattr(each, field.name) for field in FIELDS] for each in found])
    for note in notes:
        say(note)
