"""A full disk ends with one sentence, and the server works again once there is room."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from servers import FAST, as_root, processes_of, query

from registry.db import embedded
from registry.errors import EmbeddedServerError

pytestmark = as_root
FILL_LOG = (
    "SELECT length(pg_logical_emit_message(true, 'ballast', repeat('x', 1000000), true)::text)"
)


class Disk:
    """A small disk."""

    def __init__(self, path: Path) -> None:
        self.path, self._ballast = path, path / "ballast"

    def fill(self, left: int) -> None:
        """Leave that many bytes."""
        room = os.statvfs(self.path)
        with self._ballast.open("wb") as file:
            file.write(bytes(room.f_bavail * room.f_frsize - left))

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@pytest.fixture
def disk(empty_dir: Path) -> Iterator[Disk]:
    path = empty_dir / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=90m,mode=755", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        yield Disk(path)
    finally:
        with contextlib.suppress(EmbeddedServerError):
            embedded.stop(path)
        subprocess.run(["umount", path], check=True)


def is_one_sentence(error: pytest.ExceptionInfo[EmbeddedServerError], disk: Disk) -> bool:
    said = str(error.value)
    return said.startswith(f"The disk that holds {disk.path} is full: free") and "\n" not in said


def fill_log(server: embedded.Server) -> None:
    """Write to the log of transactions until the server cannot, which ends it."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(1000):
            connection.execute(FILL_LOG)


def fill_with_a_command(disk: Disk) -> None:
    with embedded.running(disk.path, settings=FAST) as server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS value")
        disk.fill(left=8 << 20)
        fill_log(server)


def test_a_command_that_fills_the_disk_says_so_and_the_next_works_once_there_is_room(
    disk: Disk,
) -> None:
    embedded.start(disk.path, keep=False, settings=FAST)
    with pytest.raises(EmbeddedServerError) as ended:
        fill_with_a_command(disk)
    assert is_one_sentence(ended, disk)
    assert processes_of(disk.path) == []
    for _ in range(2):
        with pytest.raises(EmbeddedServerError) as refused, embedded.running(disk.path):
            pass
        assert is_one_sentence(refused, disk)
        assert processes_of(disk.path) == []
    disk.empty()
    with embedded.running(disk.path, settings=FAST) as server:
        assert query(server, "SELECT value FROM kept") == 42


@pytest.mark.parametrize("command", ["start", "stop"])
def test_the_first_command_after_a_full_disk_ended_the_server(disk: Disk, command: str) -> None:
    server = embedded.start(disk.path, keep=True, settings=FAST)
    query(server, "CREATE TABLE kept AS SELECT 42 AS value")
    disk.fill(left=8 << 20)
    with pytest.raises(psycopg.Error):
        fill_log(server)
    if command == "stop":
        embedded.stop(disk.path)
        assert processes_of(disk.path) == []
    with pytest.raises(EmbeddedServerError) as refused:
        embedded.start(disk.path, keep=True, settings=FAST)
    assert is_one_sentence(refused, disk)
    disk.empty()
    again = embedded.start(disk.path, keep=True, settings=FAST)
    assert query(again, "SELECT value FROM kept") == 42
