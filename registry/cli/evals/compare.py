"""Command `registry evals compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.analysis import p_values
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.analysis.paired_scores import PairedScore


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="On this benchmark alone, or NAME@VERSION; repeatable. All, if none is named.",
)
@click.option("--all", "with_all", is_flag=True, help="Compare one model with all others.")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Share of intervals that hold the difference.",
)
@output_options
@pass_application
def compare(
    application: Application,
    output: Output,
    *,
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    with_all: bool,
    level: float,
) -> None:
    """Say which of several models is better.

    Each pair is compared on each benchmark, by the items that both answered. The standard error is
    that of the paired differences, clustered by the items' domains where each item has one; p is
    corrected for the number of comparisons (Holm), and a difference that remains possible by chance
    is a tie. 'detectable' is the least difference that one test of as many items would find with a
    probability of 0.8, not corrected for several.

    \b
    Examples:
      registry evals compare mistralai/Mistral-7B-v0.1 HuggingFaceH4/zephyr-7b-beta
      registry evals compare org/a org/b org/c --benchmark gsm8k
      registry evals compare org/a --all --benchmark gsm8k --format csv
    """
    require("scipy", "statsmodels", doing="Comparing models", extra="stats")
    from registry.analysis import paired_scores

    named = benchmarks or None
    with application.reading() as connection:
        if with_all:
            if len(models) > 1:
                raise click.UsageError("--all compares one model with all others: name one.")
            found = paired_scores.compare_with_all(
                connection, models[0], benchmarks=named, level=level
            )
        else:
            found = paired_scores.compare_pairs(connection, models, benchmarks=named, level=level)
    if not found:
        raise UsageError(
            "They have outcomes on no common item of any benchmark. Name other models."
        )
    _print(output, found)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _probability(value: float | None) -> str:
    return p_values.p_value(value, unknown="")


FIELDS = (
    Field("model", whole=True),
    Field("other", whole=True),
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("items", look=grouped, right=True),
    Field("clusters", tabled=False),
    Field("clustered_by", tabled=False),
    Field("score", look=_share, right=True),
    Field("other_score", look=_share, right=True),
    Field("difference", look=_signed, right=True, kept=True),
    Field("standard_error", tabled=False),
    Field("lower", look=_signed, right=True),
    Field("upper", look=_signed, right=True),
    Field("p_value", tabled=False),
    Field("holm", "p", look=_probability, right=True),
    Field("benjamini_hochberg", tabled=False),
    Field("only_model", tabled=False),
    Field("only_other", tabled=False),
    Field("mcnemar", tabled=False),
    Field("detectable", look=_share, right=True),
    Field("verdict", kept=True),
    Field("caution", tabled=False),
)


def _print(output: Output, found: list[PairedScore]) -> None:
    rows = [[getattr(score, field.name) for field in FIELDS] for score in found]
    output.rows(FIELDS, rows)
    for score in found:
        if score.caution:
            say(f"{score.model} and {score.other} on {score.benchmark}: {score.caution}.")
