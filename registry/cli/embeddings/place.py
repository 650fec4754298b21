"""`registry embeddings place`: vectors for models that the current version was not trained on."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.progress import trainings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from registry.embeddings.placement import PlacementReport
    from registry.embeddings.versions import EmbeddingVersion

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

    Those with outcomes get vectors that fit them, the others a guess from names, sizes, authors,
    families and lineage; each with its uncertainty, and none where too little is known. `registry
    train` ends with it.

    \b
    Example:
      registry embeddings place
    """
    with application.engine() as engine:
        application.set_up(engine)
        placed = place_models(engine)
    told = asdict(placed)
    output.rows(PLACED, [[told[field.name] for field in PLACED]])


def place_models(engine: Engine) -> PlacementReport:
    """Place models with progress on stderr, and say what came of it."""
    require("scipy", doing="Placing models")
    from registry.embeddings.placement import place

    with trainings() as on_progress:
        placed = place(engine, on_progress=on_progress)
    say(f"{placed.sentence()[:-1]}; {figures.span(placed.seconds)}.")
    return placed


def bring_up_to_date(application: Application, version: EmbeddingVersion) -> None:
    """Place models in a version that has become current; those it was placed with stay."""
    # Two models tell nothing of a third.
    if find_spec("scipy") is None or version.models < 3:  # noqa: PLR2004
        return
    from registry.embeddings import refresh

    with application.engine() as engine:
        if version.placed_at is None:
            place_models(engine)
        elif came := refresh.refresh_vectors(engine):
            say(came)
