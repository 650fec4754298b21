"""Backup of a database to a file: one snapshot for its archive and its manifest."""

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db.backup import archive, contents, programs
from registry.db.backup.archive import BackupError, BackupManifest, Contents
from registry.db.connection import driver_connection
from registry.db.errors import translated_errors
from registry.db.revisions import current_revision
from registry.files import new_file
from registry.version import __version__
from registry.workers import Progress, no_progress

_ATTEMPTS = 20
"""Times that tables are listed and locked, where jobs drop some between the two."""

_LOCK_LIMIT = "60s"
"""How long this and pg_dump wait for a table that somebody else has locked, or waits to lock."""

_COMPRESSION = 1
"""Level of gzip. With pg_dump's own, 6, it took twice the time and a tenth less space."""

_DUMPING = re.compile(r'dumping contents of table "(.+)"')
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")


def back_up(
    engine: Engine, target: Path, *, on_progress: Progress = no_progress
) -> tuple[BackupManifest, int]:
    """Write a backup of the whole database; jobs and readers go on meanwhile.

    The file is whole or not there: it is written beside its place, and then renamed.

    Args:
        engine: of the database.
        target: file that does not exist yet.
        on_progress: receives the bytes of tables.

    Returns:
        BackupManifest, and the number of large objects, which are left out.

    Raises:
        UsageError: when the file exists.
        BackupError: when the database has no tables, or pg_dump is missing or fails, as on a full
            disk.
    """
    on_progress("reading the list of tables", 0, 0)
    with (
        new_file(target) as file,
        translated_errors("back up the database"),
        _snapshot(engine) as (connection, tables),
    ):
        if not tables:
            raise BackupError(
                "The database holds no tables, so there is nothing to back up: is it the right one "
                "(--database-url, REGISTRY_DATABASE_URL, REGISTRY_DATA_DIR)?"
            )
        left_out = contents.large_objects(connection)
        manifest = _described(engine, connection, tables, file, on_progress)
        return archive.append(file, manifest, on_progress=on_progress), left_out


@contextmanager
def _snapshot(engine: Engine) -> Iterator[tuple[Connection, Mapping[str, int | None]]]:
    """Yield a transaction that sees one moment, and its tables, which nobody can drop meanwhile."""
    for _ in range(_ATTEMPTS):
        with engine.connect() as connection:
            contents.settle_texts(connection)
            listed = contents.tables(connection)
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with engine.connect().execution_options(**options) as connection:
            # The lock comes first: a transaction's moment is that of its first query.
            if listed and not _locked(connection, listed):
                continue
            contents.settle_texts(connection)
            tables = contents.tables(connection)
            if not tables.keys() <= listed.keys():
                continue
            yield connection, tables
            return
    raise BackupError("Tables come and go all the time; try again when the job is done.")


def _locked(connection: Connection, tables: Mapping[str, int | None]) -> bool:
    """Lock tables against being dropped; return False where one has gone already."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_LIMIT}'")
    try:
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == "42P01":  # undefined table
            return False
        raise
    return True


def _described(
    engine: Engine,
    connection: Connection,
    tables: Mapping[str, int | None],
    file: Path,
    on_progress: Progress,
) -> BackupManifest:
    """Write the archive, and count and fingerprint the same rows meanwhile."""
    version = driver_connection(connection).info.server_version
    program = programs.find("pg_dump", version // 10000)
    described = BackupManifest(
        made_by=__version__,
        made_at=datetime.now(UTC),
        revision=current_revision(connection),
        server=version,
        dumped_by=program.major,
        user=connection.scalar(text("SELECT current_user::text")) or "",
        size=connection.scalar(text("SELECT pg_database_size(current_database())")) or 0,
        extensions=contents.extensions(connection),
        roles=contents.roles(connection),
        tables={},
    )
    command, environment = _command(engine, connection, program, file)
    with programs.running(command, environment=environment) as process:
        dump = _Dump(process, file, tables, on_progress)
        counted = _counted(connection, tables, dump)
        dump.finish()
    return replace(described, tables=counted)


def _counted(
    connection: Connection, tables: Mapping[str, int | None], dump: "_Dump"
) -> Mapping[str, Contents]:
    counted = {}
    for name, size in tables.items():
        if size is not None:
            dump.require_alive()
            counted[name] = contents.contents(connection, name)
    return counted


def _command(
    engine: Engine, connection: Connection, program: programs.Program, file: Path
) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    """Return the call of pg_dump, and its environment."""
    address, environment = programs.connecting(engine.url)
    command: Sequence[str | Path] = (
        program.path, "--format=custom", f"--compress={_COMPRESSION}", "--verbose",
        "--no-password", "--no-blobs", "--no-subscriptions", "--no-publications",
        f"--lock-wait-timeout={_LOCK_LIMIT}",
        f"--snapshot={connection.scalar(text('SELECT pg_export_snapshot()'))}",
        f"--file={file}", f"--dbname={address}",
    )  # fmt: skip
    return command, environment


class _Dump:
    """A pg_dump at work: its progress, and what it complained of."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        file: Path,
        tables: Mapping[str, int | None],
        on_progress: Progress,
    ) -> None:
        self._process, self._file = process, file
        self._sizes = {name: size or 0 for name, size in tables.items()}
        self._on_progress = on_progress
        self._complaints: list[str] = []
        self._reader = Thread(target=self._read, name="pg_dump", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        total, done, current = sum(self._sizes.values()), 0, 0
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            line = raw.decode(errors="replace").strip()
            table = _DUMPING.search(line)
            if table:
                done, current = done + current, self._sizes.get(table[1].replace('"', ""), 0)
                self._on_progress("writing tables", done, total)
            elif "error:" in line or "detail:" in line.lower():
                self._complaints.append(line.partition("error:")[2].strip() or line)

    def require_alive(self) -> None:
        """Raise the error of a pg_dump that has failed already."""
        if self._process.poll():
            self._fail()

    def finish(self) -> None:
        """Wait until it has ended.

        Raises:
            BackupError: when it has failed.
        """
        if self._process.wait():
            self._fail()
        self._reader.join()

    def _fail(self) -> None:
        self._reader.join(timeout=10)
        reason = "; ".join(self._complaints[:3]).rstrip(".") or "it ended without a message"
        too_large = self._process.returncode == -signal.SIGXFSZ
        if too_large or any(words in reason for words in _NO_ROOM):
            raise BackupError(
                f"There is no room for the backup in {self._file.parent}: free some space there "
                "or name a file on another disk. Nothing is left of it."
            )
        raise BackupError(f"The database cannot be backed up; pg_dump says: {reason}.")
