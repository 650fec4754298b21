"""`registry jobs`: scheduled jobs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.output import Field, Output, output_options


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled command."""

    name: str
    schedule: str
    command: str
    purpose: str


KNOWN = (
    Job("sync", "17 * * * *", "sync", "import new and changed models, every hour"),
    Job("sweep", "23 3 * * 0", "sync --full", "find vanished models, every Sunday"),
    Job(
        "train",
        "41 4 * * *",
        "train --if-changed",
        "train on new outcomes and place new models, every night",
    ),
)


@click.group()
def jobs() -> None:
    """Scheduled jobs.

    \b
    Example:
      registry jobs list
    """


@jobs.command("list")
@output_options
@pass_application
def list_(application: Application, output: Output) -> None:
    """Print each job with its last run.

    \b
    Example:
      registry jobs list --format json
    """
    from registry.db.status import last_runs

    with application.reading() as connection:
        last = {run["job"]: run for run in last_runs(connection)}
    runs: dict[str, dict[str, Any]] = {**{job.name: {} for job in KNOWN}, **last}
    schedules = {job.name: job.schedule for job in KNOWN}
    rows = [
        (
            name,
            schedules.get(name),
            run.get("status"),
            run.get("started_at"),
            _seconds(run),
            run.get("summary"),
        )
        for name, run in runs.items()
    ]
    output.rows(
        [
            Field("job"),
            Field("schedule"),
            Field("status"),
            Field("started_at", "started (UTC)"),
            Field(
                "seconds", "took", look=lambda value: "" if value is None else figures.span(value)
            ),
            Field("summary", kept=True),
        ],
        rows,
    )


@jobs.command()
@click.argument("name", type=click.Choice([job.name for job in KNOWN]))
@click.pass_context
def run(ctx: click.Context, name: str) -> None:
    """Run a job now, as its schedule would.

    \b
    Example:
      registry jobs run sync
    """
    job = next(job for job in KNOWN if job.name == name)
    command, *arguments = job.command.split()
    program = ctx.find_root().command
    assert isinstance(program, click.Group)
    scheduled = program.get_command(ctx, command)
    assert scheduled is not None
    with scheduled.make_context(command, arguments, parent=ctx.parent) as context:
        scheduled.invoke(context)


@jobs.command()
def crontab() -> None:
    """Print lines to paste into `crontab -e`.

    \b
    Example:
      (crontab -l; registry jobs crontab) | crontab -
    """
    program = _program()
    click.echo("# llm-registry; times are local. Exit codes: 3 where records are quarantined or a")
    click.echo("# trained version is refused, 5 while another run is under way,")
    click.echo("# 75 where the Hub limits the rate; the next run resumes there.")
    if os.environ.get("REGISTRY_DATA_DIR"):
        click.echo(f"REGISTRY_DATA_DIR={os.environ['REGISTRY_DATA_DIR']}")
    if os.environ.get("REGISTRY_DATABASE_URL") or os.environ.get("DATABASE_URL"):
        # Not copied: it may hold a password, and this output may go anywhere.
        click.echo("# Set REGISTRY_DATABASE_URL here, as it is in your environment.")
    if endpoint := os.environ.get("HF_ENDPOINT"):
        # With another Hub's listing, models of this one would count as vanished.
        hidden = "@" in endpoint
        click.echo("# Set HF_ENDPOINT here, too." if hidden else f"HF_ENDPOINT={endpoint}")
    if os.environ.get("HF_TOKEN"):
        click.echo(
            "# HF_TOKEN is not copied: log in by `hf auth login`, or set it in this crontab."
        )
    for job in KNOWN:
        click.echo(f"# {job.name}: {job.purpose}{_lacking(job)}")
        click.echo(f"{job.schedule} {program} {job.command}".replace("%", r"\%"))


def _lacking(job: Job) -> str:
    if job.name != "train" or find_spec("torch") is not None:
        return ""
    return "; needs pip install 'llm-registry[train]'"


def _program() -> str:
    path = shutil.which("registry")
    return shlex.quote(path) if path else f"{shlex.quote(sys.executable)} -m registry"


def _seconds(run: dict[str, Any]) -> float | None:
    if not run or run["finished_at"] is None:
        return None
    return float((run["finished_at"] - run["started_at"]).total_seconds())
