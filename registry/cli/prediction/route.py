"""`registry route`: the models most likely to answer a prompt well."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.default_command import DefaultCommandGroup
from registry.cli.output import Field, Output, decimals, output_options, plain
from registry.cli.parameters import AT_LEAST_ONE, COUNT, Finite
from registry.cli.prediction.route_evaluate import evaluate
from registry.cli.prediction.route_log import feedback, log_options, log_routes, report
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.prediction.routing.many_prompts import ManyRoutes
    from registry.prediction.routing.route_options import RouteOptions

ROUTERS = ("best", "knn", "factorization", "domain", "best-single", "cheapest", "cascade")

FIELDS = (
    Field("model", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True, kept=True),
    Field("upper", look=decimals, right=True, kept=True),
    Field("price", look=plain, right=True),
    Field("expected_cost", look=plain, right=True),
    Field("score", look=decimals, right=True),
    Field("router"),
    Field("outcomes", look=decimals, right=True),
    Field("compared", look=plain, right=True),
    Field("logit", look=decimals, right=True),
    Field("fallback"),
    Field("version", look=plain, right=True),
)

CASCADE = (
    Field("model", kept=True),
    Field("step", look=plain, right=True),
    Field("asked", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True),
    Field("upper", look=decimals, right=True),
    Field("price", look=plain, right=True),
    Field("expected_cost", look=plain, right=True, kept=True),
    Field("level", look=decimals, right=True),
    Field("reached", look=decimals, right=True),
    Field("router", tabled=False),
    Field("fallback", tabled=False),
    Field("version", look=plain, right=True),
)
"""Columns of the models of a cascade, the cheapest first."""

BATCH = (
    Field("id", kept=True),
    Field("model", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("expected_cost", look=plain, right=True, kept=True),
)

NO_ROUTERS = "The current version has no router but factorization; `registry train` learns them."

_PRICE, _SHARE = Finite(min=0), Finite(min=0, max=1)


def _choice_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all routers share."""
    for option in reversed((
        click.option("--router", type=click.Choice(ROUTERS),
                     help="How to choose.  [default: best, where the version has it]"),
        click.option("--pool", multiple=True, metavar="MODEL",
                     help="Choose among these; repeatable.  [default: all]"),
        click.option("--license", metavar="LICENCE", help="Only models of this licence."),
        click.option("--family", metavar="MODEL", help="Only models of the family of this one."),
        click.option("--max-parameters", type=COUNT, metavar="COUNT",
                     help="Only models of so many parameters at most, such as 8B."),
        click.option("--provider", metavar="NAME", help="Only models that this provider sells."),
        click.option("--max-price", type=_PRICE, metavar="DOLLARS",
                     help="Only models that cost so much at most for a million tokens."),
        click.option("--cost-weight", type=_PRICE, metavar="WEIGHT",
                     help="What a dollar of that price takes from the probability."),
        click.option("--minimum-probability", type=_SHARE, metavar="SHARE",
                     help="Else the best single model, and a line says so."),
        click.option("--neighbours", type=AT_LEAST_ONE, metavar="NUMBER",
                     help="Items that router knn compares a prompt with."),
        click.option("--threshold", type=_SHARE, metavar="SHARE",
                     help="Of router cascade: least probability to ask a model.  [default: 0.9]"),
        click.option("--tier", metavar="SIZE",
                     help="Of router domain: only models of up to about this size, such as 8B."),
        click.option("--domain-set", metavar="NAME",
                     help="Of router domain: the set of domains.  [default: modem]"),
        click.option("--output-tokens", type=_PRICE, metavar="NUMBER",
                     help="Tokens of an answer, for its cost.  [default: a third of the prompt's]"),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("prompt", required=False)
@click.option("-k", type=AT_LEAST_ONE, help="How many models.  [default: 3]")
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Route the prompts of JSON lines with the fields id and prompt.",
)
@_choice_options
@log_options
@output_options
@pass_application
def route_prompt(
    application: Application,
    /,
    *,
    prompt: str | None,
    k: int | None,
    prompts: Path | None,
    router: str | None,
    pool: tuple[str, ...],
    output: Output,
    log: bool,
    log_prompt: bool,
    **choices: Any,
) -> None:
    """Print the models most likely to answer PROMPT well.

    PROMPT is a text, or `-` to read it from stdin; --prompts reads many, and prints one model for
    each. The probability is that of a right answer to an item like those that the current version
    of the embeddings was trained on. Prices are dollars for a million tokens, three of input to one
    of output; a prompt's tokens are estimated from its length. Nothing is logged unless --log or
    --log-prompt asks for it.

    \b
    Examples:
      registry route "What is the derivative of x^2?"
      registry route "Translate: guten Tag" --max-price 0.5 --minimum-probability 0.6
      registry route - --router knn --pool google/gemma-7b --pool org/model < prompt.txt
      registry route "What is the derivative of x^2?" --router domain --tier 8B
      registry route "What is the derivative of x^2?" --router cascade --threshold 0.8
      registry route --prompts prompts.jsonl --cost-weight 0.05 --format csv
    """
    from registry.prediction.routing.route_options import RouteOptions

    of_domain = _domain_options(router, choices)
    options = RouteOptions(pool=pool or None, **choices)
    if prompts is not None:
        if router == "domain":
            raise UsageError("`registry domains route --prompts` routes many prompts by domain.")
        if prompt is not None or log or log_prompt:
            raise UsageError("--prompts reads the prompts: leave PROMPT and --log out.")
        if router == "cascade" or options.threshold is not None:
            raise UsageError("A cascade is of one PROMPT: leave --prompts out.")
        if k is not None:
            raise UsageError("--prompts prints one model for each prompt: leave -k out.")
        _print_many(application, output, prompts, router, options)
        return
    if prompt is None:
        raise UsageError("There is no prompt: give a text, - and a text on stdin, or --prompts.")
    if prompt == "-":
        prompt = click.open_file("-", errors="replace").read()
    _print_one(
        application,
        output,
        prompt,
        (k or (4 if router == "cascade" else 3), router),
        options,
        of_domain=of_domain,
        log=(log, log_prompt),
    )


def _domain_options(router: str | None, choices: dict[str, Any]) -> dict[str, str]:
    """Take the options of router domain out of all, and return those that are given."""
    given = {name: choices.pop(name) for name in ("tier", "domain_set")}
    for name, value in given.items():
        if value is not None and router != "domain":
            raise UsageError(f"--{name.replace('_', '-')} is an option of --router domain.")
    return {name: value for name, value in given.items() if value is not None}


def _check_cascade(router: str | None, options: RouteOptions) -> None:
    """Refuse options that a cascade ignores, and its own ones elsewhere."""
    if router != "cascade":
        if options.threshold is not None:
            raise UsageError("--threshold is an option of --router cascade.")
        return
    for name in ("cost_weight", "minimum_probability"):
        if getattr(options, name) is not None:
            raise UsageError(f"A cascade has --threshold: leave --{name.replace('_', '-')} out.")


def _print_one(
    application: Application,
    output: Output,
    prompt: str,
    chosen: tuple[int, str | None],
    options: RouteOptions,
    *,
    of_domain: dict[str, str],
    log: tuple[bool, bool],
) -> None:
    """Print the models for a prompt."""
    from registry.prediction.domains.domain_prompts import route_by_domain
    from registry.prediction.routing.route import route_by

    k, router = chosen
    _check_cascade(router, options)
    if options.neighbours is not None and router != "knn":
        raise UsageError("--neighbours is an option of --router knn.")
    with application.engine() as engine:
        if router == "domain":
            routed = route_by_domain(engine, prompt, k, options, **of_domain)
        else:
            routed = route_by(engine, prompt, k, router=router, options=options)
        if any(log):
            log_routes(engine, prompt, routed.router, routed.rows, with_text=log[1])
    if router is None and routed.router != "best":
        say(NO_ROUTERS)
    if router == "domain" and routed.rows:
        first = routed.rows[0]
        why = f": {first['why']}" if first["why"] else ""
        say(f"Domain {first['domain']}, at {first['domain_probability']:.2f}{why}.")
    for fallback in {row["fallback"] for row in routed.rows} - {None}:
        say(f"{fallback[0].upper()}{fallback[1:]}.")
    fields = CASCADE if router == "cascade" else FIELDS
    output.rows(fields, ([row.get(field.name) for field in fields] for row in routed.rows))


def _print_many(
    application: Application, output: Output, file: Path, router: str | None, options: RouteOptions
) -> None:
    """Print the model for each prompt of a file."""
    from registry.prediction.prompt_texts import naming_lines
    from registry.prediction.prompts import read_prompts
    from registry.prediction.routing.many_prompts import route_prompts

    prompts = read_prompts(file)
    with naming_lines(file, prompts):
        found = route_prompts(application.database_url, prompts, router=router, options=options)
    output.rows(BATCH, _rows([each.id for each in prompts], found))
    if router is None and found.router != "best":
        say(NO_ROUTERS)
    low = int(found.routes.fallbacks.sum())
    if low:
        say(f"Of {low:,} prompts, {found.routes.fallback}.")


def _rows(ids: Sequence[str], found: ManyRoutes) -> list[list[Any]]:
    names, probabilities, costs = found.routes
    return [
        [id_, name, float(probability), None if isnan(cost) else float(cost)]
        for id_, name, probability, cost in zip(ids, names, probabilities, costs, strict=True)
    ]


route = DefaultCommandGroup("route", route_prompt)
for command in (evaluate, feedback, report):
    route.add_command(command)
