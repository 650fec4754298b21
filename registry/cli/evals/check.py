"""Command `registry evals check`."""

from __future__ import annotations

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import AT_LEAST_ONE, OneOf
from registry.enums import EvaluationProblem


@click.command()
@click.option(
    "--kind", "kinds", multiple=True, type=OneOf(EvaluationProblem), help="This one; repeatable."
)
@click.option("--model", metavar="NAME", help="Problems of this model alone.")
@click.option("--benchmark", metavar="NAME", help="Problems on this benchmark alone.")
@click.option(
    "--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="Problems of a kind to print."
)
@click.option("--strict", is_flag=True, help="Exit with 1 where there is any problem.")
@output_options
@pass_application
@click.pass_context
def check(
    context: click.Context,
    application: Application,
    output: Output,
    *,
    kinds: tuple[str, ...],
    model: str | None,
    benchmark: str | None,
    limit: int,
    strict: bool,
) -> None:
    """Look for what is wrong in evaluations.

    Scores of one model, benchmark and setup that differ by more than their standard errors, scores
    that are not the mean of their outcomes, stand for 'not measured' or mix shares and percentages,
    models with the same outcomes under two names, and items that are held twice or that every model
    or none gets right. Each with its file. Nothing is changed.

    \b
    Examples:
      registry evals check
      registry evals check --kind conflict --benchmark gsm8k --format csv
      registry evals check --kind mean --kind sentinel --strict
    """
    from registry.evaluations.checks import problems

    with application.reading() as connection:
        found = problems.check(
            connection, kinds=kinds, model=model, benchmark=benchmark, limit=limit
        )
    fields = (
        Field("kind"),
        Field("model", whole=True),
        Field("benchmark"),
        Field("version", tabled=False),
        Field("detail", kept=True, whole=True),
        Field("file", whole=True),
        Field("other_model", tabled=False),
        Field("other_file", tabled=False),
        Field("findings", look=grouped, right=True, tabled=False),
    )
    output.rows(fields, found.shown, empty="No problem was found.")
    for kind, count in found.counts.items():
        if count > limit:
            say(f"{count:,} problems of kind {kind}: --kind {kind} --limit {count} shows them all.")
    if strict and any(found.counts.values()):
        context.exit(1)
