"""Embedded servers in processes of their own, to be stopped, suspended and killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from databases import REPOSITORY

from registry.db import embedded

FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root, to act as several users")
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

START = """
import sys
from pathlib import Path
from registry.db import embedded
from registry.errors import EmbeddedServerError
try:
    server = embedded.start(Path(sys.argv[1]), keep=True, settings={"fsync": "off"})
except EmbeddedServerError as error:
    sys.exit(f"refused: {error}")
print(server.pid, server.started)
"""
USE = """
import sys
from pathlib import Path
from registry.db import embedded
with embedded.running(Path(sys.argv[1]), settings={"fsync": "off"}) as server:
    print(server.pid, flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def own_directory() -> Iterator[Path]:
    """Make a directory for an embedded server of one's own; stop that at the end.

    Not pytest's own directory: run by root, the server has an account that cannot go there.
    """
    directory = Path(tempfile.mkdtemp(prefix="registry-own-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        embedded.stop(directory)
        shutil.rmtree(directory)


@contextlib.contextmanager
def process(code: str, data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout
    return running.stdout.readline().strip()


def leave(running: subprocess.Popen[str]) -> None:
    _, said = running.communicate("\n", timeout=60)
    assert running.returncode == 0, said


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def kill(server: embedded.Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: embedded.status(server.data_directory) is None)


def processes_of(data_dir: Path) -> list[int]:
    """Return the processes whose working directory is PGDATA: all of a server, dead ones not."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.joinpath("cwd").samefile(data_dir / "postgres"):
                found.append(int(path.name))
    return found


def query(server: embedded.Server, text: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]
