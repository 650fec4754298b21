"""`registry route feedback` and `registry route report`: the log of routers' decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, grouped, output_options, plain
from registry.cli.parameters import OneOf
from registry.enums import ReportPeriod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine

REPORT = (
    Field("period", kept=True),
    Field("model", kept=True),
    Field("decisions", look=grouped, right=True, kept=True),
    Field("share", look=decimals, right=True),
    Field("outcomes", look=grouped, right=True),
    Field("expected", look=decimals, right=True),
    Field("observed", look=decimals, right=True),
    Field("difference", look=decimals, right=True),
    Field("margin", look=decimals, right=True),
    Field("calibration_error", look=decimals, right=True),
    Field("drifted"),
    Field("expected_cost", look=plain, right=True),
)


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that log a decision."""
    for option in (
        click.option(
            "--log-prompt", is_flag=True, help="Log the decision with the text of the prompt."
        ),
        click.option(
            "--log",
            is_flag=True,
            help="Log the decision, with a hash of the prompt, for `registry route report`.",
        ),
    ):
        command = option(command)
    return command


def log_routes(
    engine: Engine,
    prompt: str,
    router: str,
    routes: Sequence[Mapping[str, Any]],
    *,
    with_text: bool = False,
) -> None:
    """Log the first of the models that a router offers, and say its number on stderr."""
    from registry.prediction.routing_log.decisions import log_decisions, of_routes

    decision = of_routes(prompt, router, routes)
    if decision is not None:
        (number,) = log_decisions(engine, [decision], with_text=with_text)
        say(f"Logged as decision {number}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    default="routed-prompts",
    show_default=True,
    metavar="NAME",
    help="Benchmark of the runs that the outcomes become.",
)
@output_options
@pass_application
def feedback(application: Application, file: Path, benchmark: str, output: Output) -> None:
    """Store outcomes of logged decisions, from FILE.

    FILE has JSON lines with outcome, a number in [0, 1], and the decision that it is of: decision,
    its number, or prompt or prompt_hash, for the newest decision on that prompt. Outcomes become
    runs of the models that were chosen, so that trainings learn from them.

    \b
    Example:
      registry route feedback outcomes.jsonl
    """
    from registry.prediction.routing_log.feedback import feed_back, read_feedback

    found = read_feedback(file)
    with application.engine() as engine:
        report = feed_back(engine, found, benchmark=benchmark)
    fields = (Field("outcomes", right=True), Field("runs", right=True), Field("benchmark"))
    output.rows(fields, [[report.outcomes, report.runs, report.benchmark]])


@click.command()
@click.option(
    "--by",
    "period",
    type=OneOf(ReportPeriod),
    default="week",
    show_default=True,
    help="Period of a row.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Decisions from this day on (UTC), as 2026-01-31.",
)
@click.option("--router", metavar="NAME", help="Decisions of this router alone.")
@output_options
@pass_application
def report(
    application: Application,
    period: ReportPeriod,
    since: datetime | None,
    router: str | None,
    output: Output,
) -> None:
    """Report what routers chose, and whether it drifts.

    Of decisions that were logged by `registry route --log`: for each period, and in it for all
    models together and for each, how many there were and what share, and of those whose outcome was
    fed back the mean probability that was stated (expected), the mean outcome (observed) and the
    calibration error. A difference beyond the margin, of 30 outcomes or more, is a drift: train
    again, or feed more outcomes back.

    \b
    Examples:
      registry route report
      registry route report --by day --since 2026-01-31 --format csv
    """
    from dataclasses import asdict
    from datetime import UTC

    from registry.prediction.routing_log.drift import drifts, report_drift

    with application.reading() as connection:
        rows = report_drift(
            connection,
            period=period,
            since=None if since is None else since.replace(tzinfo=UTC),
            router=router,
        )
    found = [asdict(row) for row in rows]
    output.rows(
        REPORT,
        ([row[field.name] for field in REPORT] for row in found),
        empty="No decision was logged; `registry route --log` logs them.",
    )
    for row in drifts(rows):
        say(
            f"Drift in the {period} of {row.period}, {row.model}: {row.observed:.3f} right where "
            f"{row.expected:.3f} was expected (±{row.margin:.3f})."
        )
