"""Command `registry evals estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import Finite


def _share(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f}"


FIELDS = (
    Field("benchmark", kept=True),
    Field("version"),
    Field("score", "score %", look=_share, right=True, kept=True),
    Field("lower", "lower %", look=_share, right=True, kept=True),
    Field("upper", "upper %", look=_share, right=True, kept=True),
    Field("answers", look=grouped, right=True),
    Field("items", look=grouped, right=True),
    Field("known_models", look=grouped, right=True),
    Field("measured", "measured %", look=_share, right=True),
)


@click.command()
@click.argument("model")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    required=True,
    metavar="NAME",
    help="NAME or NAME@VERSION; repeatable, and then answers on one also count for the others.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV or JSON lines with columns item and outcome.  [default: the model's outcomes in the "
    "registry]",
)
@click.option(
    "--stop-at",
    type=Finite(min=0, max=1),
    metavar="WIDTH",
    help="Say whether the interval is as narrow as this share: 0.05 is 5 points.",
)
@click.option(
    "--level",
    type=Finite(min=0.5, max=0.99),
    default=0.9,
    show_default=True,
    help="Coverage of the intervals.",
)
@output_options
@pass_application
def estimate(
    application: Application,
    /,
    output: Output,
    model: str,
    benchmarks: tuple[str, ...],
    answers: Path | None,
    **chosen: Any,
) -> None:
    """Estimate the score on a benchmark from a few answers.

    Scores are mean outcomes over all items, as shares in [0, 1], in tables %, each with an
    interval. They are learned from other models that answered alike, and hold for items that were
    chosen in any way: by `registry evals plan`, at random, or the first ones. A score that the
    registry has measured on all items is shown beside the estimate.

    \b
    Examples:
      registry evals estimate org/new-model --benchmark gsm8k --answers answers.csv
      registry evals estimate org/new-model --benchmark gsm8k --answers answers.jsonl --stop-at 0.05
      registry evals estimate org/evaluated-in-part --benchmark gsm8k --format json
    """
    from registry.db.connection import reading
    from registry.prediction.estimate import estimate_scores

    with application.engine() as engine, reading(engine, snapshot=True) as connection:
        report = estimate_scores(connection, model, benchmarks, answers=answers, **chosen)
    output.rows((*FIELDS, Field("enough", tabled=chosen["stop_at"] is not None)), report.rows)
    for note in report.notes:
        say(note)
    for row in report.rows:
        if row.enough is False:
            say(
                f"{row.benchmark}: the interval is wider than was asked; `registry evals plan "
                "--adaptive` names the next items."
            )
