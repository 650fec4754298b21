"""Command `registry evals remove`."""

from __future__ import annotations

from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import KEY

REMOVED = (
    Field("file", whole=True),
    Field("benchmark", kept=True),
    Field("version"),
    Field("models", look=grouped, right=True),
    Field("runs", look=grouped, right=True),
    Field("with_outcomes", "with outcomes", look=grouped, right=True),
)


@click.command()
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    help="Runs of this file, a path or an address; repeatable.",
)
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of this model; repeatable.")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="On this one, all versions or NAME@VERSION; repeatable.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Of this source; repeatable.",
)
@click.option("--run", "runs", multiple=True, type=KEY, metavar="KEY", help="This one; repeatable.")
@click.option(
    "--left-over",
    is_flag=True,
    help="Only runs of earlier versions of files that are not in the newest.",
)
@click.option("--dry-run", is_flag=True, help="Report what would be removed, and remove nothing.")
@output_options
@pass_application
def remove(application: Application, /, output: Output, *, dry_run: bool, **selected: Any) -> None:
    """Remove runs, with their outcomes and answers.

    Removes the runs that fit all options, of which at least one is needed. A run is of the file
    that stated it last. Records of files without runs go too; benchmarks, items and aliases stay.
    Scores of the Hub return when the sync sees their model's record changed.

    \b
    Examples:
      registry evals remove --file results/mine.csv --dry-run
      registry evals remove --file results/mine.csv --left-over
      registry evals remove --model org/name --benchmark gsm8k@3
    """
    from registry.evaluations.removal import RemovalSelection
    from registry.evaluations.removal import remove as remove_runs
    from registry.prediction.scores.refresh import refresh_predictions

    with application.engine() as engine:
        report = remove_runs(engine, RemovalSelection(**selected), dry_run=dry_run)
        predicted = None if dry_run else refresh_predictions(engine)
    output.rows(REMOVED, report.removed, empty="No run fits all of these options.")
    for path in report.files:
        say(f"Nothing is left of {path}.")
    if report.stubs:
        say(f"{len(report.stubs):,} models that only these runs named are removed too.")
    if dry_run:
        say(f"{report.runs:,} runs would be removed. A dry run: nothing was changed.")
    else:
        say(f"{report.runs:,} runs removed.")
    if predicted:
        say(predicted)
