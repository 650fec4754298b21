"""`registry evals`: import evaluations, rank models by them, write them for others."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.evals_export import export
from registry.cli.failures import INTERRUPTED, Failure, say
from registry.cli.output import Field, Output, count, grouped, output_options
from registry.cli.parameters import AT_LEAST_ONE
from registry.cli.progress import drawn
from registry.errors import UsageError, was_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.evaluations import FileReport, Watcher

SOME_FAILED = 3
"""Exit code where some files could not be imported, and others were."""

FORMATS = ("lm-eval", "every-eval-ever", "hub", "registry", "table")

IMPORTED = (
    Field("path", "file"),
    Field("status", kept=True),
    Field("format"),
    Field("runs", look=grouped, right=True),
    Field("new", look=grouped, right=True),
    Field("changed", look=grouped, right=True),
    Field("unchanged", tabled=False),
    Field("outcomes", look=grouped, right=True),
    Field("new_items", "new items", look=grouped, right=True),
    Field("unresolved", look=grouped, right=True),
    Field("aliases", look=grouped, right=True),
    Field("left_out", tabled=False),
    Field("error", tabled=False),
)


@click.group()
def evals() -> None:
    """Import evaluations, rank models by them, write them for others.

    \b
    Example:
      registry evals import results/
    """


evals.add_command(export)


@evals.command("import")
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path)
)
@click.option(
    "--as",
    "file_format",
    type=click.Choice(FORMATS),
    help="The files' format.  [default: found out for each]",
)
@click.option(
    "--mapping",
    metavar="NAME|FILE",
    help="What the columns of tables mean: a built-in mapping, or a YAML file.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="What one column means, such as model=name; repeatable.",
)
@click.option("--source", metavar="NAME", help="Who states the scores.")
@click.option("--benchmark", metavar="NAME", help="Benchmark of all that is in the files.")
@click.option("--benchmark-version", metavar="VERSION", help="Version of the benchmarks in them.")
@click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")
@output_options
@click.pass_context
def import_(ctx: click.Context, /, output: Output, **chosen: Any) -> None:
    """Import files of evaluations, or all those in a folder.

    Each file lands whole or not at all; importing it again changes nothing. `registry evals
    mappings` lists the tables that are known by their columns.

    \b
    Examples:
      registry evals import results/org__model/
      registry evals import leaderboard.csv --mapping open-llm-leaderboard-v1
      registry evals import mine.csv --column model=name --column outcome=correct --benchmark b
    """
    from registry.evaluations import Options, import_files

    application = ctx.ensure_object(Application)
    roles = dict(_role(each) for each in chosen.pop("columns"))
    options = Options(format=chosen.pop("file_format"), roles=roles, **_without(chosen, "paths"))
    began = time.monotonic()
    try:
        with application.engine() as engine:
            application.set_up(engine)
            with _progress() as watch:
                reports = import_files(engine, chosen["paths"], options, watch=watch)
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            raise Failure(
                "Stopped; the files before are in, the one under way is not.", INTERRUPTED
            ) from None
        raise
    _report(output, reports, time.monotonic() - began, dry_run=options.dry_run)
    failed = [report for report in reports if report.status == "failed"]
    if all(report.status == "skipped" for report in reports):
        raise Failure("Nothing was imported: no file there holds evaluations that can be read.", 1)
    if failed:
        ctx.exit(1 if len(failed) == len(reports) else SOME_FAILED)


def _without(chosen: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if name not in names}


def _role(text: str) -> tuple[str, str]:
    role, equals, column = text.partition("=")
    if not equals or not role or not column:
        raise UsageError(f"--column is ROLE=COLUMN, such as model=name; {text!r} is not.")
    return role.strip(), column


def _report(output: Output, reports: list[FileReport], seconds: float, *, dry_run: bool) -> None:
    from registry.evaluations import counts

    rows = []
    for report in reports:
        told: dict[str, Any] = {
            "path": report.path,
            "status": report.status,
            "format": report.format,
            "error": report.error,
            **counts(report),
        }
        rows.append([told[field.name] for field in IMPORTED])
    fields = [replace(IMPORTED[0], look=_below([report.path for report in reports])), *IMPORTED[1:]]
    output.rows(fields, rows, empty="There is no file there.")
    for report in reports:
        if report.error:
            # What files say against each other or themselves is found where no path is known.
            say(report.error if report.path in report.error else f"{report.path}: {report.error}")
        for what, times in report.left_out.items():
            say(f"{report.path}: left out {times:,} {what}")
        if report.names.refused:
            say(
                f"{report.path}: {report.names.refused:,} names were not taken: they are other "
                "models' own, or stand for others already."
            )
    skipped = sum(report.status == "skipped" for report in reports)
    if skipped:
        say(f"{skipped:,} files are in no format that is known; name one to hear more.")
    outcomes = sum(report.written.outcomes for report in reports)
    say(f"{sum(r.written.runs for r in reports):,} runs, {outcomes:,} outcomes in "
        f"{figures.span(seconds)}.")  # fmt: skip
    if sum(report.written.unresolved for report in reports):
        say("Some names stand for no model that is known: registry models alias --unresolved")
    if dry_run:
        say("A dry run: nothing was changed.")


def _below(paths: list[str]) -> Callable[[Any], str]:
    """Return how to show a path: without the folder that all are in, which leaves no room."""
    folder = os.path.commonpath([Path(path).absolute().parent for path in paths] or [Path("/")])
    if len(paths) == 1 or folder == "/":
        return str
    return lambda path: os.path.relpath(path, folder)


@contextmanager
def _progress() -> Iterator[Watcher]:
    """Draw on stderr which file is under way, where somebody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[read]:,} runs"),
        TimeElapsedColumn(),
    )
    with drawn(*columns, task="files", read=0) as update:

        def watch(path: str, number: int, of: int, read: int) -> None:
            update(description=Path(path).name[:40], completed=number, total=of, read=read)

        yield watch


