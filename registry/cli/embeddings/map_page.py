"""`registry embeddings map`: models on a plane, as a page and as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.parameters import AT_LEAST_ONE, SEED
from registry.cli.progress import trainings


@click.command("map")
@click.argument("page", metavar="FILE.html", type=click.Path(path_type=Path))
@click.option(
    "--png", "picture", metavar="FILE", type=click.Path(path_type=Path), help="A picture as well."
)
@click.option("--version", type=AT_LEAST_ONE, help="Of the vectors.  [default: the current one]")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the layout.")
@pass_application
def map_(
    application: Application, page: Path, picture: Path | None, version: int | None, seed: int
) -> None:
    """Draw models on a plane, similar ones close to each other.

    The page needs no network: it names the model under the mouse, searches names, and shows or
    hides architectures. The layout is by t-SNE, which preserves neighbours, not distances.

    \b
    Example:
      registry embeddings map map.html --png map.png
    """
    require("sklearn", "openTSNE", doing="A map")
    with trainings("reading vectors") as on_progress:
        from registry.analysis.embedding_map import draw

        with application.engine() as engine:
            drawn = draw(
                engine,
                page=page,
                picture=picture,
                version=version,
                seed=seed,
                on_progress=on_progress,
            )
    say(f"{len(drawn.names):,} models in {page}" + (f" and {picture}." if picture else "."))
