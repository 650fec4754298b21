"""The generated Hub in a process of its own: `python -m generated_hub.server --models 1000`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import click

from generated_hub.models import GeneratedModels
from generated_hub.pages import PreparedPages
from registry.demo.hub.listing import ListQuery
from registry.demo.hub.server import HubServer, serve
from registry.errors import HubUnavailableError


@contextmanager
def generated_hub(count: int, *, seed: int = 0, prepare: str | None = None) -> Iterator[str]:
    """Serve `count` generated models from a process of its own; yields the address.

    `prepare` is the query string of a listing to render beforehand, so that serving it takes
    next to no processor time (see PreparedPages).
    """
    command = [
        sys.executable,
        "-m",
        "generated_hub.server",
        "--models",
        str(count),
        "--seed",
        str(seed),
    ]
    with subprocess.Popen(
        [*command, *(["--prepare", prepare] if prepare else [])],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        try:
            assert process.stdout is not None
            if not (url := process.stdout.readline().strip()):
                raise HubUnavailableError("The sample Hub did not start; its own message is above.")
            yield url
        finally:
            process.terminate()


@click.command()
@click.option("--models", "count", type=int, required=True, help="Number of generated models.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--port", type=int, default=0, help="Port on 127.0.0.1 (default: any free one).")
@click.option("--page-limit", type=int, default=1000, show_default=True, help="Models of a page.")
@click.option("--prepare", metavar="QUERY", help="Render this listing first, e.g. sort=createdAt.")
def main(count: int, seed: int, port: int, page_limit: int, prepare: str | None) -> None:
    """Serve generated models and print the address; SIGTERM or Ctrl-C ends it."""
    with PreparedPages(GeneratedModels(count, seed=seed)) as pages:
        if prepare is not None:
            pages.prepare(ListQuery.parse(parse_qs(prepare), page_limit=page_limit))
        serve(HubServer(pages, page_limit=page_limit, rate_limit=None, port=port))


if __name__ == "__main__":
    main()
