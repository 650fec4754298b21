"""`registry models alias`: the names of a model, and names in evaluations without a model."""

from __future__ import annotations

import shlex
import sys
from dataclasses import astuple
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import AT_LEAST_ONE
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.aliases import AbsorbedStub, Alias
    from registry.catalog.resolution import Unresolved


@click.group()
def alias() -> None:
    """List, add and remove the names of a model.

    Runs of evaluations follow: those that go by a name belong to the model that has the name.

    \b
    Example:
      registry models alias add mistralai/Mistral-7B-v0.1 mistral-7b
    """


@alias.command("list")
@click.argument("model")
@output_options
@pass_application
def list_(application: Application, model: str, output: Output) -> None:
    """Print every name of MODEL, the present one first.

    \b
    Example:
      registry models alias list mistralai/Mistral-7B-v0.1
    """
    from registry.catalog.aliases import list_aliases

    with application.reading() as connection:
        aliases = list_aliases(connection, model)
    _print_aliases(output, aliases)


@alias.command()
@click.argument("model")
@click.argument("names", nargs=-1, required=True, metavar="ALIAS...")
@click.option("--yes", is_flag=True, help="Do not ask before another model's names move along.")
@output_options
@pass_application
def add(
    application: Application, model: str, names: tuple[str, ...], *, yes: bool, output: Output
) -> None:
    """Add names to MODEL.

    The runs that go by them move to it. If an alias is the name of an unlisted model that has names
    of its own, these move along; you are asked first.

    \b
    Examples:
      registry models alias add mistralai/Mistral-7B-v0.1 mistral-7b
      registry models alias add mistralai/Mistral-7B-v0.1 mistral_7b Mistral7B
    """
    from registry.catalog.aliases import absorbed_stubs
    from registry.evaluations.reassignment import change_aliases
    from registry.prediction.scores.refresh import refresh_predictions

    with application.reading() as connection:
        absorbed = absorbed_stubs(connection, model, names)
    if not yes:
        _confirm(model, absorbed)
    with application.engine() as engine:
        change = change_aliases(engine, model, added=names)
        predicted = refresh_predictions(engine)
    _print_aliases(output, change.aliases)
    say(f"{change.gained:,} runs moved to {model}.")
    _report(predicted)
    for each in absorbed:
        names_of_it = " ".join(map(shlex.quote, each.aliases))
        say(
            f"The other names of {each.name} moved along. To remove them: "
            f"registry models alias remove {shlex.quote(model)} {names_of_it}"
        )


def _confirm(model: str, absorbed: Sequence[AbsorbedStub]) -> None:
    for each in absorbed:
        statement = (
            f"{each.name} is a model of its own, with {each.runs:,} runs and the names "
            f"{', '.join(each.aliases)}"
        )
        if not sys.stdin.isatty():
            raise UsageError(f"{statement}. Give --yes to move all of it to {model}.")
        click.confirm(f"{statement}. Move all of it to {model}?", abort=True, err=True)


@alias.command()
@click.argument("model")
@click.argument("names", nargs=-1, required=True, metavar="ALIAS...")
@output_options
@pass_application
def remove(application: Application, model: str, names: tuple[str, ...], output: Output) -> None:
    """Remove names from MODEL.

    The runs that go by them move away from it.

    \b
    Example:
      registry models alias remove mistralai/Mistral-7B-v0.1 mistral-7b
    """
    from registry.evaluations.reassignment import change_aliases
    from registry.prediction.scores.refresh import refresh_predictions

    with application.engine() as engine:
        change = change_aliases(engine, model, removed=names)
        predicted = refresh_predictions(engine)
    _print_aliases(output, change.aliases)
    say(f"{change.lost:,} runs moved away from {model}.")
    _report(predicted)


@alias.command()
@click.option("--limit", type=AT_LEAST_ONE, help="Most names to print.  [default: all]")
@output_options
@pass_application
def unresolved(application: Application, output: Output, limit: int | None) -> None:
    """List the names in evaluations that match no known model.

    Those with most runs come first.

    \b
    Examples:
      registry models alias unresolved
      registry models alias unresolved --limit 20
    """
    from registry.catalog.resolution import list_unresolved

    with application.reading() as connection:
        names = list_unresolved(connection, limit)
    _print_unresolved(output, names)


@alias.command()
@output_options
@pass_application
def resolve(application: Application, output: Output) -> None:
    """Match the unresolved names again, and move their runs.

    Those that remain are listed.

    An import and a sync do so by themselves.

    \b
    Example:
      registry models alias resolve
    """
    from registry.catalog.resolution import list_unresolved
    from registry.evaluations.reassignment import resolve_names
    from registry.prediction.scores.refresh import refresh_predictions

    with application.engine() as engine:
        resolved = resolve_names(engine)
        predicted = refresh_predictions(engine)
    with application.reading() as connection:
        names = list_unresolved(connection)
    say(f"{resolved:,} names were resolved.")
    _report(predicted)
    _print_unresolved(output, names)


def _report(predicted: str | None) -> None:
    if predicted:
        say(predicted)


def _print_aliases(output: Output, aliases: Sequence[Alias]) -> None:
    output.rows(
        [
            Field("alias"),
            Field("source"),
            Field("confidence", right=True),
            Field("valid_from", "from (UTC)"),
            Field("valid_to", "until (UTC)"),
        ],
        map(astuple, aliases),
    )


def _print_unresolved(output: Output, names: Sequence[Unresolved]) -> None:
    output.rows(
        [
            Field("name", whole=True),
            Field("runs", look=grouped, right=True),
            Field("benchmarks", look=grouped, right=True),
            Field("suggestions", "perhaps", whole=True),
        ],
        map(astuple, names),
        empty="Every name in the evaluations is resolved to a known model.",
    )
    if names:
        say("Add one to its model: registry models alias add MODEL NAME")
