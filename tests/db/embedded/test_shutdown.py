"""The embedded server is stopped in bounded time, also while it recovers, and loses nothing."""

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from servers import FAST, ROOT, START, kill, on_linux, process, processes_of, query, until

from registry.bounded import waiting
from registry.db import embedded
from registry.db.embedded import directory, postmaster, processes, shutdown, startup
from registry.db.embedded.directory import DataDirectory
from registry.errors import EmbeddedServerError

pytestmark = on_linux


RECOVERS = "database system was interrupted"


class Gate:
    """A recovery that goes on when the gate is opened."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.path = data_dir, data_dir / "gate"
        self._signal = data_dir / "postgres" / "recovery.signal"
        self._offset = DataDirectory(data_dir).log_size()
        self.settings = {
            **FAST,
            "hot_standby": "off",
            "restore_command": f"while test ! -e {self.path}; do sleep 0.02; done; false",
        }

    def open(self) -> None:
        """Let the recovery go on, and later ones be ordinary."""
        self.path.touch()
        self._signal.unlink(missing_ok=True)

    def close(self) -> None:
        """Make the next recovery wait."""
        self._signal.touch()
        owner = self._signal.parent.stat()
        os.chown(self._signal, owner.st_uid, owner.st_gid)

    def crash(self, server: embedded.Server) -> None:
        """Kill a backend, and return when the server recovers."""
        self.close()
        # Its start may have been a recovery, too.
        recoveries = self.log().count(RECOVERS)
        with psycopg.connect(server.url) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            until(lambda: self.log().count(RECOVERS) > recoveries)

    def log(self) -> str:
        """Return what the server has logged in this test."""
        return DataDirectory(self.data_dir).log_since(self._offset)


@pytest.fixture
def gate(data_dir: Path) -> Iterator[Gate]:
    gate = Gate(data_dir)
    try:
        yield gate
    finally:
        gate.open()
        embedded.stop(data_dir)
        gate.path.unlink()


@pytest.fixture
def server(gate: Gate) -> embedded.Server:
    """A server with a table that has been committed."""
    started = embedded.start(gate.data_dir, keep=True, settings=gate.settings)
    query(started, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS value")
    return started


def test_a_command_waits_for_another_that_starts_or_stops_the_server_and_says_so(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)
    monkeypatch.setattr(directory, "_LOCK_LIMIT", 0.3)
    holder = f"another command (process {os.getpid()}), which starts or stops the embedded server"
    with DataDirectory(data_dir).locked():
        for command in (embedded.stop, lambda path: embedded.start(path, keep=True)):
            with pytest.raises(EmbeddedServerError, match=re.escape(f"Nothing was done: {holder}")):
                command(data_dir)
    assert f"Waiting for {holder} (0 s so far" in caplog.text


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def require_kept(data_dir: Path) -> None:
    assert query(embedded.start(data_dir, keep=True, settings=FAST), "SELECT value FROM kept") == 42


def wedge(gate: Gate, server: embedded.Server) -> None:
    """Stop a server as Postgres cannot bear it: while it recovers from a backend's crash."""
    gate.crash(server)
    os.kill(server.pid, signal.SIGINT)
    until(lambda: "received fast shutdown request" in gate.log())
    gate.open()
    time.sleep(0.5)
    found = postmaster.find(gate.data_dir / "postgres")
    assert found is not None
    assert found.status == "stopping"


def test_a_server_that_recovers_is_stopped_when_it_has_recovered(
    gate: Gate,
    server: embedded.Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)
    gate.crash(server)
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5)
        gate.open()
        os._exit(0)
    assert embedded.stop(gate.data_dir)
    os.waitpid(pid, 0)
    assert "which recovers from a crash, before it is stopped" in caplog.text
    assert "received immediate shutdown request" not in gate.log()
    assert processes_of(gate.data_dir) == []
    require_kept(gate.data_dir)


def test_a_server_that_still_starts_is_stopped_as_soon_as_it_has_started(gate: Gate) -> None:
    with process(START, gate.data_dir) as starting:
        until((gate.data_dir / "postgres" / "postmaster.pid").exists)
        starting.kill()
    with within(30):
        assert embedded.stop(gate.data_dir)
    assert "received immediate shutdown request" not in gate.log()


