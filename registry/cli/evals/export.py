"""Command `registry evals export`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import OneOf
from registry.cli.progress import drawn
from registry.enums import ExportFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.workers import Progress


FILES = (
    Field("path", "file"),
    Field("rows", look=grouped, right=True),
    Field("bytes", look=grouped, right=True),
)


@click.command()
@click.argument("target", metavar="DIRECTORY", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "file_format",
    type=OneOf(ExportFormat),
    default="parquet",
    show_default=True,
    help="The files' format; parquet and csv hold everything.",
)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="Only this one, all versions or NAME@VERSION; repeatable.",
)
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Only this model; repeatable."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only what this source states; repeatable.",
)
@output_options
@pass_application
def export(
    application: Application,
    /,
    output: Output,
    target: Path,
    file_format: str,
    **selected: tuple[str, ...],
) -> None:
    """Write evaluations to a new folder, all of them or nothing.

    `registry evals import` reads every format; from parquet and csv it makes the same runs. The
    format long is one table, DIRECTORY itself if that ends in .parquet, .csv or .csv.gz; for one
    label a model and prompt, take the rows that are preferred.

    \b
    Examples:
      registry evals export evaluations/
      registry evals export training.parquet --as long --benchmark mmlu_pro
      registry evals export results/ --as lm-eval --model mistralai/Mistral-7B-v0.1
    """
    from registry.evaluations import exporter
    from registry.evaluations.selection import RunSelection

    began = time.monotonic()
    selection = RunSelection(**selected)
    with application.engine() as engine, _progress() as on_progress:
        report = exporter.export(engine, target, file_format, selection, on_progress=on_progress)
    output.rows(FILES, ([str(file.path), file.rows, file.bytes] for file in report.files))
    for what, times in report.left_out.items():
        say(f"{file_format} has no place for {times:,} {what}")
    say(f"{report.runs:,} runs, {report.outcomes:,} outcomes in "
        f"{figures.span(time.monotonic() - began)}.")  # fmt: skip


@contextmanager
def _progress() -> Iterator[Progress]:
    """Draw on a terminal which benchmark is under way."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.completed:,.0f} runs"),
        TimeElapsedColumn(),
    )
    with drawn(*columns, task="reading") as update:

        def on_progress(benchmark: str, runs: int, _total: int) -> None:
            update(description=benchmark[:40], completed=runs)

        yield on_progress
