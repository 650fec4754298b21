import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from generated_hub.models import generate

from registry.catalog.rows import Entry
from registry.hub.decode import PART, decode_page
from registry.sync.page import RecordPage, read, read_body
from registry.sync.readers import Readers, ReadTask, UnreadableError

PAGE = ReadTask(orjson.dumps([*generate(200), {"id": None}, "odd"]), "http://hub/1", "http://hub/2")


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
    here = PAGE.perform()
    with closing(Readers(2)) as readers:
        there = [readers.submit(PAGE) for _ in range(5)]
        for future in there:
            page = future.result(60)
            assert (page.url, page.next_url, page.size) == (PAGE.url, PAGE.next_url, 202)
            assert page.listing_rows == here.listing_rows
            assert page.nameless == here.nameless
            assert page.moments == here.moments
            for name in here.listing_rows:
                one, other = here.row(name), page.row(name)
                assert one == other


@pytest.mark.parametrize(
    "odd",
    [b"7", b"NaN", b'"\\ud800"', b"1e400", b'"\xff"', b"123456789012345678901234567890"],
    ids=["plain", "nan", "surrogate", "infinite", "no utf-8", "digits"],
)
def test_a_page_read_from_its_body_is_the_page_read_at_once(odd: bytes) -> None:
    records = [*generate(2 * PART), {"id": None}, {"id": "a/b", "sha": "\0"}, 7]
    large = b', {"id": "odd/one", "cardData": {"n": 123456789012345678901234567890, "x": %b}}]'
    body = orjson.dumps(records)[:-1] + large % odd
    late, whole = read_body(body), read(decode_page(body))
    assert list(late.listing_rows.items()) == list(whole.listing_rows.items())
    assert "odd/one" in late.listed
    assert (late.nameless, late.moments, late.names) == (
        whole.nameless, whole.moments, whole.names,
    )  # fmt: skip
    some = [*late.listed][PART - 2 : PART + 3]
    assert late.rows(some) == whole.rows(some)
    for name in whole.listing_rows:
        assert late.row(name) == whole.row(name)


def test_a_page_that_was_read_can_be_read_further_from_anywhere() -> None:
    # How deep json's parser goes depends on how deep it was called.
    for depth in range(100, 1000, 20):
        body = b'[{"id": "a/b", "x": 1e400, "y": ' + b"[" * depth + b"]" * depth + b"}]"
        page = read_body(body)

        def deeper(frames: int, page: RecordPage = page) -> list[Entry]:
            return deeper(frames - 1) if frames else page.rows(page.listed)[0]

        assert [each.name for each in deeper(50)] == list(page.listed)


def test_a_page_read_in_parts_is_the_page_read_whole() -> None:
    records = [*generate(3 * PART)]
    renamed = {**records[0], "id": "someone/else"}
    odd = [{"id": None}, {**records[5], "likes": -1}, renamed, 7, {"id": "a/b", "sha": "\0"}]
    body = orjson.dumps([*records[: 2 * PART], *odd, *records[PART:], *odd])
    parts = ReadTask(body, "http://hub/1", None).perform()
    whole = read(decode_page(body), "http://hub/1", None)
    assert parts.size == whole.size == 4 * PART + 10
    assert list(parts.listing_rows.items()) == list(whole.listing_rows.items())
    assert len(parts.listing_rows) == 3 * PART + 1
    assert parts.names == whole.names
    assert parts.nameless == whole.nameless
    assert parts.moments == whole.moments
    for name in whole.listing_rows:
        assert parts.row(name) == whole.row(name)


def test_a_process_prepares_the_pages_of_an_initial_load() -> None:
    moment = "2026-06-01T12:00:00+00:00"
    with closing(Readers(1)) as readers:
        page = readers.submit(PAGE._replace(keys=range(7, 1007), moment=moment)).result(60)
        few = readers.submit(PAGE._replace(keys=range(199), moment=moment)).result(60)
    here = PAGE.perform()
    batch = page.batch
    assert batch is not None
    assert (page.url, page.next_url, page.size) == (PAGE.url, PAGE.next_url, 202)
    assert list(page.listed) == list(here.listed)
    assert (page.nameless, page.moments) == (here.nameless, here.moments)
    assert list(batch.keys) == list(range(7, 207))
    assert batch.rejected == []
    models = batch.texts["store.models"].decode().removesuffix("\n").split("\n")
    for key, name, row in zip(batch.keys, here.listed, models, strict=True):
        entry = here.row(name)
        assert isinstance(entry, Entry)
        assert row == f"{key}\t{entry.model}\t{moment}\t{moment}"
    # Too few keys: the page is only read.
    assert few.batch is None
    assert list(few.listed) == list(here.listed)
    assert all(few.row(name) == here.row(name) for name in here.listed)


@pytest.mark.parametrize("body", [b"", b"[", b"<html>", b'{"error": "busy"}', b"\xff"])
def test_a_body_that_is_no_list_of_records_is_an_error(body: bytes) -> None:
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
    program = """
import sys, time
from registry.sync.readers import Readers
readers = Readers(2)
print(*[reader._process.pid for reader in readers._all], flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
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
