"""Command `registry stats factors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.stats.options import (
    frame_options,
    say_analysis,
    seed_option,
    signed,
    slice_options,
)

if TYPE_CHECKING:
    pass

FIELDS = (
    Field("factor", right=True, kept=True),
    Field("eigenvalue", look=decimals, right=True),
    Field("by_chance", look=decimals, right=True),
    Field("kept"),
    Field("share", look=decimals, right=True),
    Field("share_lower", "from", look=decimals, right=True),
    Field("share_upper", "to", look=decimals, right=True),
    Field("rotated_share", look=decimals, right=True),
)

LOADINGS = (
    Field("factor", right=True, kept=True),
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("loading", look=signed, right=True, kept=True),
    Field("lower", "from", look=signed, right=True),
    Field("upper", "to", look=signed, right=True),
    Field("communality", look=decimals, right=True),
)


@click.command()
@click.option("--loadings", is_flag=True, help="Print the loadings of the factors that are kept.")
@slice_options
@seed_option
@output_options
@pass_application
def factors(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    seed: int,
    loadings: bool,
    **chosen: Any,
) -> None:
    """Find the abilities behind scores on many benchmarks.

    Factor analysis of models with a score on each benchmark; factors that explain more than chance
    does are kept (parallel analysis) and rotated (varimax). The share of the first eigenvalue is
    what one general ability explains. Intervals are over resampled models.

    \b
    Examples:
      registry stats factors --where "parameters < 8e9"
      registry stats factors --benchmark arc --benchmark mmlu --benchmark gsm8k --loadings
    """
    require("scipy", "statsmodels", doing="Factor analysis", extra="stats")
    require("sklearn", doing="Factor analysis")
    from registry.analysis.report.sentences import factor_sentence
    from registry.analysis.statistics.ability_factors import run_factors

    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_factors(engine, options, seed=seed, level=level)
    fields, results = (LOADINGS, found.loadings) if loadings else (FIELDS, found.factors)
    output.rows(fields, [[getattr(each, field.name) for field in fields] for each in results])
    say(factor_sentence(found))
    say_analysis(found.stored)
