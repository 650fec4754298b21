"""`registry embeddings coldstart-test`: predictions for new models and new items, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, output_options
from registry.cli.parameters import AT_LEAST_ONE, MOMENT, Finite
from registry.cli.progress import trainings
from registry.cli.train import data_options, training_options
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.learning.metrics import Interval

ERRORS = ("rmse", "rmse_m", "rmse_q", "share")


@click.command("coldstart-test")
@click.option(
    "--held",
    type=Finite(0, 1, min_open=True, max_open=True),
    help="Share of the models that are new.  [default: 0.3]",
)
@click.option(
    "--new-items",
    type=Finite(0, 1, max_open=True),
    help="Share of the items that are new.  [default: 0.2]",
)
@click.option(
    "--before", type=MOMENT, help="Models created from this date on are new, instead of a share."
)
@click.option("--seeds", type=AT_LEAST_ONE, default=5, show_default=True, help="Random draws.")
@data_options
@output_options
@pass_application
def coldstart_test(application: Application, /, output: Output, **chosen: Any) -> None:
    """Measure predictions for new models and items.

    The four tests of SimRMF: A existing model and item, B new item, C new model, D both new. T is
    the number of models learned from. Printed: means over the seeds with 95% intervals.

    \b
    Examples:
      registry embeddings coldstart-test --seeds 3
      registry embeddings coldstart-test --before 2024-06-01
    """
    require("torch", "sklearn", doing="Testing predictions")
    drawn = {
        name: value
        for name in ("held", "new_items", "before", "seeds")
        if (value := chosen.pop(name)) is not None
    }
    if {"held", "before"} <= drawn.keys():
        raise UsageError("Models are new by --held or by --before, not by both.")
    with trainings("loading torch") as on_progress:
        from registry.embeddings.comparing.coldstart_comparison import Draws, run

        options, draws = training_options(**chosen), Draws(**drawn)
        with application.engine() as engine:
            application.set_up(engine)
            report = run(engine, options, draws, on_progress=on_progress)
    fields = (
        Field("train", "T", right=True, kept=True),
        Field("test", kept=True),
        Field("method", kept=True),
        *(Field(error, look=figures.interval, right=True) for error in ERRORS),
        Field("new", right=True),
        Field("seeds", right=True),
    )
    output.rows(
        fields,
        (
            [
                row.train,
                row.test,
                row.method,
                *(_bounds(getattr(row, error)) for error in ERRORS),
                row.new,
                row.seeds,
            ]
            for row in report.rows
        ),
    )
    say(f"{report.models:,} models with outcomes on {report.items:,} items; 95% intervals.")
    if report.left_out:
        sizes = ", ".join(f"{size:,}" for size in report.left_out)
        say(f"There are too few models for T = {sizes}.")
    if report.undated:
        say(f"Of {report.undated:,} models no date is known: they count as created before.")


def _bounds(interval: Interval | None) -> dict[str, float | None] | None:
    if interval is None:
        return None
    several = interval.seeds > 1
    return {
        "mean": interval.mean,
        "lower": interval.lower if several else None,
        "upper": interval.upper if several else None,
    }
