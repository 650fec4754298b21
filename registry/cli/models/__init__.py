"""`registry models`: find models, look at one, compare some, name them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import astuple
from itertools import combinations
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.models.portrait import (
    SCORES_SHOWN,
    SCORES_TITLE,
    as_document,
    draw,
    tell_benchmark,
    tell_score,
)
from registry.cli.output import (
    Field,
    Output,
    count,
    day,
    decimals,
    grouped,
    output_options,
    plain,
    printable,
)
from registry.cli.parameters import AT_LEAST_ONE, COUNT, MOMENT, OneOf
from registry.enums import ModelState, SearchOrder
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.catalog.aliases import Belongings
    from registry.catalog.profile import Profile


FOUND = (
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

COMPARED = (
    "state",
    "license",
    "parameters",
    "architecture",
    "model_type",
    "pipeline_tag",
    "library",
    "quantization",
    "languages",
    "family_root",
    "generation",
    "downloads",
    "downloads_all_time",
    "likes",
    "created_at",
    "last_modified",
    "tags",
)


@click.group()
def models() -> None:
    """Find models, look at one, compare some.

    \b
    Example:
      registry models search "llama 8b instruct"
    """


@models.command()
@click.argument("query", required=False)
@click.option(
    "--license",
    "licenses",
    multiple=True,
    metavar="ID",
    help="Such as apache-2.0; repeatable: any.",
)
@click.option("--min-parameters", type=COUNT, help="At least so many weights: 7B, 350M.")
@click.option("--max-parameters", type=COUNT, help="At most so many weights.")
@click.option("--task", help="Such as text-generation.")
@click.option("--library", help="Such as transformers.")
@click.option("--author", help="Organisation or user.")
@click.option("--family", metavar="MODEL", help="Models of this model's family.")
@click.option("--tag", "tags", multiple=True, help="With this tag; repeatable: all.")
@click.option("--architecture", help="Class, model type or its family: qwen for qwen2_moe.")
@click.option("--quantization", help="Method, such as gguf, gptq, awq, or awq-4bit; or none.")
@click.option(
    "--state", "states", multiple=True, type=OneOf(ModelState), help="Repeatable: any of them."
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
def search(application: Application, /, output: Output, **wanted: Any) -> None:
    """Find models by words and by what they are.

    \b
    Examples:
      registry models search "mistral instruct" --max-parameters 8B --license apache-2.0
      registry models search --task text-generation --sort trending --limit 5
      registry models search --family meta-llama/Llama-3.1-8B --quantization gguf --format quiet
    """
    from registry.catalog.search import SearchFilter, search_models

    low, high = wanted["min_parameters"], wanted["max_parameters"]
    if low is not None and high is not None and low > high:
        raise UsageError("--min-parameters is more than --max-parameters.")
    with application.reading() as connection:
        found = search_models(connection, SearchFilter(**wanted))
    output.rows(FOUND, map(astuple, found), empty="No model is like that.")


@models.command()
@click.argument("name")
@output_options
@pass_application
def show(application: Application, name: str, output: Output) -> None:
    """Print all that is known of one model.

    NAME is any name of it: its present one, a former one, an alias.

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


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="A B ...")
@output_options
@pass_application
def compare(application: Application, names: tuple[str, ...], output: Output) -> None:
    """Put models side by side and mark where they differ.

    Below are their scores on the benchmarks that all of them have, those of most runs, and how
    alike each two are.

    \b
    Example:
      registry models compare Qwen/Qwen2.5-7B mistralai/Mistral-7B-v0.1
    """
    from registry.catalog.profile import read_profile, shared_scores, similarity

    if len(names) < 2:  # noqa: PLR2004
        raise UsageError("Give two models or more to compare.")
    with application.reading() as connection:
        profiles = [read_profile(connection, name, similar=0) for name in names]
        present = list(dict.fromkeys(profile.model["name"] for profile in profiles))
        if len(present) < len(names):
            raise UsageError("Two of the names stand for the same model; give different ones.")
        pairs = [
            {"a": a, "b": b, **similarity(connection, a, b)} for a, b in combinations(present, 2)
        ]
    scores = shared_scores(profiles, SCORES_SHOWN)
    if output.format in {"json", "jsonl"}:
        content = {
            "models": [as_document(profile)["model"] for profile in profiles],
            "scores": scores,
            "similarity": pairs,
        }
        output.document(content, lambda _: None)
        return
    _print_side_by_side(output, profiles)
    if output.format == "table":
        _print_scores(output, scores)
        click.echo()
        fields = [_pair_field(name) for name in pairs[0]]
        output.rows(fields, (list(pair.values()) for pair in pairs))


def _pair_field(name: str) -> Field:
    if name in {"a", "b"}:
        return Field(name, "", kept=True)
    return Field(
        name,
        look=lambda value: decimals(value) if isinstance(value, float) else plain(value),
        right=True,
    )


def _print_scores(output: Output, scores: list[dict[str, Any]]) -> None:
    if not scores:
        return
    click.echo()
    names = list(scores[0]["scores"])
    output.rows(
        [
            Field("benchmark", SCORES_TITLE, kept=True),
            *(Field(name, printable(name), right=True, kept=True) for name in names),
        ],
        ([tell_benchmark(row), *map(tell_score, row["scores"].values())] for row in scores),
    )


