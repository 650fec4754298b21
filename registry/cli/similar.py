"""`registry similar`: the models most similar to one."""

from __future__ import annotations

from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.output import Field, Output, count, decimals, output_options, plain
from registry.cli.parameters import AT_LEAST_ONE


@click.command()
@click.argument("name")
@click.option("-k", type=AT_LEAST_ONE, default=10, show_default=True, help="How many.")
@output_options
@pass_application
def similar(application: Application, name: str, k: int, output: Output) -> None:
    """Print the models most similar to NAME by metadata and lineage.

    \b
    Example:
      registry similar mistralai/Mistral-7B-v0.1 -k 5
    """
    from registry.catalog.profile import similar_models

    with application.reading() as connection:
        models = similar_models(connection, name, k)
    print_similar(output, models)


def print_similar(output: Output, models: list[dict[str, Any]]) -> None:
    """Write rows of `registry.similar_models`."""
    names = list(models[0]) if models else ["model"]
    output.rows(
        [field_of(name) for name in names],
        (list(row.values()) for row in models),
        empty="No model is similar: nothing is known of it to compare.",
    )


def field_of(name: str) -> Field:
    """Return the output field of a column of similar models."""
    if name in {"parameters", "downloads", "likes"}:
        return count(name)
    numeric = name in {"feature", "lineage", "combined", "learned", "similarity"}
    return Field(name, look=decimals if numeric else plain, right=numeric)
