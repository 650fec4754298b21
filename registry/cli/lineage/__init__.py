"""`registry lineage`: trees, ancestors, descendants and paths of models, and problems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import (
    Field,
    Output,
    console,
    decimals,
    grouped,
    output_options,
    printable,
    to_json,
)
from registry.cli.parameters import AT_LEAST_ONE, OneOf
from registry.enums import LineageProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.catalog.lineage_tree import LineageNode


DEEPEST = 100
USUAL_DEPTH = 3


@click.group()
def lineage() -> None:
    """Ancestors and descendants of models.

    \b
    Example:
      registry lineage show mistralai/Mistral-7B-v0.1
    """


@lineage.command()
@click.argument("name")
@click.option(
    "--depth",
    type=click.IntRange(1, DEEPEST),
    help="Steps to follow.  [default: 3 down, all up]",
)
@click.option(
    "--direction",
    type=click.Choice(["up", "down", "both"]),
    default="both",
    show_default=True,
    help="Up to ancestors, down to descendants.",
)
@click.option(
    "--branches",
    type=AT_LEAST_ONE,
    default=10,
    show_default=True,
    help="Branches to show of a node.",
)
@click.option("--all", "everything", is_flag=True, help="Every branch, at any depth.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["tree", "mermaid", "dot", "json"]),
    default="tree",
    show_default=True,
    help="Format of the tree.",
)
@pass_application
def show(
    application: Application,
    /,
    *,
    name: str,
    depth: int | None,
    direction: Literal["up", "down", "both"],
    branches: int,
    everything: bool,
    format_: Literal["tree", "mermaid", "dot", "json"],
) -> None:
    """Draw the tree above and below a model.

    The most downloaded branches are first; those left out are counted.

    \b
    Examples:
      registry lineage show meta-llama/Llama-3.1-8B --depth 2
      registry lineage show org/merge --direction up --format mermaid
      registry lineage show org/model --format dot | dot -Tsvg > lineage.svg
    """
    from registry.catalog.lineage_tree import read_tree
    from registry.cli.lineage import trees

    most = None if everything else branches
    # Readers of JSON limit the depth of nesting.
    deepest = DEEPEST if format_ == "json" else None
    with application.reading() as connection:
        above = read_tree(connection, name, "up", depth=depth or deepest, most=most)
        down_to = depth or (deepest if everything else USUAL_DEPTH)
        below = read_tree(connection, name, "down", depth=down_to, most=most)
    up, down_ = (above if direction != "down" else None), (below if direction != "up" else None)
    match format_:
        case "tree":
            _print_tree(above.name, up, down_)
        case "json":
            content = {
                "name": above.name,
                "state": above.state,
                **({"made_from": trees.document(up).get("branches", [])} if up else {}),
                **({"made_into": trees.document(down_).get("branches", [])} if down_ else {}),
            }
            click.echo(to_json(content, indent=True))
        case "mermaid":
            _print_lines(trees.mermaid(up, down_))
        case "dot":
            _print_lines(trees.dot(up, down_))


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(printable(line))


def _print_tree(name: str, above: LineageNode | None, below: LineageNode | None) -> None:
    from rich.text import Text

    from registry.cli.lineage import trees

    screen = console() if sys.stdout.isatty() else None

    def write(lead: str, name: str, note: str) -> None:
        name = printable(name)
        if screen is None:
            click.echo(f"{lead}{name}{f'  ({note})' if note else ''}")
        else:
            parts = Text.assemble((lead, "dim"), (name, ""), (f"  {note}" if note else "", "cyan"))
            screen.print(parts, soft_wrap=True)

    write("", name, "")
    for title, tree, none in (
        ("made from", above, "nothing known"),
        ("made into", below, "nothing known"),
    ):
        if tree is None:
            continue
        write("", f"{title}:" if tree.branches else f"{title}: {none}", "")
        for line in trees.lines(tree):
            write(line.lead, line.name, line.note)


@lineage.command()
@click.argument("name")
@click.option("--depth", type=AT_LEAST_ONE, help="Steps to follow, at most.")
@output_options
@pass_application
def ancestors(application: Application, name: str, depth: int | None, output: Output) -> None:
    """Print the ancestors of NAME, the nearest first.

    \b
    Example:
      registry lineage ancestors org/merge --format json
    """
    _print_kin(application, output, name, depth, "ancestor")


@lineage.command()
@click.argument("name")
@click.option("--depth", type=AT_LEAST_ONE, help="Steps to follow, at most.")
@output_options
@pass_application
def descendants(application: Application, name: str, depth: int | None, output: Output) -> None:
    """Print the descendants of NAME, the nearest first.

    \b
    Example:
      registry lineage descendants mistralai/Mistral-7B-v0.1 --depth 1 --format quiet | wc -l
    """
    _print_kin(application, output, name, depth, "descendant")


def _print_kin(
    application: Application,
    output: Output,
    name: str,
    depth: int | None,
    kin: Literal["ancestor", "descendant"],
) -> None:
    fields = [
        Field(kin),
        Field("depth", right=True),
        Field("child" if kin == "ancestor" else "parent", "of" if kin == "ancestor" else "from"),
        Field("relation"),
        Field("source"),
        Field("confidence", look=decimals, right=True),
        Field("state"),
    ]
    from registry.catalog.relatives import relatives

    with application.reading() as connection:
        output.rows(
            fields, relatives(connection, name, kin, depth=depth), empty=f"No {kin} is known."
        )


@lineage.command()
@click.argument("a")
@click.argument("b")
@output_options
@pass_application
def path(application: Application, a: str, b: str, output: Output) -> None:
    """Print how two models are related.

    The path leads up from A to the nearest common ancestor, and down to B.

    \b
    Example:
      registry lineage path org/one-finetune org/another
    """
    from registry.catalog.relatives import lineage_path

    with application.reading() as connection:
        steps = lineage_path(connection, a, b)
    output.rows(
        [Field("model"), Field("step", right=True), Field("direction"), Field("relation")],
        steps,
        empty="They share no known ancestor.",
    )


@lineage.command()
@click.option("--problem", type=OneOf(LineageProblem), help="Print the problems of this kind.")
@click.option(
    "--limit", type=AT_LEAST_ONE, default=100, show_default=True, help="Problems to print."
)
@output_options
@pass_application
def check(application: Application, problem: str | None, limit: int, output: Output) -> None:
    """Count the problems of the lineage, or print those of one kind.

    \b
    Examples:
      registry lineage check
      registry lineage check --problem license_drift --limit 20
    """
    from registry.catalog.relatives import count_problems, list_problems

    if problem is None:
        with application.reading() as connection:
            counts = count_problems(connection)
        output.rows([Field("problem"), Field("findings", look=grouped, right=True)], counts.items())
        return
    with application.reading() as connection:
        findings = list_problems(connection, problem, limit=limit + 1)
    output.rows(
        [Field("model"), Field("parent", kept=True), Field("detail", kept=True)],
        findings[:limit],
        empty="None of these.",
    )
    if len(findings) > limit:
        say(f"There are more than {limit:,}; --limit shows them.")
