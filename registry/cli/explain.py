"""`registry explain`: the trained models that a predicted vector is based on."""

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
    Field("name", "based on", kept=True),
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
    """Explain the learned vector of NAME.

    For a model that was not trained on: the trained models with the most weight in its predicted
    vector, and its ties to them. For a model without a vector: the reason.

    \b
    Example:
      registry explain TheBloke/zephyr-7B-beta-AWQ
    """
    from registry.embeddings.explain import explain

    with application.reading() as connection:
        explanation = explain(connection, name)

    def show(screen: Console) -> None:
        screen.print(_sentence(explanation), markup=False, highlight=False, soft_wrap=True)
        if explanation.rests_on:
            rows = [[row[field.name] for field in RESTS_ON] for row in explanation.rests_on]
            screen.print(table(RESTS_ON, rows, width=screen.width, on_hidden=say))

    output.document(asdict(explanation), show)


def _sentence(explanation: Explanation) -> str:
    model, version = explanation.model, f"version {explanation.version}"
    if explanation.kind == "none":
        return f"{model} has no vector in {version}: {explanation.reason}."
    if explanation.kind == "trained":
        return f"{model} was trained on in {version}: its vector is based on its own outcomes."
    trust = f"support {explanation.support:.2f}, uncertainty {explanation.uncertainty:.2f}"
    if explanation.kind == "folded":
        return (
            f"{model} was folded into {version}: its {explanation.outcomes:,} outcomes correct the "
            f"vector predicted from the catalog ({trust})."
        )
    return f"{model} has no outcomes in {version}: its vector is predicted ({trust})."
