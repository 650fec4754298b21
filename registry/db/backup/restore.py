"""Restore of a backup into an empty database: one transaction, verified before it is committed."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db import grants, migrate, roles, server, sql
from registry.db.backup import archive, contents, programs, target
from registry.db.backup.archive import BackupError, BackupManifest
from registry.db.backup.script import Script
from registry.db.connection import Setting, driver_connection
from registry.db.embedded import default_data_directory
from registry.db.embedded.cluster import shared_buffers
from registry.db.errors import translated_errors
from registry.db.guard import guarded
from registry.db.locks import Lock, hold
from registry.db.revisions import current_revision, head_revision
from registry.version import __version__
from registry.workers import Progress, no_progress

_LOG_ROOM = 1 << 30
"""Bytes of the server's log that a restore takes at once, at most, beside the database."""


_LEAST_MEMORY = 1 << 29
"""Bytes that an index may be built with in any case, as the server is configured."""


_NUMBERS = r"\d+; \d+ \d+ "
"""Beginning of an entry of an archive; its kind comes next, and later a name that may read so."""


@dataclass(slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        manifest: of the backup.
        created: roles that were created; those that may log in have no password yet.
        left_out: grants that could not be given, a sentence each.
        with_owners: whether objects of users have their owners, else they are the current user's.
    """

    manifest: BackupManifest
    created: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    with_owners: bool = True


def restore(where: Setting, file: Path, *, on_progress: Progress = no_progress) -> Restored:
    """Restore a backup into an empty database, or into one that this creates.

    Args:
        where: the database.
        file: a backup.
        on_progress: receives the rows loaded, and the indexes built.

    Raises:
        BackupError: when the backup cannot be used here, or the database is not empty; it is then
            as it was.
        RegistryError: when the server fails; as before.
    """
    on_progress("reading the manifest", 0, 0)
    manifest = archive.read(file)
    _require_known(file, manifest)
    script = Script(programs.find("pg_restore", manifest.dumped_by), file)
    archive.verify(file, manifest, on_progress=on_progress)
    if where.url is None:
        needed = manifest.size + min(manifest.size, _LOG_ROOM)
        target.require_room(default_data_directory(), needed)
    with target.opened(where) as engine, translated_errors("restore the backup"):
        return _restored(
            engine, manifest, script, embedded=where.url is None, on_progress=on_progress
        )


def _require_known(file: Path, manifest: BackupManifest) -> None:
    """Check that this version knows the schema.

    Raises:
        BackupError: when a newer version made it.
    """
    if manifest.revision is not None and manifest.revision > head_revision():
        raise BackupError(
            f"{file} was made by {archive.PRODUCT} {manifest.made_by} at revision "
            f"{manifest.revision} of the schema, and this version ({__version__}) knows "
            f"{head_revision()}: install that version or a newer one."
        )


def _restored(
    engine: Engine,
    manifest: BackupManifest,
    script: Script,
    *,
    embedded: bool,
    on_progress: Progress,
) -> Restored:
    restored = Restored(manifest)
    try:
        with guarded(engine), engine.begin() as connection:
            # By this transaction, which drops what is locked where the registry was set up.
            hold(connection, Lock.SCHEMA, "restore")
            _require_server(connection, manifest)
            target.empty(connection)
            if embedded:
                _allow_memory(connection)
            _restore_roles(connection, restored)
            _run(connection, script, restored, on_progress)
            _verify(connection, manifest, on_progress)
            _finish(connection, manifest)
    except psycopg.Error as error:
        raise DBAPIError(None, None, error) from error
    if embedded and manifest.revision is not None:
        migrate.reserve_embedded(engine, default_data_directory())
    return restored


def _require_server(connection: Connection, manifest: BackupManifest) -> None:
    here = driver_connection(connection).info.server_version
    if here // 10000 < manifest.server // 10000:
        raise BackupError(
            f"The backup was made on PostgreSQL {manifest.server // 10000}, and this server is "
            f"PostgreSQL {server.version(connection)}: restore it into a server of that version "
            "or a newer one."
        )
    if manifest.revision is not None:
        server.require_extensions(connection)
    target.require_extensions(connection, manifest.extensions)


def _allow_memory(connection: Connection) -> None:
    """Let indexes be built with as much memory as the page cache has: large graphs need it."""
    kilobytes = max(_LEAST_MEMORY, shared_buffers()) >> 10
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{kilobytes}kB'")


def _restore_roles(connection: Connection, restored: Restored) -> None:
    """Create the roles that the server lacks, but no superusers."""
    roles.ensure(connection)
    quoted = connection.dialect.identifier_preparer.quote_identifier
    present = set(connection.scalars(text("SELECT rolname FROM pg_roles")).all())
    for role in restored.manifest.roles:
        if role.name not in present and not role.superuser:
            login = "LOGIN" if role.login else "NOLOGIN"
            if _attempt(connection, f"CREATE ROLE {quoted(role.name)} {login}"):
                restored.created.append(role.name)
                present.add(role.name)
    for role in restored.manifest.roles:
        if role.name in restored.created:
            for above in role.member_of:
                if above in present:
                    _attempt(connection, f"GRANT {quoted(above)} TO {quoted(role.name)}")
    superuser = connection.scalar(
        text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    )
    needed = {restored.manifest.user, *(role.name for role in restored.manifest.roles)}
    restored.with_owners = bool(superuser) and needed <= present


def _run(connection: Connection, script: Script, restored: Restored, on_progress: Progress) -> None:
    """Run the script: definitions, rows, indexes, grants."""
    raw = driver_connection(connection)
    options = ["--no-privileges"] + ([] if restored.with_owners else ["--no-owner"])
    entries = script.entries().split("\n")
    with _listed(entries, _is_defined) as definitions, _listed(entries, _is_grant) as granted:
        script.define(raw, *options, f"--use-list={definitions}")
        loaded = 0

        def on_rows(rows: int) -> None:
            nonlocal loaded
            loaded += rows
            on_progress("loading tables", loaded, restored.manifest.rows)

        script.load(raw, on_rows)
        later = script.steps("--section=post-data", *options)
        for number, step in enumerate(later):
            on_progress("building indexes", number, len(later))
            raw.execute(step)
        restored.left_out = _grant(connection, script.steps(f"--use-list={granted}"))


def _grant(connection: Connection, steps: Sequence[bytes]) -> list[str]:
    """Give the grants of the backup; return those that cannot be given here, a sentence each."""
    failed = []
    for step in steps[1:]:
        try:
            with connection.begin_nested():
                driver_connection(connection).execute(step)
        except psycopg.Error as error:
            statement = step.decode().partition("\n\n")[2].strip().partition("\n")[0]
            failed.append(f"{statement} ({error.diag.message_primary})")
    return failed


def _is_defined(entry: str) -> bool:
    """Return whether to restore an entry: a comment on an extension is its owner's to make."""
    return not re.match(rf"{_NUMBERS}COMMENT - EXTENSION ", entry)


def _is_grant(entry: str) -> bool:
    """Return whether an entry is of grants; those on what is Postgres's own are the server's."""
    own = "pg_catalog |- LANGUAGE "
    return re.match(rf"{_NUMBERS}(?:DEFAULT )?ACL (?!{own})", entry) is not None


@contextmanager
def _listed(entries: Sequence[str], wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the name of a file that lists the wanted entries, as pg_restore reads it."""
    with tempfile.NamedTemporaryFile("w", suffix=".list") as file:
        file.writelines(f"{entry}\n" for entry in entries if entry.startswith(";") or wanted(entry))
        file.flush()
        yield file.name


def _verify(connection: Connection, manifest: BackupManifest, on_progress: Progress) -> None:
    """Compare each table with the backup.

    Raises:
        BackupError: when one differs.
    """
    contents.settle_texts(connection)
    present = {name for name, size in contents.tables(connection).items() if size is not None}
    differing = present ^ manifest.tables.keys()
    verified = 0
    for name, expected in manifest.tables.items():
        on_progress("verifying tables", verified, manifest.rows)
        if name not in differing and contents.contents(connection, name) != expected:
            differing.add(name)
        verified += expected.rows
    if differing:
        raise BackupError(
            f"The restored tables differ from the backup's ({', '.join(sorted(differing)[:5])}): "
            "nothing was changed. Report this."
        )


def _finish(connection: Connection, manifest: BackupManifest) -> None:
    """Give the registry's objects to their owner and reader, and gather statistics."""
    if current_revision(connection) == head_revision() and sql.is_current(connection):
        grants.restore(connection)
    if manifest.tables:
        connection.exec_driver_sql(f"ANALYZE {', '.join(contents.tables(connection))}")


def _attempt(connection: Connection, statement: str) -> bool:
    """Run a statement that the current user may lack the right to run."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True
