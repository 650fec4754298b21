"""Command `registry evals import`, and its report."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.failures import INTERRUPTED, Failure
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import BYTES, FormatName
from registry.cli.progress import drawn
from registry.errors import UsageError, first_of, was_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.evaluations.import_log import FileReport
    from registry.workers import Progress

_NAMED = 40
"""Names that are printed of things that were left out, at most."""

SOME_FAILED = 3
"""Exit code where some files failed and others were imported."""

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
    Field("facts", look=grouped, right=True),
    Field("left_out", tabled=False),
    Field("left_out_names", tabled=False),
    Field("replaced", tabled=False),
    Field("left_over", tabled=False),
    Field("error", tabled=False),
)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--as",
    "file_format",
    type=FormatName(),
    help="The files' format.  [default: detected for each]",
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
    help="What one column means, such as model=name; repeatable. With a score, and neither item "
    "nor outcome, a row is one score; with a name, another name of a model; with texts of items "
    "(prompt, choices, right_answer, domain), and no model in the table, an item. fact.NAME=COLUMN "
    "is a fact of the model: fact.parameters, fact.license, fact.base_model or any other.",
)
@click.option("--source", metavar="NAME", help="Who states the scores.")
@click.option("--benchmark", metavar="NAME", help="The only benchmark in the files.")
@click.option(
    "--model", metavar="NAME", help="The only model in the files, such as where they state none."
)
@click.option("--benchmark-version", metavar="VERSION", help="Version of the benchmarks in them.")
@click.option(
    "--max-download",
    type=BYTES,
    default="10GB",
    show_default=True,
    metavar="SIZE",
    help="Fetch no more than this of remote files.",
)
@click.option(
    "--scale",
    metavar="percent|0-1|LOW:HIGH",
    help="Scale of the scores, where the files state none; an error where they state another.",
)
@click.option(
    "--better",
    type=click.Choice(["higher", "lower"]),
    help="Which scores are better, where neither the files nor the metric says it.",
)
@click.option("--dry-run", is_flag=True, help="Report what would change, and change nothing.")
@output_options
@click.pass_context
def import_(ctx: click.Context, /, output: Output, **chosen: Any) -> None:
    """Import files of evaluations, of this machine or of others.

    A PATH is a file, a folder, a pattern such as 'runs/**/*.json', or an address: a file, folder
    or pattern in a repository of the Hub (hf://datasets/ORG/NAME[@REVISION]/...) or in a bucket
    (s3://...), or one file of the web (https://...). Remote files are kept in the cache, folder
    `cache` of the data directory; what was interrupted continues there. HF_TOKEN opens gated and
    private repositories, HF_ENDPOINT names another Hub.

    Each file is imported whole or not at all; importing it again changes nothing. Results of
    earlier imports are replaced where they differ; a file that contradicts an earlier one of the
    same command fails. `registry evals mappings` lists the tables that are recognized.

    \b
    Examples:
      registry evals import results/org__model/
      registry evals import 'hf://datasets/org/results/**/*.json'
      registry evals import https://example.com/leaderboard.csv
      registry evals import leaderboard.csv --mapping open-llm-leaderboard-v1
      registry evals import mine.csv --column model=name --column outcome=correct --benchmark b
      registry evals import scores.csv --column model=name --column score=acc --benchmark b
      registry evals import board.csv --mapping ours.yaml --column fact.license=Licence
      registry evals import grades.csv --column model=name --column score=grade --scale 0:10
      registry evals import questions.csv --column item=id --column prompt=question --benchmark b
      registry evals import names.csv --column name=label --column model=repository
    """
    from registry.embeddings.refresh import refresh_vectors
    from registry.evaluations.importer import ImportOptions, import_files
    from registry.prediction.scores.refresh import refresh_predictions

    application = ctx.ensure_object(Application)
    roles = dict(_role(each) for each in chosen.pop("columns"))
    paths = chosen.pop("paths")
    options = ImportOptions(format=chosen.pop("file_format"), roles=roles, **chosen)
    began = time.monotonic()
    try:
        with application.engine() as engine:
            application.set_up(engine)
            with _progress() as on_progress:
                reports = import_files(
                    engine, paths, options, on_progress=on_progress, on_problem=say
                )
            placed = (
                () if options.dry_run else (refresh_vectors(engine), refresh_predictions(engine))
            )
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            raise Failure(
                "Stopped; earlier files are imported, the one under way is not.", INTERRUPTED
            ) from None
        raise
    _report(output, reports, time.monotonic() - began, dry_run=options.dry_run)
    for sentence in placed:
        if sentence:
            say(sentence)
    failed = [report for report in reports if report.status == "failed"]
    if all(report.status == "skipped" for report in reports):
        raise Failure("Nothing was imported: no file there is in a known format.", 1)
    if failed:
        ctx.exit(1 if len(failed) == len(reports) else SOME_FAILED)


def _role(text: str) -> tuple[str, str]:
    role, equals, column = text.partition("=")
    if not equals or not role or not column:
        raise UsageError(f"--column is ROLE=COLUMN, such as model=name; {text!r} is not.")
    return role.strip(), column


def _report(output: Output, reports: list[FileReport], seconds: float, *, dry_run: bool) -> None:
    from registry.evaluations.import_log import counts

    rows = []
    for report in reports:
        columns: dict[str, Any] = {
            "path": report.path,
            "status": report.status,
            "format": report.format,
            "error": report.error,
            **counts(report),
        }
        rows.append([columns[field.name] for field in IMPORTED])
    fields = [replace(IMPORTED[0], look=_below([report.path for report in reports])), *IMPORTED[1:]]
    output.rows(fields, rows, empty="There is no file there.")
    for report in reports:
        _say_details(report)
    skipped = sum(report.status == "skipped" for report in reports)
    if skipped:
        say(f"{skipped:,} files are in no known format; name one to see why.")
    outcomes = sum(report.written.outcomes for report in reports)
    say(f"{sum(r.written.runs for r in reports):,} runs, {outcomes:,} outcomes in "
        f"{figures.span(seconds)}.")  # fmt: skip
    if sum(report.written.unresolved for report in reports):
        say("Some names resolve to no known model: registry models alias unresolved")
    if dry_run:
        say("A dry run: nothing was changed.")


def _say_details(report: FileReport) -> None:
    """Print what the table has no room for."""
    if report.error:
        # Conflicts between results are found where the path is not known.
        say(report.error if report.path in report.error else f"{report.path}: {report.error}")
    for what, times in report.left_out.items():
        names = report.left_out_names.get(what, ())
        listed = f": {first_of(names, _NAMED)}" if names else ""
        say(f"{report.path}: left out {times:,} {what}{listed}")
    for other, times in report.replaced.items():
        former = "its earlier version" if other == report.place else other
        say(f"{report.path}: replaced {times:,} runs of {former}")
    if report.written.rescored:
        say(
            f"{report.path}: {report.written.rescored:,} scores are read otherwise than by an "
            "earlier version, each with its reason in view score_changes: "
            "registry query 'TABLE score_changes'"
        )
    if report.left_over:
        say(
            f"{report.path}: left over: {report.left_over:,} runs of an earlier version. To "
            f"remove them: registry evals remove --left-over --file {shlex.quote(report.place)}"
        )
    if report.names.refused:
        say(
            f"{report.path}: {report.names.refused:,} names were rejected: they are names "
            "of other models, or resolve to others already."
        )


def _below(paths: list[str]) -> Callable[[Any], str]:
    """Return a function that shortens paths by the folder that all are in."""
    addressed = any("://" in path for path in paths)
    parents = [Path(path).absolute().parent for path in paths if not addressed]
    folder = os.path.commonpath(parents or [Path("/")])
    if len(paths) == 1 or folder == "/":
        return str
    return lambda path: os.path.relpath(path, folder)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Draw on a terminal which file is under way."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with drawn(*columns, task="files") as update:

        def on_progress(what: str, number: int, total: int) -> None:
            update(description=what[:50], completed=number, total=total)

        yield on_progress
