"""`registry embeddings compare`: methods measured on the same held-out outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, output_options
from registry.cli.parameters import AT_LEAST_ONE, OneOf
from registry.cli.progress import trainings
from registry.cli.train import data_options, training_options
from registry.enums import MethodName, Metric, SplitKind

if TYPE_CHECKING:
    from registry.embeddings.comparing.comparison_results import MethodComparison


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=OneOf(MethodName),
    help="Method to measure; repeatable.  [default: all but mf, mf-text and text-regression]",
)
@click.option(
    "--split",
    "kinds",
    multiple=True,
    type=OneOf(SplitKind),
    help="What is held out; repeatable.  [default: cell and item]",
)
@click.option(
    "--seeds", type=AT_LEAST_ONE, default=5, show_default=True, help="Random splits of each kind."
)
@data_options
@output_options
@pass_application
def compare(
    application: Application,
    /,
    output: Output,
    methods: tuple[MethodName, ...],
    kinds: tuple[SplitKind, ...],
    seeds: int,
    **chosen: Any,
) -> None:
    """Compare methods on held-out outcomes.

    Each method learns from the same outcomes and predicts the same others. Printed: means over the
    seeds with 95% intervals, which are stored as well. On an item without other outcomes, item-mean
    predicts the model's mean, as model-mean does. No version is made.

    \b
    Examples:
      registry embeddings compare
      registry embeddings compare --method irt --method knn --split item --split domain --seeds 3
    """
    require("torch", "sklearn", doing="Comparing methods")
    with trainings("loading torch") as on_progress:
        from registry.embeddings.comparing.comparison import COMPARED
        from registry.embeddings.comparing.comparison import compare as run

        options = training_options(**chosen)
        with application.engine() as engine:
            application.set_up(engine)
            comparison = run(
                engine,
                options,
                methods=methods or COMPARED,
                kinds=kinds or (SplitKind.CELL, SplitKind.ITEM),
                seeds=seeds,
                on_progress=on_progress,
            )
    _print(output, comparison)
    say(
        f"Comparison {comparison.comparison}, stored in view training_results with 95% intervals; "
        f"{figures.span(comparison.seconds)}."
    )


def _print(output: Output, comparison: MethodComparison) -> None:
    fields = (
        Field("split", kept=True),
        Field("method", kept=True),
        *(Field(metric, look=figures.interval, right=True) for metric in Metric),
        Field("seeds", right=True),
    )
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for figure in comparison.figures:
        row = rows.setdefault((figure.split, figure.method), {"seeds": figure.seeds})
        row[figure.metric] = {"mean": figure.mean, "lower": figure.lower, "upper": figure.upper}
    output.rows(
        fields,
        (
            [*key, *(row.get(metric) for metric in Metric), row["seeds"]]
            for key, row in rows.items()
        ),
    )
