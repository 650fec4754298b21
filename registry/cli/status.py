"""`registry status`: counts, and the last runs of jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.output import Field, Output, grouped, output_options, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from registry.db.status import Overview


@click.command()
@output_options
@pass_application
def status(application: Application, output: Output) -> None:
    """Print counts of rows, and how the last jobs ended.

    \b
    Example:
      registry status --format json
    """
    from registry.db import revisions
    from registry.db.status import read_overview

    with application.reading() as connection:
        overview = read_overview(connection)
        revision = revisions.current_revision(connection)
    content: dict[str, Any] = {"database": application.setting().shown, "revision": revision}
    content |= asdict(overview)

    def show(screen: Console) -> None:
        _show(screen, overview, f"{content['database']}, revision {revision}")

    output.document(content, show)


def _show(screen: Console, overview: Overview, where: str) -> None:
    screen.print(f"database  {where}, {overview.size / 2**20:,.0f} MiB", style="bold")
    for title, counts in (
        ("models", overview.models),
        ("edges", overview.edges),
        ("aliases", overview.aliases),
        (
            "others",
            {
                "families of several models": overview.families,
                "rows of history": overview.history,
                "feature vectors": overview.features,
                "benchmarks with evaluations": overview.benchmarks,
                "evaluation runs": overview.runs,
                "outcomes": overview.outcomes,
                "unresolved names in evaluations": overview.unresolved,
                "in quarantine": overview.quarantine,
            },
        ),
    ):
        _show_counts(screen, title, counts)
    _show_embeddings(screen, overview)
    _show_jobs(screen, overview)
    if overview.estimated:
        screen.print(f"estimated: {', '.join(overview.estimated)}", style="dim")


def _show_counts(screen: Console, title: str, counts: Mapping[str, int]) -> None:
    rows = [*counts.items()]
    if title != "others":
        rows.append(("all", sum(counts.values())))
    screen.print()
    fields = [Field(title), Field("number", "", look=grouped, right=True, kept=True)]
    screen.print(table(fields, rows, width=screen.width))


def _show_embeddings(screen: Console, overview: Overview) -> None:
    screen.print()
    version = overview.embeddings
    if version is None:
        screen.print("No version of embeddings is current.")
        return
    screen.print(
        f"embeddings  version {version['version']} ({version['method']}), "
        f"{version['models']:,} models x {version['dimension']}, {version['vectors']:,} vectors "
        f"with those placed later, current since {figures.minute(version['promoted_at'])} UTC"
    )


def _show_jobs(screen: Console, overview: Overview) -> None:
    screen.print()
    jobs = [
        (
            run["job"],
            run["status"],
            run["started_at"],
            figures.span((run["finished_at"] - run["started_at"]).total_seconds())
            if run["finished_at"]
            else "",
        )
        for run in overview.jobs
    ]
    if jobs:
        fields = [Field("last run of"), Field("status"), Field("started (UTC)"), Field("took")]
        screen.print(table(fields, jobs, width=screen.width))
    else:
        screen.print("No job has run yet; `registry sync` imports the models.")
    passes = [
        (
            each["scope"],
            each["kind"],
            each["watermark"],
            each["swept_at"],
            f"{each['pages']:,} pages read" if each["under_way"] else "",
        )
        for each in overview.passes
    ]
    if passes:
        screen.print()
        fields = [
            Field("sync of"),
            Field("kind", kept=True),
            Field("up to (UTC)"),
            Field("last sweep (UTC)"),
            Field("under way"),
        ]
        screen.print(table(fields, passes, width=screen.width))
