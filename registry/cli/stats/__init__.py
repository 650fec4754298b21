"""Commands `registry stats`: stored statistics of scores."""

from __future__ import annotations

import click

from registry.cli.stats.anova import anova
from registry.cli.stats.correlate import correlate
from registry.cli.stats.tukey import tukey


@click.group()
def stats() -> None:
    """Compare groups of models, and correlate benchmarks.

    Results are stored, and are in views analyses, anova, tukey and correlations. The same slice of
    models on the same data is not computed again.

    \b
    Example:
      registry stats anova --by size
    """


for command in (anova, tukey, correlate):
    stats.add_command(command)
