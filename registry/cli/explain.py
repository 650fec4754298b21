"""`registry explain`: what a model's vector rests on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, output_options, table

if TYPE_CHECKING:
    from rich.console import Console

    from registry.embeddings.explain import Explanation

RESTS_ON = (
    Field("name", "rests on", kept=True),
    Field("weight", look=decimals, right=True, kept=True),
    Field("ties", kept=True),
    Field("feature", look=decimals, right=True),
    Field("lineage", look=decimals, right=True),
)


@click.command()
@click.argument("name")
@output_options
@pass_application
def explain(application: Application, name: str, output: Output) -> None:
    """Print what the learned vector of NAME rests on.

    For a model that was not trained on: the trained models that weigh most in the guess, and what
    ties it to them. For one without a vector: why it has none.

    \b
    Example:
      registry explain TheBloke/zephyr-7B-beta-AWQ
    """
    from registry.embeddings.explain import explain

    with application.reading() as connection:
        found = explain(connection, name)

    def show(screen: Console) -> None:
        screen.print(_sentence(found), markup=False, highlight=False, soft_wrap=True)
        if found.rests_on:
            rows = [[row[field.name] for field in RESTS_ON] for row in found.rests_on]
            screen.print(table(RESTS_ON, rows, width=screen.width, on_hidden=say))

    output.document(asdict(found), show)


def _sentence(found: Explanation) -> str:
    told = f"version {found.version}"
    if found.kind == "none":
        return f"{found.model} has no vector of {told}: {found.reason}."
    if found.kind == "trained":
        return f"{found.model} was trained on in {told}: its vector rests on its own outcomes."
    trust = f"support {found.support:.2f}, uncertainty {found.uncertainty:.2f}"
    if found.kind == "folded":
        return (
            f"{found.model} was folded into {told} by its {found.outcomes:,} outcomes, which "
            f"correct a guess from what is known of it ({trust})."
        )
    return f"{found.model} has no outcomes in {told}: a guess from what is known of it ({trust})."
