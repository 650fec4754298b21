"""Command `registry stats tukey`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.stats.options import (
    frame_options,
    group_options,
    integrated_probability,
    say_analysis,
    signed,
    slice_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.analysis.statistics.group_differences import TukeyResult

FIELDS = (
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("group_name", "group", whole=True, kept=True),
    Field("other_group", "other", whole=True, kept=True),
    Field("n", look=grouped, right=True),
    Field("other_n", look=grouped, right=True),
    Field("difference", look=signed, right=True, kept=True),
    Field("lower", look=signed, right=True),
    Field("upper", look=signed, right=True),
    Field("p", look=integrated_probability, right=True),
    Field("games_howell_p", "p Games-Howell", look=integrated_probability, right=True),
    Field("games_howell_lower", tabled=False),
    Field("games_howell_upper", tabled=False),
    Field("anova_p", tabled=False),
    Field("levene_p", tabled=False),
    Field("differs", tabled=False),
    Field("verdict", kept=True),
)

COUNTS = (
    Field("group_name", "group", whole=True),
    Field("other_group", "other", whole=True),
    Field("benchmarks", right=True),
    Field("differ_tukey", right=True),
    Field("differ", right=True),
    Field("higher", right=True),
    Field("lower", right=True),
)


@click.command()
@group_options
@click.option("--counts", is_flag=True, help="Print on how many benchmarks each pair differs.")
@slice_options
@output_options
@pass_application
def tukey(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    counts: bool,
    **chosen: Any,
) -> None:
    """Compare each pair of groups of models, on each benchmark.

    By Tukey's honestly significant difference, and by Games and Howell, which needs no equal
    variances; both are corrected for the number of pairs. The verdict says how the first group
    compares, by the one that fits the variances. --counts prints on how many benchmarks each pair
    differs: by the classic procedure (Tukey after an analysis of variance), and by the verdict.

    \b
    Examples:
      registry stats tukey --by size
      registry stats tukey --by architecture --counts
      registry stats tukey --by type --where "parameters < 8e9" --format csv
    """
    require("scipy", "statsmodels", doing="Comparing groups", extra="stats")
    from registry.analysis.statistics.group_differences import run_tukey

    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_tukey(engine, options, level=level)
    if counts:
        output.rows(COUNTS, _counts(found.results))
    else:
        rows = [[getattr(result, field.name) for field in FIELDS] for result in found.results]
        output.rows(FIELDS, rows)
    say_analysis(found.stored)


def _counts(results: Sequence[TukeyResult]) -> Iterator[list[Any]]:
    """Yield the rows of view tukey_counts, those that differ most often first."""
    tested: Counter[tuple[str, str]] = Counter()
    classic, higher, lower = Counter(tested), Counter(tested), Counter(tested)
    for each in results:
        pair = each.group_name, each.other_group
        tested[pair] += 1
        classic[pair] += bool(each.differs)
        higher[pair] += each.verdict == "higher"
        lower[pair] += each.verdict == "lower"
    for pair in sorted(tested, key=lambda pair: (-higher[pair] - lower[pair], pair)):
        differ = higher[pair] + lower[pair]
        yield [*pair, tested[pair], classic[pair], differ, higher[pair], lower[pair]]
