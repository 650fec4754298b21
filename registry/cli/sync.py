"""`registry sync`: bring the catalog up to date with the Hub."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from registry.cli import figures
from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.failures import INTERRUPTED, Failure
from registry.cli.output import Field, Output, grouped, output_options, table
from registry.cli.parameters import AT_LEAST_ONE, AT_LEAST_ZERO, MOMENT
from registry.cli.progress import downloads, drawn, is_seen
from registry.errors import was_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from registry.sync.sync import SyncReport
    from registry.workers import Progress

SOME_QUARANTINED = 3
"""Exit code of a sync that is done but could not read some records."""

EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal to draw on."""


@click.command()
@click.option(
    "--from",
    "path",
    metavar="FILE",
    help="Read the records of a file instead of the Hub: JSON lines (.gz too) or Parquet, here or "
    "at an address.",
)
@click.option(
    "--date-column",
    metavar="FIELD",
    help="With --from: the field that says when a record was observed.",
)
@click.option("--full", is_flag=True, help="Read the whole listing, and find what vanished.")
@click.option(
    "--limit", type=AT_LEAST_ONE, help="Stop after so many records; the next run resumes there."
)
@click.option("--author", metavar="NAME", help="Only this author's models.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="TAG",
    help="Only models with this tag; repeatable.",
)
@click.option("--since", type=MOMENT, help="Go back to this moment, not to the last sync.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--as-of", type=MOMENT, help="Date the observation; for listings of the past.")
@click.option(
    "--lookups",
    type=AT_LEAST_ZERO,
    default=200,
    show_default=True,
    help="How many unlisted names to look up one by one.",
)
@click.option("--accept-gone", is_flag=True, help="Accept a sweep that finds much of it gone.")
@click.option(
    "--evaluations/--no-evaluations",
    default=True,
    help="Whether to import the scores in model cards, or leave them to a later run.",
)
@output_options
@click.pass_context
def sync(ctx: click.Context, /, output: Output, **chosen: Any) -> None:
    """Bring the catalog up to date with the Hub.

    It adds models that are new or changed since the last sync. It may be stopped at any
    moment, and the next sync resumes there. HF_TOKEN raises the Hub's limits, HF_ENDPOINT
    names another Hub.

    A file of records, as the Hub's API returns them, gives the same result: of a mirror, at a site
    without network, or of past days. It moves no watermark, so that the next sync of the Hub misses
    nothing, and no record replaces a newer one. What is no record goes to the quarantine, with its
    line. With --full, the file is the whole listing, and models that it lacks are gone.

    \b
    Examples:
      registry sync
      registry sync --full
      registry sync --author mistralai --dry-run
      registry sync --from models.jsonl.gz --as-of 2026-05-20
      registry sync --from snapshots.parquet --date-column mined_date
      registry sync --from hf://datasets/cfahlgren1/hub-stats/models.parquet
    """
    from registry.sync.from_file import sync_file
    from registry.sync.sync import SyncOptions, sync_models

    application = ctx.ensure_object(Application)
    began = time.monotonic()
    if chosen["full"] and chosen["since"] is not None:
        raise click.UsageError("--full reads the whole listing; it goes without --since.")
    path, date_column = chosen.pop("path"), chosen.pop("date_column")
    _refuse_with_file(ctx, path, date_column)
    file = None if path is None else _local(path)
    try:
        with application.engine() as engine:
            application.set_up(engine)
            with _progress() as on_progress:
                options = SyncOptions(**chosen)
                report = (
                    sync_models(engine, options, on_progress=on_progress)
                    if file is None
                    else sync_file(
                        engine, options, file, date_column=date_column, on_progress=on_progress
                    )
                )
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            rest = "the next sync resumes there" if path is None else "again, it stores the rest"
            raise Failure(f"Stopped; {rest}.", INTERRUPTED) from None
        raise
    _print_report(output, report, time.monotonic() - began)
    _comment(report, since_asked=chosen["since"] is not None)
    for note in report.notes:
        say(note)
    for sentence in (report.vectors, report.predictions):
        if sentence:
            say(sentence)
    if report.counts.quarantined:
        say('Some records could not be read: registry query "SELECT * FROM quarantine"')
        ctx.exit(SOME_QUARANTINED)


