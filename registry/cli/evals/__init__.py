"""Commands `registry evals`: import, export and removal of evaluations, and leaderboards."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.evals.benchmarks import benchmarks
from registry.cli.evals.export import export
from registry.cli.evals.import_ import import_
from registry.cli.evals.remove import remove
from registry.cli.output import Field, Output, count, output_options
from registry.cli.parameters import AT_LEAST_ONE

if TYPE_CHECKING:
    from registry.evaluations.leaderboard import Ranking, RawMeasure


@click.group()
def evals() -> None:
    """Import and export evaluations, and rank models by them.

    \b
    Example:
      registry evals import results/
    """


for command in (import_, export, remove, benchmarks):
    evals.add_command(command)


@evals.command()
@output_options
def mappings(output: Output) -> None:
    """List the built-in mappings of tables, for --mapping.

    \b
    Example:
      registry evals mappings
    """
    from registry.evaluations.formats.tables import load_mapping, presets

    output.rows(
        [Field("mapping"), Field("about", whole=True, kept=True)],
        ([name, load_mapping(name).about] for name in presets()),
    )


@evals.command()
@output_options
def formats(output: Output) -> None:
    """List the formats of files, for --as.

    The last but the tables are those that installed packages add.

    \b
    Example:
      registry evals formats
    """
    from registry.evaluations.formats.detect import Reader

    output.rows(
        [Field("format"), Field("files", whole=True, kept=True)],
        Reader(on_problem=say).descriptions(),
    )


@evals.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="A column, all versions or NAME@VERSION; repeatable.  [default: those of most models]",
)
@click.option("--query", metavar="WORDS", help="Only models that a search for this finds.")
@click.option("--family", metavar="MODEL", help="Only models of this model's family.")
@click.option("--partial", is_flag=True, help="Also models that lack some of the benchmarks.")
@click.option("--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="How many models.")
@output_options
@pass_application
def leaderboard(application: Application, /, output: Output, **chosen: Any) -> None:
    """Rank models by their mean score on benchmarks.

    One score counts per model and benchmark: of the plain model before a system around it (a
    variant, such as best-of-16, which is named where it is all there is), of a complete run before
    a limited one, of a verified one before another, of the main revision, of the latest checkpoint,
    then the newest; docs/sql.md has the whole rule. Names of one benchmark are joined, as far as
    their scores are by one measure. Scores are shares in [0, 1], in tables %, and the average is of
    them. Scores by a measure without bounds (perplexity, ROUGE, Elo, results of the Hub) are raw:
    they are in no average, and rank the models where there is none. By default, the benchmarks are
    up to six of those with most models, as long as half of the models have them all.

    \b
    Examples:
      registry evals leaderboard
      registry evals leaderboard --benchmark gsm8k --benchmark arc --limit 50 --format csv
      registry evals leaderboard --family mistralai/Mistral-7B-v0.1
    """
    from registry.evaluations.leaderboard import rank

    with application.reading() as connection:
        ranking = rank(connection, **chosen)
    fields = [
        Field("model"),
        Field("variants", kept=True, tabled=any(row.variants for row in ranking.rows)),
        Field(
            "average",
            "average %",
            look=_share,
            right=True,
            tabled=len(ranking.raw) < len(ranking.benchmarks) or not ranking.rows,
            kept=True,
        ),
        *(_score(each, ranking) for each in ranking.benchmarks),
        count("parameters", "size"),
        Field("license"),
        Field("downloads", tabled=False),
    ]
    rows = (
        [
            row.model,
            list(row.variants),
            row.average,
            *row.scores,
            row.parameters,
            row.license,
            row.downloads,
        ]
        for row in ranking.rows
    )
    output.rows(fields, rows, empty="No model has scores on all of these benchmarks.")
    for name, measure in ranking.raw.items():
        say(_about_raw(name, measure))
    if ranking.incomplete:
        say(
            f"{ranking.incomplete:,} more models have scores on some of these benchmarks only: "
            "--partial shows them too."
        )
    if ranking.passed_over:
        say(
            "Not among these benchmarks, as too few of the models have them: "
            f"{', '.join(ranking.passed_over)}. Name benchmarks by --benchmark to rank by others."
        )
    for name, names in ranking.joined.items():
        say(f"{name} joins the scores that are stored as {', '.join(names)}.")
    for name, others in ranking.apart.items():
        say(f"Not in {name}, as they have another measure: {', '.join(others)}.")
    for name, models in ranking.twins.items():
        say(
            f"{name} is another benchmark, with {models:,} models: "
            f"registry evals leaderboard --benchmark {shlex.quote(name)}"
        )


def _score(benchmark: str, ranking: Ranking) -> Field:
    """Return the column of a benchmark: shares in %, or raw scores with their unit."""
    measure = ranking.raw.get(benchmark)
    if measure is None:
        return Field(benchmark, f"{benchmark} %", look=_share, right=True)
    unit = f" ({measure.unit})" if measure.unit else ""
    return Field(benchmark, f"{benchmark}{unit}", look=_raw, right=True, kept=True)


def _about_raw(name: str, measure: RawMeasure) -> str:
    """Return what to know of raw scores: which are better, or that this is not known."""
    if measure.higher_is_better is None:
        return (
            f"{name}: it is not known whether a higher or a lower {measure.metric} is better, so "
            "that models are not ranked by it. Import its files again with --better higher or "
            "--better lower."
        )
    better = "higher" if measure.higher_is_better else "lower"
    return (
        f"{name}: raw scores by {measure.metric}, {better} is better. No bounds of it are known, "
        "so that they are in no average; import its files again with --scale to state them."
    )


def _raw(value: Any) -> str:
    return "" if value is None else f"{value:g}"


def _share(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f}"
