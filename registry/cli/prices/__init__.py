"""Commands `registry prices`: import of price lists, prices of models, and their changes."""

from __future__ import annotations

import click

from registry.cli.prices.changes import changes
from registry.cli.prices.import_ import import_
from registry.cli.prices.listing import list_, show


@click.group()
def prices() -> None:
    """Import and list what models cost, and what changed.

    \b
    Example:
      registry prices import https://models.dev/api.json
    """


for command in (import_, show, list_, changes):
    prices.add_command(command)
