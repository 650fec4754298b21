import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from registry.demo.generator import generate
from registry.readers import Readers, Task, UnreadableError, read_whole

PAGE = Task(orjson.dumps([*generate(200), {"id": None}, "odd"]), "http://hub/1", "http://hub/2")


def processes(parent: int) -> set[int]:
    """Return the children of a process, whichever of its threads has started them."""
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_process_reads_what_is_read_here() -> None:
    here = read_whole(PAGE)
    with closing(Readers(2)) as readers:
        there = [readers.submit(PAGE) for _ in range(5)]
        for future in there:
            reading = future.result(60)
            assert (reading.url, reading.next_url, reading.size) == (PAGE.url, PAGE.next_url, 202)
            assert reading.sightings == here.sightings
            assert reading.nameless == here.nameless
            assert reading.moments == here.moments
            for name in here.sightings:
                one, other = here.entry(name), reading.entry(name)
                # The lexemes of a search document are a set, written in any order.
                assert one[2:] == other[2:]
                assert sorted(one[1].split()) == sorted(other[1].split())


@pytest.mark.parametrize("body", [b"", b"[", b"<html>", b'{"error": "busy"}', b"\xff"])
def test_a_body_that_is_no_list_of_records_is_told(body: bytes) -> None:
    with closing(Readers(1)) as readers:
        with pytest.raises(UnreadableError):
            readers.submit(PAGE._replace(body=body)).result(60)
        assert readers.submit(PAGE).result(60).size == 202


def test_a_page_is_read_although_its_reader_was_killed() -> None:
    before = processes(os.getpid())
    with closing(Readers(1)) as readers:
        readers.submit(PAGE).result(60)
        (reader,) = processes(os.getpid()) - before
        os.kill(reader, signal.SIGKILL)
        for _ in range(2):
            assert readers.submit(PAGE).result(60).size == 202


def test_readers_end_with_the_one_they_read_for() -> None:
    asked = """
import sys, time
from registry.readers import Readers
readers = Readers(2)
print(*[reader._process.pid for reader in readers._all], flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", asked],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    ) as process:
        assert process.stdout is not None
        readers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(readers) == 2
        assert all(map(alive, readers))
        process.kill()
    until = time.monotonic() + 20
    while any(map(alive, readers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, readers))


def test_readers_are_gone_when_they_are_closed() -> None:
    before = processes(os.getpid())
    with closing(Readers(2)) as readers:
        started = processes(os.getpid()) - before
        assert len(started) == 2
        pending = readers.submit(PAGE)
    assert not any(map(alive, started))
    assert pending.cancelled() or pending.exception(60) is not None or pending.result() is not None
