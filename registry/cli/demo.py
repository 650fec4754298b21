"""`registry demo`: the whole product on made-up models, in a minute."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave the database of the tour for a look around.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to put it.  [default: a temporary folder]",
)
def demo(keep: bool, directory: Path | None) -> None:
    """Take a tour on a sample of models.

    A sample Hub, a sync, searches, lineage and SQL; nothing of yours is touched.

    \b
    Example:
      registry demo --keep --directory /tmp/registry-demo
    """
    from registry.demo import tour

    tour.run(directory=directory, keep=keep)
