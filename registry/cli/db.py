"""`registry db`: the server and its schema."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, output_options
from registry.errors import EmbeddedServerError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.group("db")
def database() -> None:
    """The Postgres server and the schema in it.

    \b
    Example:
      registry db start && registry db upgrade
    """


@database.command()
@pass_application
def start(application: Application) -> None:
    """Start the embedded server and leave it running.

    Without this, a command starts it and stops it again at its end.

    \b
    Example:
      registry db start
    """
    from registry.db import embedded

    server = embedded.start(_embedded_directory(application, "start"), keep=True)
    did = "Started" if server.started else "Already running, and stays so:"
    say(
        f"{did} Postgres {server.version} on port {server.port}, data in {server.data_directory}. "
        "`registry db url` prints how to connect."
    )


@database.command()
@pass_application
def stop(application: Application) -> None:
    """Stop the embedded server, whoever uses it.

    \b
    Example:
      registry db stop
    """
    from registry.db import embedded

    stopped = embedded.stop(_embedded_directory(application, "stop"))
    say("Stopped the embedded server." if stopped else "The embedded server was not running.")


@database.command()
@pass_application
def url(application: Application) -> None:
    """Print the URL that psql connects with.

    It has the password in it.

    \b
    Example:
      psql "$(registry db url)"
    """
    from registry.db import embedded

    where = application.setting()
    if where.url is not None:
        plain = where.url.set(drivername="postgresql")
        click.echo(plain.render_as_string(hide_password=False))
        return
    server = embedded.status(embedded.default_data_directory())
    if server is None:
        raise EmbeddedServerError(
            "The embedded server is not running; start it with `registry db start`."
        )
    click.echo(server.url)


@database.command()
@click.option("--revision", default="head", show_default=True, help="Where to stop.")
@pass_application
def upgrade(application: Application, revision: str) -> None:
    """Bring the schema to the newest revision.

    All of it happens in one transaction, or nothing.

    \b
    Example:
      registry db upgrade
    """
    from registry.db import migrate as migrating

    embedded = application.setting().url is None
    migrate = migrating.upgrade_embedded if embedded else migrating.upgrade
    with application.engine() as engine:
        before, after = migrate(engine, revision)
    _tell_move("Upgraded", before, after)


@database.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask, though tables may be dropped.")
@pass_application
def downgrade(application: Application, revision: str, yes: bool) -> None:
    """Take the schema back to REVISION.

    `base` is nothing at all. Tables that REVISION does not have are dropped with what is in them.

    \b
    Example:
      registry db downgrade 0003 --yes
    """
    from registry.db import migrate as migrating

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("A downgrade drops tables; say --yes if that is meant.")
        click.confirm(f"Drop what revision {revision} does not have?", abort=True, err=True)
    with application.engine() as engine:
        before, after = migrating.downgrade(engine, revision)
    _tell_move("Downgraded", before, after)


@database.command()
@output_options
@pass_application
def current(application: Application, output: Output) -> None:
    """Print the revision that the database is at.

    \b
    Example:
      registry db current --format json
    """
    from registry.db import revisions

    with application.engine() as engine, engine.connect() as connection:
        revision = revisions.current_revision(connection)
    head = revisions.head_revision()
    output.rows(
        [Field("revision"), Field("head"), Field("at_head")], [(revision, head, revision == head)]
    )


@database.command()
@pass_application
def check(application: Application) -> None:
    """Compare the database with this version of the code.

    Its revision, tables, views and functions are looked at.

    \b
    Example:
      registry db check && echo as it should be
    """
    from registry.db import migrate as migrating
    from registry.db import revisions

    with application.engine() as engine:
        migrating.check(engine)
    say(f"The database is at revision {revisions.head_revision()}, as this version has it.")


@database.command()
@pass_application
def dictionary(application: Application) -> None:
    """Print the data dictionary as Markdown.

    Every view, function and column is in it.

    \b
    Example:
      registry db dictionary > dictionary.md
    """
    from registry.db import dictionary as described

    with application.reading() as connection:
        click.echo(described.markdown(connection), nl=False)


def _embedded_directory(application: Application, doing: str) -> Path:
    from registry.db import embedded

    where = application.setting()
    if where.url is not None:
        raise UsageError(
            f"{where.origin} names {where.shown}, which the registry does not {doing}; "
            "leave it out to mean the embedded server."
        )
    return embedded.default_data_directory()


def _tell_move(did: str, before: str | None, after: str | None) -> None:
    if before == after:
        say(f"Nothing to do: the database is at revision {after or 'base'}.")
    else:
        say(f"{did} the database from {before or 'nothing'} to {after or 'nothing'}.")
