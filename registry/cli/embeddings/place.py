"""`registry embeddings place`: vectors of models that were not trained on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.progress import trainings

if TYPE_CHECKING:
    from registry.embeddings.placement import PlacementReport

PLACED = (
    Field("version", right=True, kept=True),
    Field("trained", look=grouped, right=True, kept=True),
    Field("folded", look=grouped, right=True, kept=True),
    Field("cold", look=grouped, right=True, kept=True),
    Field("left_out", look=grouped, right=True, kept=True),
    Field("seconds", look=decimals, right=True),
)


@click.command()
@output_options
@pass_application
def place(application: Application, output: Output) -> None:
    """Give all other models vectors of the current version.

    Models with outcomes are folded in; vectors of the others are predicted from names, sizes,
    authors, families and lineage (cold). Each has its uncertainty; a model of which too little is
    known gets none. `registry train` does this at its end.

    \b
    Example:
      registry embeddings place
    """
    require("scipy", doing="Placing models")
    with trainings("reading the catalog") as on_progress:
        from registry.embeddings import placement

        with application.engine() as engine:
            application.set_up(engine)
            report = placement.place(engine, on_progress=on_progress)
    say_placed(report)
    values = asdict(report)
    output.rows(PLACED, [[values[field.name] for field in PLACED]])


def say_placed(report: PlacementReport | None) -> None:
    """Say what a placement did, where there was one."""
    if report is not None:
        say(f"{report.sentence()[:-1]}; {figures.span(report.seconds)}.")
