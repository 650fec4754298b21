"""`registry models`: search, one model in full, a comparison of several, and aliases."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.models.alias import alias
from registry.cli.models.comparison import compare
from registry.cli.models.portrait import as_document, draw
from registry.cli.output import Field, Output, count, day, output_options
from registry.cli.parameters import AT_LEAST_ONE, COUNT, MOMENT, OneOf
from registry.enums import ModelState, SearchOrder
from registry.errors import UsageError

MATCHES = (
    Field("name"),
    Field("author", tabled=False),
    Field("state", tabled=False),
    count("parameters", "size"),
    Field("license"),
    Field("pipeline_tag", "task"),
    Field("library", tabled=False),
    count("downloads"),
    count("likes"),
    Field("trending_score", tabled=False),
    Field("created_at", tabled=False),
    Field("last_modified", "modified", look=day),
    Field("family_root", "family"),
)


@click.group()
def models() -> None:
    """Search, show and compare models; edit their aliases.

    \b
    Example:
      registry models search "llama 8b instruct"
    """


models.add_command(alias)
models.add_command(compare)


@models.command()
@click.argument("query", required=False)
@click.option(
    "--license",
    "licenses",
    multiple=True,
    metavar="ID",
    help="Licence, such as apache-2.0; repeatable: any.",
)
@click.option("--min-parameters", type=COUNT, help="Fewest weights: 7B, 350M.")
@click.option(
    "--max-parameters", type=COUNT, help="Most weights, by the model's own files, facts or name."
)
@click.option("--task", help="Task, such as text-generation.")
@click.option("--library", help="Library, such as transformers.")
@click.option("--author", help="Organisation or user.")
@click.option("--family", metavar="MODEL", help="Models of this model's family.")
@click.option("--tag", "tags", multiple=True, help="Tag; repeatable: all.")
@click.option("--architecture", help="Class, model type, or family of types: qwen for qwen2_moe.")
@click.option("--quantization", help="Method, such as gguf, gptq, awq, or awq-4bit; or none.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=OneOf(ModelState),
    help="State; repeatable: any.",
)
@click.option("--created-after", type=MOMENT, help="Created on the Hub at or after this moment.")
@click.option("--created-before", type=MOMENT, help="Created before.")
@click.option("--modified-after", type=MOMENT, help="Last changed at or after this moment.")
@click.option("--modified-before", type=MOMENT, help="Last changed before.")
@click.option(
    "--sort",
    type=OneOf(SearchOrder),
    help="Highest or newest first.  [default: relevance with a QUERY, name with --state stub, "
    "else downloads]",
)
@click.option("--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="How many.")
@output_options
@pass_application
def search(application: Application, /, output: Output, **filters: Any) -> None:
    """Find models by words and filters.

    \b
    Examples:
      registry models search "mistral instruct" --max-parameters 8B --license apache-2.0
      registry models search --task text-generation --sort trending --limit 5
      registry models search --family meta-llama/Llama-3.1-8B --quantization gguf --format quiet
    """
    from registry.catalog.search import SearchFilter, search_models

    low, high = filters["min_parameters"], filters["max_parameters"]
    if low is not None and high is not None and low > high:
        raise UsageError("--min-parameters is more than --max-parameters.")
    with application.reading() as connection:
        matches = search_models(connection, SearchFilter(**filters))
    output.rows(MATCHES, map(astuple, matches), empty="No model matches.")


@models.command()
@click.argument("name")
@output_options
@pass_application
def show(application: Application, name: str, output: Output) -> None:
    """Print everything known about one model.

    NAME is its present name, a former name or another alias.

    \b
    Example:
      registry models show mistralai/Mistral-7B-v0.1
    """
    from registry.catalog.profile import read_profile

    with application.reading() as connection:
        profile = read_profile(connection, name)
    if profile.model["name"] != name:
        say(f"{name} is now {profile.model['name']}.")
    output.document(as_document(profile), lambda screen: draw(screen, profile))
