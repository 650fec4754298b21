"""`registry evals benchmarks`: the benchmarks with evaluations, and their aliases."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry.evaluations.identity.aliases import BenchmarkAlias
    from registry.evaluations.identity.changes import BenchmarkAliasChange


@click.group(invoke_without_command=True)
@output_options
@click.pass_context
def benchmarks(context: click.Context, output: Output) -> None:
    """List the benchmarks with evaluations.

    Each has the name that its source gives it. Names of the same items have one canonical name,
    by which leaderboards join them; `alias` shows and changes these names.

    \b
    Examples:
      registry evals benchmarks
      registry evals benchmarks alias list mmlu_pro
    """
    if context.invoked_subcommand is not None:
        return
    from registry.evaluations.benchmarks import list_benchmarks

    fields = (
        Field("benchmark"),
        Field("version"),
        Field("canonical"),
        Field("prompting", tabled=False),
        Field("metric"),
        Field("filter", tabled=False),
        Field("unit", tabled=False),
        Field("items", look=grouped, right=True),
        Field("runs", look=grouped, right=True),
        Field("domain"),
        Field("url", tabled=False),
    )
    application = context.find_object(Application)
    assert application is not None
    with application.reading() as connection:
        rows = list_benchmarks(connection)
    output.rows(fields, rows, empty="No evaluations were imported yet.")


@benchmarks.group()
def alias() -> None:
    """List, add and remove the names of benchmarks.

    Case, hyphens, underscores and spaces do not count. Names of benchmarks that differ in items or
    scale (subsets, versions, translations) stay apart.

    \b
    Example:
      registry evals benchmarks alias add mmlu_pro our-mmlu-pro
    """


@alias.command("list")
@click.argument("benchmark", required=False)
@output_options
@pass_application
def list_(application: Application, benchmark: str | None, output: Output) -> None:
    """Print the other names of BENCHMARK, or of all.

    \b
    Examples:
      registry evals benchmarks alias list mmlu_pro
      registry evals benchmarks alias list --format csv
    """
    from registry.evaluations.identity.aliases import list_aliases

    with application.reading() as connection:
        aliases = list_aliases(connection, benchmark)
    _print_aliases(output, aliases)


@alias.command()
@click.argument("benchmark")
@click.argument("names", nargs=-1, required=True, metavar="ALIAS...")
@click.option(
    "--variant", metavar="NAME", help="Way of prompting that the names stand for, such as cot."
)
@click.option("--yes", is_flag=True, help="Do not ask before another benchmark's names move along.")
@output_options
@pass_application
def add(
    application: Application,
    benchmark: str,
    names: tuple[str, ...],
    *,
    variant: str | None,
    yes: bool,
    output: Output,
) -> None:
    """Add names to BENCHMARK.

    Benchmarks that are stored by them keep their names, and get its canonical name. If an alias is
    a canonical name that has aliases of its own, these move along; you are asked first.

    \b
    Examples:
      registry evals benchmarks alias add mmlu_pro our-mmlu-pro
      registry evals benchmarks alias add gsm8k our_gsm8k_reasoning --variant cot
    """
    from registry.evaluations.identity.aliases import canonical_name, own_aliases
    from registry.evaluations.identity.changes import change_benchmark_aliases
    from registry.prediction.scores.refresh import refresh_predictions

    with application.reading() as connection:
        moving = own_aliases(connection, canonical_name(connection, benchmark), names)
    if not yes:
        _confirm(benchmark, moving.items())
    with application.engine() as engine:
        change = change_benchmark_aliases(engine, benchmark, added=names, variant=variant)
        predicted = refresh_predictions(engine)
    _report(output, change, predicted)


def _confirm(benchmark: str, moving: Iterable[tuple[str, int]]) -> None:
    for name, aliases in moving:
        statement = f"{name} is a benchmark of its own, with {aliases:,} aliases"
        if not sys.stdin.isatty():
            raise UsageError(f"{statement}. Give --yes to move all of them to {benchmark}.")
        click.confirm(f"{statement}. Move all of them to {benchmark}?", abort=True, err=True)


@alias.command()
@click.argument("benchmark")
@click.argument("names", nargs=-1, required=True, metavar="ALIAS...")
@output_options
@pass_application
def remove(
    application: Application, benchmark: str, names: tuple[str, ...], output: Output
) -> None:
    """Remove names from BENCHMARK.

    Each becomes the name of a benchmark of its own. Of a name that was added in place of a shipped
    one, the shipped one is back.

    \b
    Example:
      registry evals benchmarks alias remove arc_challenge arc
    """
    from registry.evaluations.identity.changes import change_benchmark_aliases
    from registry.prediction.scores.refresh import refresh_predictions

    with application.engine() as engine:
        change = change_benchmark_aliases(engine, benchmark, removed=names)
        predicted = refresh_predictions(engine)
    _report(output, change, predicted)


def _report(output: Output, change: BenchmarkAliasChange, predicted: str | None) -> None:
    _print_aliases(output, change.aliases)
    say(f"Stored as {change.benchmark}: {', '.join(change.names) or 'nothing yet'}.")
    if len(set(change.items.values())) > 1:
        counts = ", ".join(f"{name} {count:,}" for name, count in change.items.items())
        say(f"They differ in their numbers of known items: {counts}.")
    if predicted:
        say(predicted)


def _print_aliases(output: Output, aliases: Sequence[BenchmarkAlias]) -> None:
    output.rows(
        [
            Field("benchmark", whole=True),
            Field("alias", whole=True),
            Field("variant"),
            Field("source"),
            Field("confidence", look=decimals, right=True),
        ],
        aliases,
        empty="The benchmark has no other names.",
    )
