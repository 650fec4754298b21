"""`registry demo`: the whole product on a sample Hub, in a minute."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its catalog goes.  [default: beside the data directory]",
)
def demo(directory: Path | None) -> None:
    """Take a tour on a sample of models.

    A sample Hub, a sync, lineage, search, SQL, and made-up evaluations: offline, and without
    touching your own data.
    The catalog of an earlier tour in the same place is replaced.

    \b
    Example:
      registry demo --directory /tmp/registry-demo
    """
    from registry.demo import tour

    tour.run(directory)
