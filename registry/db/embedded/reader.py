"""Login of readers of the embedded server: its password beside the owner's, and its limits."""

import secrets
import shutil
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from registry.db import roles
from registry.db.embedded.directory import DataDirectory

CONNECTIONS = 40
"""Sessions of readers at a time, of the 64 that the server has (50 in older data directories)."""

_NOTIFICATIONS = "8192"  # pages of 8 kB
_WORKERS = 8  # processes that may help in parallel plans, and spill to disk as sessions do
_LEAST_SPILL, _MOST_SPILL = 16, 1024  # megabytes that one process may spill to disk


def prepare(connection: Connection, root: Path) -> str:
    """Let the reader's role log in, within limits; return its password.

    Args:
        connection: of the embedded server's owner, to be committed.
        root: the data directory.
    """
    directory = DataDirectory(root.resolve())
    password = _read(directory)
    if password is None:
        password = secrets.token_urlsafe(24)
        directory.write(_path(directory), password)
    roles.let_in(connection, password, CONNECTIONS)
    database = connection.scalar(text("SELECT quote_ident(current_database())"))
    connection.exec_driver_sql(f"ALTER ROLE {roles.READER} RESET ALL")
    connection.exec_driver_sql(f"ALTER ROLE {roles.READER} IN DATABASE {database} RESET ALL")
    # All together spill half of what is free at most.
    free = shutil.disk_usage(directory.root).free >> 20
    spill = min(max(free // (2 * (CONNECTIONS + _WORKERS)), _LEAST_SPILL), _MOST_SPILL)
    roles.limit(connection, roles.READER, spill=spill)
    return password


def bound_notifications(connection: Connection) -> None:
    """Let the queue of notifications take 64 MB of the disk, from the next start: else 8 GB.

    NOTIFY cannot be revoked from readers, and a listener that sleeps keeps all that they send.
    """
    row = connection.execute(
        text("SELECT setting, pending_restart FROM pg_settings WHERE name = :name"),
        {"name": "max_notify_queue_pages"},  # from Postgres 17
    ).one_or_none()
    if row is not None and row.setting != _NOTIFICATIONS and not row.pending_restart:
        connection.exec_driver_sql(f"ALTER SYSTEM SET max_notify_queue_pages = {_NOTIFICATIONS}")


def url(connection: Connection, root: Path) -> URL | None:
    """Return the URL of the reader's login; None where it has none as it was made.

    Args:
        connection: of the owner.
        root: the data directory.
    """
    directory = DataDirectory(root.resolve())
    password = _read(directory)
    if password is None or not _is_of(connection, directory) or not _is_unchanged(connection):
        return None
    return connection.engine.url.set(username=roles.READER, password=password)


def _is_of(connection: Connection, directory: DataDirectory) -> bool:
    served = connection.scalar(
        text(
            "SELECT current_setting('data_directory') FROM pg_roles"
            " WHERE rolname = session_user AND rolsuper"
        )
    )
    return bool(served) and directory.postgres.exists() and directory.postgres.samefile(served)


def _is_unchanged(connection: Connection) -> bool:
    """Return whether the role has the settings that it was given; a role may change its own."""
    settings, here = connection.execute(
        text("""
        SELECT rolconfig, (SELECT setconfig FROM pg_db_role_setting JOIN pg_database d
                               ON d.oid = setdatabase AND d.datname = current_database()
                            WHERE setrole = r.oid)
          FROM pg_roles r WHERE rolname = :name"""),
        {"name": roles.READER},
    ).one()
    if here:
        return False
    found = dict(each.split("=", 1) for each in settings or ())
    found.pop("temp_file_limit", None)
    return found == roles.LIMITS


def _path(directory: DataDirectory) -> Path:
    return directory.root / "postgres.reader"


def _read(directory: DataDirectory) -> str | None:
    try:
        return _path(directory).read_text().strip() or None
    except (FileNotFoundError, UnicodeDecodeError):  # damaged: it is made again
        return None
