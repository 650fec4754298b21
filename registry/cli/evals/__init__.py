"""Commands `registry evals`: import, export and removal of evaluations, leaderboards, plans."""

from __future__ import annotations

import click

from registry.cli.console import say
from registry.cli.evals.benchmarks import benchmarks
from registry.cli.evals.check import check
from registry.cli.evals.compare import compare
from registry.cli.evals.estimate import estimate
from registry.cli.evals.export import export
from registry.cli.evals.import_ import import_
from registry.cli.evals.leaderboard import leaderboard
from registry.cli.evals.plan import plan
from registry.cli.evals.preferences import preferences
from registry.cli.evals.remove import remove
from registry.cli.evals.sources import sources
from registry.cli.output import Field, Output, output_options


@click.group()
def evals() -> None:
    """Import and export evaluations, and rank models by them.

    \b
    Example:
      registry evals import results/
    """


COMMANDS = (
    import_, export, remove, benchmarks, check, compare, preferences, leaderboard, sources, plan,
    estimate,
)  # fmt: skip

for command in COMMANDS:
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
