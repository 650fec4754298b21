"""Command `registry stats anova`."""

from __future__ import annotations

from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.stats.options import (
    frame_options,
    group_options,
    probability,
    say_analysis,
    slice_options,
)

FIELDS = (
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("n", look=grouped, right=True),
    Field("groups", right=True),
    Field("f", "F", look=lambda value: "" if value is None else f"{value:.4g}", right=True),
    Field("df_between", tabled=False),
    Field("df_within", tabled=False),
    Field("p", tabled=False),
    Field("holm", "p", look=probability, right=True, kept=True),
    Field("benjamini_hochberg", tabled=False),
    Field("welch_f", tabled=False),
    Field("welch_df", tabled=False),
    Field("welch_p", tabled=False),
    Field("welch_holm", "p Welch", look=probability, right=True),
    Field("kruskal_h", tabled=False),
    Field("kruskal_p", tabled=False),
    Field("kruskal_holm", "p ranks", look=probability, right=True),
    Field("eta_squared", look=decimals, right=True),
    Field("omega_squared", look=decimals, right=True),
    Field("effect_lower", "from", look=decimals, right=True),
    Field("effect_upper", "to", look=decimals, right=True),
    Field("levene", tabled=False),
    Field("levene_p", "p equal variances", look=probability, right=True),
    Field("skewness", tabled=False),
    Field("kurtosis", tabled=False),
    Field("normality_p", tabled=False),
    Field("verdict", kept=True),
)


@click.command()
@group_options
@slice_options
@output_options
@pass_application
def anova(application: Application, /, *, output: Output, level: float, **chosen: Any) -> None:
    """Test whether groups of models differ, on each benchmark.

    One-way analysis of variance; beside it the tests of Welch, which needs no equal variances, and
    of Kruskal and Wallis, which needs no normal scores. p is corrected for the number of benchmarks
    (Holm). Eta squared is the share of the variance that groups explain, with its interval. The
    verdict is 'differ' where the classic and Welch's test agree.

    \b
    Examples:
      registry stats anova --by size
      registry stats anova --by size --cuts 1,8,30 --benchmark gsm8k
      registry stats anova --by architecture --where "parameters BETWEEN 6e9 AND 9e9" --complete
    """
    require("scipy", "statsmodels", doing="Analysing variance", extra="stats")
    from registry.analysis.listing import listed
    from registry.analysis.report.sections import unequal_variances
    from registry.analysis.statistics.group_differences import run_anova

    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_anova(engine, options, level=level)
    rows = [[getattr(result, field.name) for field in FIELDS] for result in found.results]
    output.rows(FIELDS, rows)
    say_analysis(found.stored)
    if unequal := [each.benchmark for each in unequal_variances(found.results, level)]:
        say(f"Variances differ on {listed(unequal)}: there, Welch's p counts.")
