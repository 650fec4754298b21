"""`registry nearest`: the models nearest to one by learned vectors, those with outcomes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, grouped, output_options, plain
from registry.cli.parameters import AT_LEAST_ONE, COUNT, OneOf
from registry.enums import MethodName, VectorKind
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.embeddings.versions import EmbeddingVersion

BASES = {
    "both": "of both",
    "one": "of one: a guess",
    "none": "of none: a guess",
}
"""Whose outcomes a distance rests on, by `basis` of `registry.nearest_models`."""

FIELDS = (
    Field("name"),
    Field("distance", look=decimals, right=True, kept=True),
    Field("kind"),
    Field("uncertainty", look=decimals, right=True),
    Field("of_version", "version", look=plain, right=True),
    Field("shared_items", look=grouped, right=True),
    Field("basis", "based on outcomes", look=BASES.__getitem__, kept=True),
)


@click.command()
@click.argument("model")
@click.option(
    "-k",
    type=AT_LEAST_ONE,
    default=10,
    show_default=True,
    help="Most models with outcomes to print, and most predicted ones.",
)
@click.option("--version", type=AT_LEAST_ONE, help="Version to search.  [default: the current one]")
@click.option("--license", metavar="ID", help="Only models under this licence, such as apache-2.0.")
@click.option("--family", metavar="MODEL", help="Only models of this model's family.")
@click.option("--task", help="Only models for this task, such as text-generation.")
@click.option("--min-parameters", type=COUNT, help="Fewest parameters: 7B, 350M.")
@click.option(
    "--max-parameters", type=COUNT, help="Most parameters, by the model's own files, facts or name."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=OneOf(VectorKind),
    help="Only vectors of this kind: trained on outcomes, folded in later from a few, or cold "
    "(predicted from the catalog); repeatable.",
)
@output_options
@pass_application
def nearest(
    application: Application,
    /,
    output: Output,
    model: str,
    k: int,
    kinds: tuple[str, ...],
    **filters: Any,
) -> None:
    """Print the models nearest to MODEL by learned embeddings.

    First the models with outcomes, then those whose vectors are predicted from the catalog (kind
    cold): column `basis` says whether a distance rests on outcomes of both models, of one or of
    none, and `shared_items` on how many items both have outcomes. A distance is about the root mean
    square difference of the two models' probabilities of right answers. `registry similar` compares
    any models by metadata and lineage.

    \b
    Examples:
      registry nearest mistralai/Mistral-7B-v0.1 -k 5
      registry nearest mistralai/Mistral-7B-v0.1 --license apache-2.0 --max-parameters 8B
      registry nearest mistralai/Mistral-7B-v0.1 --kind trained
    """
    from registry.embeddings.judging.sentences import tie_warnings
    from registry.embeddings.read import nearest_by_basis
    from registry.embeddings.versions import read_version

    low, high = filters["min_parameters"], filters["max_parameters"]
    if low is not None and high is not None and low > high:
        raise UsageError("--min-parameters is more than --max-parameters.")
    with application.reading() as connection:
        models = nearest_by_basis(connection, model, k, kinds=kinds or tuple(VectorKind), **filters)
        version = read_version(connection, filters["version"])
    rows = ([row[field.name] for field in FIELDS] for row in models)
    output.rows(FIELDS, rows, empty="No other model with a vector passes the filters.")
    if any(_is_predicted(row) for row in models):
        say(
            f"{model} has no outcomes in version {version.version}: its own vector is predicted, "
            "and each distance is a guess."
        )
    if any(row["basis"] == "both" and not row["shared_items"] for row in models):
        for caution in tie_warnings(version.metrics):
            say(caution)
    if version.dimension == 1 or version.method == MethodName.RASCH:
        say(_level_alone(version))


def _level_alone(version: EmbeddingVersion) -> str:
    """Return what a version that knows models' levels alone does not say, and what would."""
    of = f"Version {version.version} ({version.method})"
    if version.method == MethodName.RASCH:
        known, more = "knows the level of a model alone", "`registry train` learns more"
    else:
        # Other methods learn as many dimensions as there are outcomes for.
        known = "has one dimension, the level of a model"
        more = (
            f"outcomes of more models and items give more (it has {version.models:,} and "
            f"{version.items:,})"
        )
    return f"{of} {known}: it says how good a model is, not what it is good at; {more}."


def _is_predicted(row: dict[str, Any]) -> bool:
    """Return whether the model that was asked for has a predicted vector, by a neighbour's row."""
    return bool(row["basis"] == ("none" if row["kind"] == VectorKind.COLD else "one"))
