"""Command `registry evals leaderboard`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, count, output_options
from registry.cli.parameters import AT_LEAST_ONE, COUNT, OneOf
from registry.enums import LicenseClass
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.evaluations.leaderboard import BoardColumn, LeaderboardRow, Ranking


@click.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="A column, all versions or NAME@VERSION; repeatable.  [default: those of most models]",
)
@click.option("--query", metavar="WORDS", help="Only models that a search for this finds.")
@click.option("--family", metavar="MODEL", help="Only models of this model's family.")
@click.option(
    "--license",
    "licenses",
    multiple=True,
    metavar="ID",
    help="Only models under this licence, such as apache-2.0; repeatable.",
)
@click.option(
    "--license-class",
    "license_classes",
    type=OneOf(LicenseClass),
    multiple=True,
    metavar="CLASS",
    help="Only models under licences of this class, such as permissive; repeatable.",
)
@click.option("--min-parameters", type=COUNT, help="Fewest parameters: 7B, 350M.")
@click.option(
    "--max-parameters", type=COUNT, help="Most parameters, by the model's own files, facts or name."
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only models that fulfil a condition on columns of view models.",
)
@click.option("--metric", metavar="NAME", help="Scores by this metric, not the usual one.")
@click.option("--filter", metavar="NAME", help="Scores by this filter, such as strict-match.")
@click.option("--source", metavar="NAME", help="Only scores that this source states.")
@click.option(
    "--variant",
    metavar="NAME",
    help="Only scores of this variant, such as best-of-16; plain is of models alone.",
)
@click.option("--partial", is_flag=True, help="Also models that lack some of the benchmarks.")
@click.option("--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="How many models.")
@output_options
@pass_application
def leaderboard(
    application: Application,
    /,
    output: Output,
    benchmarks: tuple[str, ...],
    where: str | None,
    limit: int,
    *,
    partial: bool,
    **chosen: Any,
) -> None:
    """Rank models by their mean score on benchmarks.

    One score counts per model and benchmark: of the plain model before a system around it (a
    variant, such as best-of-16, which is named where it is all there is), of a complete run before
    a limited one, of a verified one before another, of the main revision, of the latest checkpoint,
    then the newest; docs/sql.md has the whole rule. Names of one benchmark are joined, as far as
    their scores are by one measure. Scores are shares in [0, 1], in tables %, and the average is of
    them. Scores by a measure without bounds (perplexity, ROUGE, Elo, results of the Hub) are raw:
    they are in no average, and rank the models where there is none. By default, the benchmarks are
    up to six of those with most models, as long as half of the models have them all. Ranks have the
    range that standard errors of the scores allow, where these are known. Function `board` is the
    same in SQL.

    \b
    Examples:
      registry evals leaderboard
      registry evals leaderboard --benchmark gsm8k --benchmark arc --limit 50 --format csv
      registry evals leaderboard --family mistralai/Mistral-7B-v0.1
      registry evals leaderboard --benchmark mmlu_pro --license-class permissive --max-parameters 8B
      registry evals leaderboard --benchmark alpaca_eval --metric win_rate --variant plain
      registry evals leaderboard --source "Open LLM Leaderboard v2" --license mit
      registry evals leaderboard --benchmark gsm8k --filter flexible-extract --min-parameters 1B
      registry evals leaderboard --where "created_at > '2025-01-01' AND downloads > 1000"
    """
    from registry.db.query.condition import evaluated_models
    from registry.evaluations.leaderboard import BoardFilters, rank

    low, high = chosen["min_parameters"], chosen["max_parameters"]
    if low is not None and high is not None and low > high:
        raise UsageError("--min-parameters is more than --max-parameters.")
    models = None
    if where is not None:
        with application.engine() as engine:
            models = evaluated_models(engine, where)
    filters = BoardFilters(models=models, **chosen)
    with application.reading() as connection:
        ranking = rank(
            connection, benchmarks=benchmarks, filters=filters, partial=partial, limit=limit
        )
    _print(output, ranking)
    _say_details(ranking)


def _print(output: Output, ranking: Ranking) -> None:
    known = any(row.rank_lower is not None for row in ranking.rows)
    fields = [
        Field("model"),
        Field("rank", right=True, tabled=known),
        Field("rank_lower", "from", right=True, tabled=known),
        Field("rank_upper", "to", right=True, tabled=known),
        Field("variants", kept=True, tabled=any(row.variants for row in ranking.rows)),
        Field(
            "average",
            "average %",
            look=_share,
            right=True,
            tabled=len(ranking.raw) < len(ranking.benchmarks) or not ranking.rows,
            kept=True,
        ),
        *map(_field, ranking.columns),
        count("parameters", "size"),
        Field("license"),
        Field("downloads", tabled=False),
        Field("standard_error", tabled=False),
        Field("tied", tabled=False),
    ]
    rows = (
        [
            row.model,
            row.rank,
            row.rank_lower,
            row.rank_upper,
            list(row.variants),
            row.average,
            *row.scores,
            row.parameters,
            row.license,
            row.downloads,
            row.standard_error,
            row.tied,
        ]
        for row in ranking.rows
    )
    output.rows(fields, rows, empty="No model has scores on all of these benchmarks.")


def _field(column: BoardColumn) -> Field:
    """Return the column of a benchmark: shares in %, or raw scores with their unit."""
    if column.is_share:
        return Field(column.benchmark, f"{column.benchmark} %", look=_share, right=True)
    unit = f" ({column.unit})" if column.unit else ""
    return Field(column.benchmark, f"{column.benchmark}{unit}", look=_raw, right=True, kept=True)


def _say_details(ranking: Ranking) -> None:
    """Print what the table has no room for."""
    for sentence in _about_ranks(ranking.rows):
        say(sentence)
    for column in ranking.raw.values():
        say(_about_raw(column))
    if ranking.incomplete:
        say(
            f"{ranking.incomplete:,} more models have scores on some of these benchmarks only: "
            "--partial shows them too."
        )
    if ranking.inherited:
        say(
            f"{ranking.inherited:,} more models are left out, as their sizes are not known but for "
            "those of their parents or siblings, which are within the limits. "
            '--where "parameters < 8e9" has them too.'
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


def _about_ranks(rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    """Yield what to know of ranks: what their ranges mean, whose are unknown, and who is tied."""
    ranked = [row for row in rows if row.rank is not None]
    unknown = sum(row.rank_lower is None for row in ranked)
    if unknown < len(ranked):
        yield (
            "Ranks from - to are those that standard errors of the scores allow, for all models at"
            " once in 95% of cases."
        )
    if unknown:
        yield (
            f"How sure ranks are is unknown for {unknown:,} of these {len(ranked):,} models: no"
            " standard error of some of their scores is known."
        )
    ties: dict[int, list[str]] = {}
    for row in ranked:
        if row.tied and row.rank is not None:
            ties.setdefault(row.rank, []).append(row.model)
    for rank, models in ties.items():
        if len(models) > 1:
            yield f"Tied at rank {rank}: {', '.join(models)}."


def _about_raw(column: BoardColumn) -> str:
    """Return what to know of raw scores: which are better, or that this is not known."""
    name = column.benchmark
    if column.higher_is_better is None:
        return (
            f"{name}: it is not known whether a higher or a lower {column.metric} is better, so "
            "that models are not ranked by it. Import its files again with --better higher or "
            "--better lower."
        )
    better = "higher" if column.higher_is_better else "lower"
    return (
        f"{name}: raw scores by {column.metric}, {better} is better. No bounds of it are known, "
        "so that they are in no average; import its files again with --scale to state them."
    )


def _raw(value: Any) -> str:
    return "" if value is None else f"{value:g}"


def _share(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f}"
