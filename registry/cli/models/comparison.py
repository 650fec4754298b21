"""`registry models compare`: models side by side, their shared scores, and their similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.models.portrait import (
    SCORES_SHOWN,
    SCORES_TITLE,
    as_document,
    format_benchmark,
    format_score,
)
from registry.cli.output import Field, Output, decimals, output_options, plain, printable, short
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.profile import Profile

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


COUNTS = ("parameters", "downloads", "likes")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="A B ...")
@output_options
@pass_application
def compare(application: Application, names: tuple[str, ...], output: Output) -> None:
    """Print models side by side and mark where they differ.

    Below are their scores on the benchmarks that all of them have, those with most runs first, and
    the similarity of each pair.

    \b
    Example:
      registry models compare Qwen/Qwen2.5-7B mistralai/Mistral-7B-v0.1
    """
    from registry.catalog.profile import compare_models

    if len(names) < 2:  # noqa: PLR2004
        raise UsageError("Give two models or more to compare.")
    with application.reading() as connection:
        comparison = compare_models(connection, names, benchmarks=SCORES_SHOWN)
    if output.format in {"json", "jsonl"}:
        content = {
            "models": [as_document(profile)["model"] for profile in comparison.profiles],
            "scores": comparison.scores,
            "similarity": comparison.similarity,
        }
        output.document(content, lambda _: None)
        return
    _print_side_by_side(output, comparison.profiles)
    if output.format == "table":
        _print_scores(output, comparison.scores)
        click.echo()
        fields = [_pair_field(name) for name in comparison.similarity[0]]
        output.rows(fields, (list(pair.values()) for pair in comparison.similarity))


def _pair_field(name: str) -> Field:
    if name in {"a", "b"}:
        return Field(name, "", kept=True)
    return Field(
        name,
        look=lambda value: decimals(value) if isinstance(value, float) else plain(value),
        right=True,
    )


def _print_scores(output: Output, scores: Sequence[dict[str, Any]]) -> None:
    if not scores:
        return
    click.echo()
    names = list(scores[0]["scores"])
    output.rows(
        [
            Field("benchmark", SCORES_TITLE, kept=True),
            *(Field(name, printable(name), right=True, kept=True) for name in names),
        ],
        ([format_benchmark(row), *map(format_score, row["scores"].values())] for row in scores),
    )


def _print_side_by_side(output: Output, profiles: Sequence[Profile]) -> None:
    rows: list[list[Any]] = []
    for name in COMPARED:
        values = [profile.model[name] for profile in profiles]
        differs = any(value != values[0] for value in values)
        if output.format == "table":
            look = short if name in COUNTS else plain
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