@evals.command()
@output_options
def mappings(output: Output) -> None:
    """List the tables whose columns are known, for --mapping.

    \b
    Example:
      registry evals mappings
    """
    from registry.interchange.tables import load_mapping, presets

    output.rows(
        [Field("mapping"), Field("about", whole=True)],
        ([name, load_mapping(name).about] for name in presets()),
    )


@evals.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="A column, all versions or NAME@VERSION; repeatable.  [default: those of most models]",
)
@click.option("--query", metavar="WORDS", help="Only models that a search for this finds.")
@click.option("--family", metavar="MODEL", help="Only models of this model's family.")
@click.option("--partial", is_flag=True, help="Also models that lack some of the benchmarks.")
@click.option("--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="How many models.")
@output_options
@pass_application
def leaderboard(application: Application, /, output: Output, **wanted: Any) -> None:
    """Rank models by their mean score on some benchmarks.

    One score counts per model and benchmark: of a complete run before a limited one, of a
    verified one before another, then the newest. Scores are shares in [0, 1].

    \b
    Examples:
      registry evals leaderboard
      registry evals leaderboard --benchmark gsm8k --benchmark arc --limit 50 --format csv
      registry evals leaderboard --family mistralai/Mistral-7B-v0.1
    """
    from registry.leaderboard import rank

    with application.reading() as connection:
        ranking = rank(connection, **wanted)
    fields = [
        Field("model"),
        Field("average", look=_share, right=True, kept=True),
        *(Field(each, look=_share, right=True) for each in ranking.benchmarks),
        count("parameters", "size"),
        Field("license"),
        Field("downloads", tabled=False),
    ]
    rows = (
        [row.model, row.average, *row.scores, row.parameters, row.license, row.downloads]
        for row in ranking.rows
    )
    output.rows(fields, rows, empty="No model has scores on all of these benchmarks.")
    if ranking.incomplete:
        say(
            f"{ranking.incomplete:,} more models have scores on some of these benchmarks only: "
            "--partial shows them too."
        )


def _share(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f}"


@evals.command()
@output_options
@pass_application
def benchmarks(application: Application, output: Output) -> None:
    """List the benchmarks that there are evaluations on.

    \b
    Example:
      registry evals benchmarks
    """
    from sqlalchemy import text

    fields = (
        Field("benchmark"),
        Field("version"),
        Field("metric"),
        Field("filter", tabled=False),
        Field("unit", tabled=False),
        Field("items", look=grouped, right=True),
        Field("runs", look=grouped, right=True),
        Field("domain"),
        Field("url", tabled=False),
    )
    names = ", ".join(field.name for field in fields)
    with application.reading() as connection:
        rows = connection.execute(
            text(f"SELECT {names} FROM registry.benchmarks ORDER BY runs DESC, benchmark, version")  # noqa: S608
        ).all()
    output.rows(fields, map(tuple, rows), empty="No evaluations were imported yet.")
