"""`registry backup` and `registry restore`: the whole database in a file, and back."""

from __future__ import annotations

import time
from pathlib import Path

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_application
def backup(application: Application, file: Path) -> None:
    """Write the whole database to FILE, which must not exist yet.

    It is of one moment; jobs and readers go on meanwhile. pg_restore reads FILE, too.

    \b
    Example:
      registry backup "registry-$(date +%F).backup"
    """
    from registry.cli.progress import trainings

    began = time.monotonic()
    with trainings("opening the database") as on_progress, application.engine() as engine:
        from registry.db.backup.dump import back_up

        manifest, left_out = back_up(engine, file, on_progress=on_progress)
    say(
        f"Backed up {manifest.rows:,} rows of {len(manifest.tables):,} tables to {file}: "
        f"{figures.short(file.stat().st_size)} bytes, in {figures.span(time.monotonic() - began)}."
    )
    if left_out:
        say(f"{left_out:,} large objects are left out: the registry has none, and these are yours.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_application
def restore(application: Application, file: Path) -> None:
    """Restore the database from FILE, a backup.

    The database must be empty; one that the server does not have is created. Every table is
    verified. All of it happens, or nothing.

    \b
    Example:
      registry restore registry-2026-11-30.backup
    """
    from registry.cli.progress import trainings

    began = time.monotonic()
    with trainings("opening the file") as on_progress:
        from registry.db.backup.restore import restore as restored_from

        restored = restored_from(application.setting(), file, on_progress=on_progress)
    manifest = restored.manifest
    say(
        f"Restored and verified {manifest.rows:,} rows of {len(manifest.tables):,} tables, as of "
        f"{figures.minute(manifest.made_at)} UTC, in {figures.span(time.monotonic() - began)}."
    )
    _say_of_roles(restored.created, restored.left_out, with_owners=restored.with_owners)
    _say_of_revision(manifest.revision)


def _say_of_roles(created: list[str], left_out: list[str], *, with_owners: bool) -> None:
    if created:
        say(
            f"Created the roles {', '.join(created)}, as the backup has them; passwords are no "
            "part of it: ALTER ROLE name PASSWORD '...'."
        )
    if not with_owners:
        say("Objects other than the registry's belong to you: their owners are not on this server.")
    for sentence in left_out:
        say(f"Left out: {sentence}")


def _say_of_revision(revision: str | None) -> None:
    from registry.db.revisions import head_revision

    if revision is not None and revision != head_revision():
        say(f"It is at revision {revision}; bring it to {head_revision()}: registry db upgrade")