def _local(path: str) -> Path:
    """Return the path of a file, or of its copy in the cache."""
    from registry.evaluations.remote.fetch import fetch_one
    from registry.evaluations.remote.files import DEFAULT_LIMIT, is_address

    if not is_address(path):
        return Path(path)
    with downloads() as on_progress:
        return fetch_one(path, limit=DEFAULT_LIMIT, on_progress=on_progress)


def _refuse_with_file(ctx: click.Context, path: str | None, date_column: str | None) -> None:
    """Refuse options that mean nothing with or without a file."""
    if path is None:
        if date_column is not None:
            raise click.UsageError("--date-column is of a file: name it by --from.")
        return
    unused = ("limit", "author", "filters", "since", "lookups")
    for parameter in ctx.command.params:
        if parameter.name in unused and ctx.get_parameter_source(parameter.name) not in {
            ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP,
        }:  # fmt: skip
            raise click.UsageError(
                f"--from reads all records: it goes without {parameter.opts[0]}."
            )
    if date_column is not None and ctx.params["full"]:
        raise click.UsageError("--full is of one listing: it goes without --date-column.")
    if date_column is not None and ctx.params["as_of"] is not None:
        raise click.UsageError("--date-column dates the records: it goes without --as-of.")


def _comment(report: SyncReport, *, since_asked: bool) -> None:
    """Print what the numbers do not show."""
    if report.resumed:
        beyond = ", which goes back beyond --since" if since_asked else ""
        say(f"Resumed an earlier sync{beyond}; the numbers include it.")
    if report.dry_run:
        say("A dry run: nothing was changed.")
    elif not report.complete:
        say("The limit ended it before the listing's end; the next sync resumes there.")


def _print_report(output: Output, report: SyncReport, seconds: float) -> None:
    counts = asdict(report.counts)
    del counts["pages"]
    document: dict[str, Any] = {
        "kind": report.kind,
        "complete": report.complete,
        "resumed": report.resumed,
        "dry_run": report.dry_run,
        **counts,
        "seconds": round(seconds, 1),
        "watermark": report.watermark,
    }

    def show(screen: Console) -> None:
        rows = [(name.replace("_", " "), number) for name, number in counts.items()]
        fields = [
            Field(f"{report.kind} sync"),
            Field(figures.span(seconds), look=grouped, right=True, kept=True),
        ]
        screen.print(table(fields, rows, width=screen.width))

    output.document(document, show)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Draw the progress on a terminal, or write a line of it every few seconds."""
    if not is_seen():
        yield _Lines()
        return
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with drawn(*columns, task="sync", shown="asking the Hub") as update:
        began = time.monotonic()
        first: list[int] = []

        def on_progress(what: str, done: int, total: int) -> None:
            if not first:
                first.append(done)
            shown = _progress_text(what, done, began, first[0])
            update(total=total or None, completed=done, shown=shown)

        yield on_progress


class _Lines:
    """Writes the progress of a sync, every EVERY seconds."""

    def __init__(self) -> None:
        self.began = self.written = time.monotonic()
        self.first: int | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self.first is None:
            self.first = done
        now = time.monotonic()
        if now - self.written < EVERY:
            return
        self.written = now
        left = ""
        if total and done > self.first:
            rest = max(total - done, 0) * (now - self.began) / (done - self.first)
            left = f", about {figures.span(rest)} left"
        say(f"sync: {_progress_text(what, done, self.began, self.first)}{left}")


def _progress_text(what: str, done: int, began: float, first: int) -> str:
    rate = (done - first) / max(time.monotonic() - began, 0.001)
    return f"{done:,} records, {rate:,.0f}/s: {what}"
