"""Commands `registry stats`: stored statistics of scores."""

from __future__ import annotations

import click

from registry.cli.stats.anova import anova
from registry.cli.stats.correlate import correlate
from registry.cli.stats.factors import factors
from registry.cli.stats.gam import gam
from registry.cli.stats.map import map_models
from registry.cli.stats.mixed import mixed
from registry.cli.stats.report import report
from registry.cli.stats.saturation import saturation
from registry.cli.stats.scaling import scaling
from registry.cli.stats.tukey import tukey


@click.group()
def stats() -> None:
    """Find what explains scores: groups of models, and abilities.

    Results are stored, and are in view analyses and one for each kind. The same slice of
    models on the same data is not computed again.

    \b
    Example:
      registry stats anova --by size
    """


for command in (
    anova, tukey, correlate, gam, mixed, factors, map_models, scaling, saturation, report,
):  # fmt: skip
    stats.add_command(command)
