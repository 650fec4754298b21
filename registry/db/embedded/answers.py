"""Answers of the embedded server: whether it is ready, recovering, starting or stopping."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import pq

from registry.bounded.waiting import attempts
from registry.db.embedded import cluster, postmaster, processes
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.postmaster import Postmaster
from registry.errors import EmbeddedServerError

DATABASE = "registry"


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


# Its messages are in English, as the cluster is initialised.
_RECOVERING = re.compile(r"the database system is (?:starting|not yet|in recovery)")
_SILENT_LIMIT = 10.0  # seconds
_CLOSED = "server closed the connection"  # a crash met this session, and has been mended since
_STOPPING = "the database system is shutting down"


def ask(directory: DataDirectory, process: Postmaster, *, started: bool) -> Server | None:
    """Ask the server itself; None if it is starting or stopping.

    Raises:
        EmbeddedServerError: it refuses, does not answer, or another server answers.
    """
    if process.status != "ready":
        return None
    password = cluster.read_password(directory)
    try:
        with connect(process.port, password) as connection:
            row = connection.execute(
                "SELECT current_setting('data_directory'), current_setting('server_version')"
            ).fetchone()
    except psycopg.Error as error:
        if _is_passing(directory, process, error):
            return None
        runs = f"runs (process {process.pid}, port {process.port})"
        if _ping(process) == pq.Ping.NO_RESPONSE:
            raise EmbeddedServerError(
                f"The embedded server in {directory.root} {runs} but does not answer: `registry db "
                "stop` ends it and loses nothing; the next command starts it."
            ) from error
        raise EmbeddedServerError(
            f"The embedded server in {directory.root} {runs} but rejects the connection: "
            f"{one_line(error)}"
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


def _is_passing(directory: DataDirectory, process: Postmaster, error: psycopg.Error) -> bool:
    """Return whether a failed connection is due to a state that ends: recovering, or ending."""
    if _STOPPING in str(error) or _RECOVERING.search(str(error)):
        return True
    for _ in attempts("Waiting for an answer of the embedded server", _SILENT_LIMIT):
        # One that ends closes its port first.
        if postmaster.find(directory.postgres) != process or processes.is_suspended(process.pid):
            return True
        answer = _ping(process)
        if answer != pq.Ping.NO_RESPONSE:
            return answer == pq.Ping.REJECT or _CLOSED in str(error)
    return False


def _ping(process: Postmaster) -> int:
    return pq.PGconn.ping(f"host=127.0.0.1 port={process.port} connect_timeout=5".encode())


def is_recovering(process: Postmaster) -> bool:
    """Return whether a server starts or recovers: from a power cut, or from a backend's crash."""
    if process.status != "ready":
        return process.status == "starting"
    try:
        with connect(process.port, ""):
            return False
    except psycopg.Error as error:
        # A server that is ready asks for the password first.
        return _RECOVERING.search(str(error)) is not None


def one_line(error: Exception) -> str:
    """Return an error of the driver as part of a sentence."""
    return " ".join(str(error).split())


def connect(port: int, password: str) -> psycopg.Connection[tuple[str, ...]]:
    """Open the database `postgres` as the owner."""
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
