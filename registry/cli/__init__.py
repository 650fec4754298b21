"""The command line: one module a command group; each command parses, calls one function, prints.

Modules here import only click, the standard library and each other when they load, so that
`registry --help` answers at once; everything else is imported inside the commands.
"""

import atexit
import gc
import signal
import sys

import click

from registry.cli.application import Application
from registry.cli.db import database
from registry.cli.db.backup import backup, restore
from registry.cli.demo import demo
from registry.cli.doctor import doctor
from registry.cli.domains import domains
from registry.cli.embeddings import embeddings, nearest
from registry.cli.evals import evals
from registry.cli.explain import explain
from registry.cli.failures import RegistryGroup
from registry.cli.jobs import jobs
from registry.cli.lineage import lineage
from registry.cli.models import models
from registry.cli.prediction.predict import predict
from registry.cli.prediction.route import route
from registry.cli.prices import prices
from registry.cli.query import query
from registry.cli.similar import similar
from registry.cli.stats import stats
from registry.cli.status import status
from registry.cli.sync import sync
from registry.cli.train import train
from registry.version import __version__

GC_THRESHOLD = 50_000
"""Objects; about what a command imports. With the default, imports took a sixth more time."""


@click.group(
    cls=RegistryGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--database-url",
    metavar="URL",
    help="Postgres to use: postgresql://user@host:5432/database.  [default: "
    "$REGISTRY_DATABASE_URL, $DATABASE_URL, else the embedded server]",
)
@click.version_option(__version__, prog_name="registry")
@click.pass_context
def registry(ctx: click.Context, database_url: str | None) -> None:
    """The SQL catalog of language models, in Postgres.

    \b
    Examples:
      registry demo                         show the product, on a made-up Hub
      registry sync --author mistralai      import one author's models
      registry models search "llama 8b instruct" --license apache-2.0
      registry query "SELECT license, count(*) FROM models GROUP BY 1 ORDER BY 2 DESC"

    Data goes to stdout, everything else to stderr. Exit codes: 0 done; 1 failed; 2 usage; 3 done,
    but records are quarantined or a trained version is refused; 4 database unreachable or not
    upgraded; 5 another job of the kind runs; 75 try again later; 130 interrupted.

    \b
    Completion (bash; zsh and fish likewise, with zsh_source, fish_source):
      eval "$(_REGISTRY_COMPLETE=bash_source registry)"
    """
    ctx.obj = Application(database_url)


for command in (
    database,
    backup,
    restore,
    status,
    doctor,
    sync,
    models,
    lineage,
    similar,
    embeddings,
    nearest,
    explain,
    predict,
    route,
    domains,
    train,
    evals,
    prices,
    stats,
    query,
    jobs,
    demo,
):
    registry.add_command(command)


def main(*arguments: str) -> None:
    """Run the command line with some arguments, by default those of the process."""
    # Modules are full of cycles: the last collection took a sync 0.35 s.
    gc.set_threshold(GC_THRESHOLD)
    atexit.register(gc.freeze)
    # SIGTERM, which ends services and overdue jobs, has the effect of Ctrl-C: the job is recorded
    # as interrupted, and a server that this process has started stops.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A name outside the terminal's encoding must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    registry(arguments or None, prog_name="registry")