def test_a_server_that_is_killed_while_it_starts_is_started_again(
    gate: Gate, server: embedded.Server
) -> None:
    kill(server)
    gate.close()
    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(embedded.start, gate.data_dir, keep=True, settings=gate.settings)
        until(lambda: RECOVERS in gate.log())
        found = postmaster.find(gate.data_dir / "postgres")
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        gate.open()
        again = started.result(timeout=30)
    assert query(again, "SELECT value FROM kept") == 42
    assert again.pid != found.pid


def test_a_start_that_is_interrupted_leaves_no_server_that_recovers(
    gate: Gate, server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(server)
    gate.close()

    def interrupted(*_: object, **__: object) -> None:
        until(lambda: RECOVERS in gate.log())
        raise KeyboardInterrupt

    monkeypatch.setattr(startup, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.start(gate.data_dir, keep=True, settings=gate.settings)
    assert postmaster.find(gate.data_dir / "postgres") is None
    gate.open()


def test_a_recovery_without_end_does_not_keep_the_server_from_stopping(
    gate: Gate, server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "RECOVERY_LIMIT", 0.3)
    gate.crash(server)
    with within(30):
        # The command of the recovery outlives the server by a moment, in which it is let go.
        end_orphans = shutdown.end_orphans

        def released(directory: DataDirectory) -> None:
            gate.open()
            end_orphans(directory)

        monkeypatch.setattr(shutdown, "end_orphans", released)
        assert embedded.stop(gate.data_dir)
    assert "received fast shutdown request" not in gate.log()
    require_kept(gate.data_dir)


@pytest.mark.parametrize("command", ["running", "stop"])
def test_the_next_command_frees_a_server_that_was_stopped_while_it_recovered(
    gate: Gate,
    server: embedded.Server,
    command: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown, "STILL_LIMIT", 0.5)
    wedge(gate, server)
    with within(30):
        if command == "stop":
            assert embedded.stop(gate.data_dir)
            assert processes_of(gate.data_dir) == []
        else:
            with embedded.running(gate.data_dir, settings=FAST) as again:
                assert (again.started, again.pid != server.pid) == (True, True)
                assert query(again, "SELECT value FROM kept") == 42
    assert "does not stop in order" in caplog.text
    require_kept(gate.data_dir)


def test_a_server_that_another_process_stops_is_waited_for(
    gate: Gate, server: embedded.Server
) -> None:
    os.kill(server.pid, signal.SIGINT)
    again = embedded.start(gate.data_dir, keep=True, settings=FAST)
    assert again.started
    assert "received immediate shutdown request" not in gate.log()
    require_kept(gate.data_dir)


def test_a_suspended_server_is_resumed_and_stopped(gate: Gate, server: embedded.Server) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    until(lambda: processes.is_suspended(server.pid))
    with within(10):
        assert embedded.start(gate.data_dir, keep=True).pid == server.pid
    os.kill(server.pid, signal.SIGSTOP)
    with within(30):
        assert embedded.stop(gate.data_dir)
    assert processes_of(gate.data_dir) == []
    require_kept(gate.data_dir)


def test_a_session_that_does_not_end_is_waited_for_no_longer_than_stated(
    gate: Gate,
    server: embedded.Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(shutdown, "SESSIONS_LIMIT", 1.0)
    with psycopg.connect(server.url) as connection:
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        with within(30):
            assert embedded.stop(gate.data_dir)
    assert "does not stop in order" in caplog.text
    assert processes_of(gate.data_dir) == []
    require_kept(gate.data_dir)


def test_stop_ends_what_a_killed_server_has_left_and_nothing_else(
    gate: Gate, server: embedded.Server
) -> None:
    pgdata = gate.data_dir / "postgres"
    owner = pgdata.stat().st_uid if ROOT else None
    with (
        subprocess.Popen(["sleep", "100"], cwd=pgdata, user=owner) as stranger,
        psycopg.connect(server.url) as connection,
    ):
        try:
            os.kill(connection.info.backend_pid, signal.SIGSTOP)
            kill(server)
            assert len(processes_of(gate.data_dir)) > 1
            assert embedded.stop(gate.data_dir) is False
            assert processes_of(gate.data_dir) == [stranger.pid]
        finally:
            stranger.kill()
    require_kept(gate.data_dir)