def _print_side_by_side(output: Output, profiles: list[Profile]) -> None:
    looks = {field.name: field.look for field in FOUND if field.name != "last_modified"}
    rows: list[list[Any]] = []
    for name in COMPARED:
        values = [profile.model[name] for profile in profiles]
        differs = any(value != values[0] for value in values)
        if output.format == "table":
            look = looks.get(name, plain)
            rows.append([name, "≠" if differs else "", *(look(value) for value in values)])
        else:
            rows.append([name, differs, *values])
    output.rows(
        [
            Field("field", ""),
            Field("differs", "", kept=True),
            *(
                Field(profile.model["name"], printable(profile.model["name"]), kept=True)
                for profile in profiles
            ),
        ],
        rows,
    )


@models.command()
@click.argument("name", required=False)
@click.option("--add", "added", multiple=True, metavar="ALIAS", help="Add a name; repeatable.")
@click.option("--remove", "removed", multiple=True, metavar="ALIAS", help="Take a name away.")
@click.option(
    "--unresolved",
    is_flag=True,
    help="List the names in evaluations that stand for no known model.",
)
@click.option("--resolve", is_flag=True, help="Look for those names again, and move their runs.")
@click.option("--yes", is_flag=True, help="Do not ask, though a model's other names move along.")
@output_options
@pass_application
def alias(application: Application, /, name: str | None, output: Output, **asked: Any) -> None:
    """Print, add and remove names of a model.

    Evaluations that go by a name move to the model that it is given to. If it is the name of a
    model that has other names, these move along, which is asked about first.

    \b
    Examples:
      registry models alias mistralai/Mistral-7B-v0.1
      registry models alias mistralai/Mistral-7B-v0.1 --add mistral-7b
      registry models alias --unresolved
    """
    changes = (asked["added"], asked["removed"])
    of_all = asked["unresolved"] or asked["resolve"]
    if name is None and (any(changes) or not of_all):
        raise UsageError("Name a model, or ask for --unresolved names.")
    if name is None:
        _print_unresolved(application, output, resolve=asked["resolve"])
    elif of_all:
        raise UsageError("--unresolved and --resolve are about all names; leave the model out.")
    else:
        moving = _moving(application, name, asked["added"], sure=asked["yes"])
        _print_aliases(application, name, changes, output)
        _say_names(name, moving)


def _moving(
    application: Application, name: str, added: tuple[str, ...], *, sure: bool
) -> list[Belongings]:
    """Return what moves along of models that become aliases, once somebody has agreed."""
    from registry.catalog import names as model_names
    from registry.catalog.aliases import belongings

    if not added:
        return []
    with application.reading() as connection:
        key = model_names.model_id(connection, name)
        found = [each for alias in added if (each := belongings(connection, key, alias))]
    for each in () if sure else found:
        told = (
            f"{each.name} is a model of its own, with {each.runs:,} runs and the names "
            f"{', '.join(each.aliases)}"
        )
        if not sys.stdin.isatty():
            raise UsageError(f"{told}. Say --yes if all of it is to move to {name}.")
        click.confirm(f"{told}. Move all of it to {name}?", abort=True, err=True)
    return found


def _say_names(name: str, moved: list[Belongings]) -> None:
    for each in moved:
        removing = " ".join(f"--remove {shlex.quote(alias)}" for alias in each.aliases)
        say(
            f"The other names of {each.name} moved along. To take them away: "
            f"registry models alias {shlex.quote(name)} {removing}"
        )


def _print_aliases(
    application: Application,
    name: str,
    changes: tuple[tuple[str, ...], tuple[str, ...]],
    output: Output,
) -> None:
    from registry.catalog import names as model_names
    from registry.catalog.aliases import list_aliases
    from registry.evaluations.reassignment import AliasChange, change_aliases

    added, removed = changes
    if added or removed:
        with application.engine() as engine:
            change = change_aliases(engine, name, added=added, removed=removed)
    else:
        with application.reading() as connection:
            change = AliasChange(list_aliases(connection, model_names.model_id(connection, name)))
    output.rows(
        [
            Field("alias"),
            Field("source"),
            Field("confidence", right=True),
            Field("valid_from", "from (UTC)"),
            Field("valid_to", "until (UTC)"),
        ],
        map(astuple, change.aliases),
    )
    if removed:
        say(f"{change.lost:,} runs moved away from {name}.")
    if added:
        say(f"{change.gained:,} runs moved to {name}.")


def _print_unresolved(application: Application, output: Output, *, resolve: bool) -> None:
    from registry.catalog.resolution import list_unresolved
    from registry.evaluations.reassignment import resolve_names

    if resolve:
        with application.engine() as engine:
            say(f"{resolve_names(engine):,} names were resolved.")
    with application.reading() as connection:
        names = list_unresolved(connection)
    output.rows(
        [
            Field("name", whole=True),
            Field("runs", look=grouped, right=True),
            Field("benchmarks", look=grouped, right=True),
            Field("suggestions", "perhaps", whole=True),
        ],
        map(astuple, names),
        empty="Every name in the evaluations stands for a known model.",
    )
    if names:
        say("Give one to its model: registry models alias MODEL --add NAME")
