"""Commands `registry domains experts` and `registry domains route`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.domains.classify import given_prompts
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.parameters import AT_LEAST_ONE, COUNT, Finite

_EXPERTS = (
    Field("domain", kept=True),
    Field("model", kept=True),
    Field("score", look=decimals, right=True),
    Field("standard_error", "se", look=decimals, right=True),
    Field("items", look=grouped, right=True),
    Field("price", "$/M", right=True),
    Field("runner_up", "runner-up"),
    Field("why", whole=True),
)

_ROUTES = (
    Field("prompt", kept=True),
    Field("model", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True),
    Field("upper", look=decimals, right=True),
    Field("price", "$/M", right=True),
    Field("expected_cost", "cost $", right=True),
    Field("domain"),
    Field("domain_probability", "of domain", look=decimals, right=True),
    Field("fallback", whole=True),
    Field("confident", tabled=False),
    Field("outcomes", tabled=False),
    Field("score", tabled=False),
    Field("why", tabled=False),
)


@click.command()
@click.option("--set", "domain_set", default="modem", show_default=True, help="Set of domains.")
@click.option("--tier", metavar="SIZE", help="Only models of up to about this size, such as 8B.")
@click.option(
    "--max-price",
    type=Finite(0),
    help="Dollars for a million tokens, three of input to one of output, at most.",
)
@output_options
@pass_application
def experts(
    application: Application,
    domain_set: str,
    tier: str | None,
    max_price: float | None,
    output: Output,
) -> None:
    """Print the expert of each domain, and why.

    A model that is better in a domain than the best general model by no more than one standard
    error of the difference is no expert: the general model is. View `experts` has all tiers.

    \b
    Examples:
      registry domains experts --tier 8B
      registry domains experts --set mmlu_pro --max-price 0.5 --format csv
    """
    from registry.prediction.domains import domain_tables

    with application.reading() as connection:
        output.rows(
            _EXPERTS,
            domain_tables.list_experts(connection, domain_set, tier=tier, max_price=max_price),
            empty="No model has scores in these domains: registry domains train computes them.",
        )


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--prompts",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file of prompts instead: JSON lines with the fields id and prompt.",
)
@click.option("--set", "domain_set", default="modem", show_default=True, help="Set of domains.")
@click.option("--tier", metavar="SIZE", help="Only models of up to about this size, such as 8B.")
@click.option("-k", type=AT_LEAST_ONE, default=1, show_default=True, help="Models for each.")
@click.option(
    "--pool", multiple=True, metavar="MODEL", help="Choose among these; repeatable.  [default: all]"
)
@click.option("--license", metavar="ID", help="Only models under this licence.")
@click.option("--family", metavar="MODEL", help="Only models of the family of this one.")
@click.option("--max-parameters", type=COUNT, metavar="COUNT", help="Weights, at most.")
@click.option("--provider", metavar="NAME", help="Only models that it sells, at its price.")
@click.option("--max-price", type=Finite(0), help="As for `registry domains experts`.")
@click.option(
    "--cost-weight",
    type=Finite(0),
    help="What a dollar of the price is worth in probability; above 0, no expert comes first.",
)
@click.option("--minimum-probability", type=Finite(0, 1), help="Least expected outcome.")
@output_options
@pass_application
def route(
    application: Application,
    /,
    output: Output,
    prompt: str | None,
    path: Path | None,
    **chosen: Any,
) -> None:
    """Print the expert for the domain of PROMPT.

    PROMPT is a text, or `-` to read it from stdin. A prompt whose domain is not certain, or is that
    of all others, goes to the best general model, and column fallback says so. SQL's route_domain
    gives the same.

    \b
    Examples:
      registry domains route "What is the derivative of x^2?" --tier 8B
      registry domains route --prompts prompts.jsonl --max-price 1 --format csv
    """
    from registry.prediction.domains.domain_prompts import route_texts
    from registry.prediction.prompt_texts import naming_lines

    prompts = given_prompts(prompt, path)
    texts = {each.id: each.text for each in prompts}
    k, pool = chosen.pop("k"), chosen.pop("pool")
    options = {name: value for name, value in chosen.items() if value is not None}
    if pool:
        options["pool"] = list(pool)
    with naming_lines(path, prompts), application.engine() as engine:
        found = route_texts(engine, list(texts.values()), k, **options)
    names = [field.name for field in _ROUTES[1:]]
    output.rows(
        _ROUTES,
        (
            [key, *(row[name] for name in names)]
            for key, rows in zip(texts, found, strict=True)
            for row in rows
        ),
    )
