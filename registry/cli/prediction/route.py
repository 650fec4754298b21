"""`registry route`: the models most likely to answer a prompt well."""

from __future__ import annotations

import click

from registry.cli.application import Application, pass_application
from registry.cli.default_command import DefaultCommandGroup
from registry.cli.output import Field, Output, decimals, output_options, plain
from registry.cli.parameters import AT_LEAST_ONE
from registry.cli.prediction.route_evaluate import evaluate
from registry.cli.prediction.route_log import feedback, log_options, log_routes, report
from registry.errors import UsageError

FIELDS = (
    Field("model", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("logit", look=decimals, right=True),
    Field("version", look=plain, right=True),
)


@click.command()
@click.argument("prompt")
@click.option("-k", type=AT_LEAST_ONE, default=3, show_default=True, help="How many.")
@click.option(
    "--pool", multiple=True, metavar="MODEL", help="Choose among these; repeatable.  [default: all]"
)
@log_options
@output_options
@pass_application
def route_prompt(
    application: Application,
    prompt: str,
    k: int,
    pool: tuple[str, ...],
    output: Output,
    *,
    log: bool,
    log_prompt: bool,
) -> None:
    """Print the models most likely to answer PROMPT well.

    PROMPT is a text, or `-` to read it from stdin. The probability is that of a right answer to an
    item like those that the current version of the embeddings was trained on. Nothing is logged
    unless --log or --log-prompt asks for it.

    \b
    Examples:
      registry route "What is the derivative of x^2?"
      registry route - --pool mistralai/Mistral-7B-v0.1 --pool google/gemma-7b < prompt.txt
    """
    from registry.prediction.routing import route as routing

    if prompt == "-":
        prompt = click.open_file("-", errors="replace").read()
    if not prompt.strip():
        raise UsageError("There is no prompt: give a text, or - and a text on stdin.")
    with application.engine() as engine:
        routes = routing.route_prompt(engine, prompt, k, pool=pool or None)
        if log or log_prompt:
            log_routes(engine, prompt, "factorization", routes, with_text=log_prompt)
    output.rows(FIELDS, ([row[field.name] for field in FIELDS] for row in routes))


route = DefaultCommandGroup("route", route_prompt)
for command in (evaluate, feedback, report):
    route.add_command(command)
