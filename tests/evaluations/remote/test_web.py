"""Imports from plain web servers: redirects, web pages, versions, sizes and interruptions."""

import fcntl
import hashlib
import logging
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_commands import Commands
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_files import Web, sent_again

from registry.bounded import waiting
from registry.demo.hub.http import Reply, Request
from registry.errors import RemoteError, RemoteUnavailableError, UsageError
from registry.evaluations.remote import cache, web_files
from registry.evaluations.remote.cache import SPARE, Cache
from registry.evaluations.remote.files import without_signature
from registry.hub import transfer

TABLE = b"model,benchmark,item,outcome\norg/m,b,i0,1\norg/m,b,i1,0\n"
OTHER = b"model,benchmark,item,outcome\norg/m,b,i0,0\norg/m,b,i1,0\n"
LIMIT = 10**9


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    """A web server, and a cache of one's own."""
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    with Web() as server:
        yield server


def fetched(web: Web, folder: Path, patience: float = 3) -> Path:
    [file] = web_files.find(f"{web.url}/f.bin", patience=patience).files
    return Cache(folder).fetch(file, LIMIT, lambda _: None)


def asked(commands: Commands, query: str) -> list[list[Any]]:
    return [list(row.values()) for row in commands.json("query", query)]


def sentence(commands: Commands, address: str, *options: str) -> str:
    """The one sentence that refuses an import; nothing is stored."""
    result = commands("evals", "import", address, *options)
    assert result.exit_code in (1, 2)
    assert result.stderr.count("\n") == 1
    assert asked(commands, "SELECT run FROM runs") == []
    return result.stderr


def test_a_file_is_known_by_its_address_and_version(commands: Commands, web: Web) -> None:
    web.files["/a/t.csv"] = TABLE
    address = f"{web.url}/a/t.csv"
    commands.done("evals", "import", address)
    [[file, revision]] = asked(commands, "SELECT file, file_revision FROM runs")
    assert (file, revision.strip('"')) == (address, revision.strip('"'))
    sent = len(web.sent)
    [report] = commands.json("evals", "import", address)
    assert (report["status"], len(web.sent)) == ("unchanged", sent)
    web.files["/a/t.csv"] = OTHER
    [report] = commands.json("evals", "import", address)
    assert (report["status"], report["changed"]) == ("imported", 1)


def test_the_signature_of_an_address_is_not_kept(commands: Commands, web: Web) -> None:
    web.files["/t.csv"] = TABLE
    commands.done("evals", "import", f"{web.url}/t.csv?v=2&X-Amz-Signature=secret&sig=secret")
    assert asked(commands, "SELECT file FROM runs") == [[f"{web.url}/t.csv?v=2"]]
    assert web.requests[-1].query["sig"] == ["secret"]
    error = sentence_of_usage(commands, web.url.replace("//", "//me:word@") + "/t.csv")
    assert "An address with a password in it is not read" in error
    assert "word@" not in error


def test_a_part_of_a_query_without_a_value_is_kept(commands: Commands, web: Web) -> None:
    web.files["/t.csv"] = TABLE
    addresses = [f"{web.url}/t.csv?one", f"{web.url}/t.csv?two"]
    places = {web_files.find(each).files[0].place for each in addresses}
    assert len(places) == 2
    commands.done("evals", "import", *addresses)
    assert asked(commands, "SELECT DISTINCT file FROM runs") == [[addresses[0]]]


@given(
    kept=st.lists(st.sampled_from(["v=2", "raw", "q=a%20b", "q=a+b", "x=", "%C3%A9=1", "a=b=c"])),
    left_out=st.sampled_from(["sig=s", "X-Amz-Signature=s", "x-goog-date=1", "Token=s", "sig"]),
    place=st.integers(0, 9),
)
def test_nothing_else_of_an_address_changes(kept: list[str], left_out: str, place: int) -> None:
    plain = "https://h.org/a%20b.csv" + ("?" + "&".join(kept) if kept else "")
    signed = [*kept[:place], left_out, *kept[place:]]
    assert without_signature(plain) == plain
    assert without_signature("https://h.org/a%20b.csv?" + "&".join(signed) + "#part") == plain


def test_runs_are_removed_by_the_address_that_was_given(commands: Commands, web: Web) -> None:
    web.files["/t.csv"] = TABLE
    address = f"{web.url}/t.csv?q=a%20b&raw&sig=secret#top"
    commands.done("evals", "import", address)
    [removed] = commands.json("evals", "remove", "--file", address)
    assert (removed["file"], removed["runs"]) == (f"{web.url}/t.csv?q=a%20b&raw", 1)


def sentence_of_usage(commands: Commands, address: str) -> str:
    return commands.refused(2, "evals", "import", address)


def test_a_redirect_to_another_host_gets_no_token(
    commands: Commands, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Web() as other:
        other.files["/t.csv"] = TABLE
        web.fixed["/t.csv"] = lambda _: Reply(302, b"", {"Location": f"{other.url}/t.csv"})
        commands.done("evals", "import", f"{web.url}/t.csv")
        requests = [*web.requests, *other.requests]
    assert len(requests) >= 3
    assert not [each for each in requests if "authorization" in each.headers]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), "answers with a web page in place"),
        (Reply(200, b"\n<!DOCTYPE html><p>", {}), "answers with a web page in place of a file"),
        (Reply(403, b"no", {}), "may not be read without permission (403)."),
        (Reply(404, b"no", {}), "There is no file at"),
        (Reply(418, b"no", {}), "answered 418 in place of a file."),
        (Reply(302, b"", {"Location": "/t.csv"}), "redirects in a circle."),
        (Reply(302, b"", {"Location": "file:///etc/passwd"}), "which is no https address"),
        (Reply(200, TABLE, {"Content-Encoding": "br"}), "is sent compressed (br)"),
    ],
)
def test_what_is_no_file_is_refused(
    commands: Commands, web: Web, reply: Reply, problem: str
) -> None:
    web.fixed["/t.csv"] = lambda _: reply
    assert problem in sentence(commands, f"{web.url}/t.csv")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/*.csv", "the web has no folders: name each file"),
        ("/", "names no file"),
        ("/folder/", "names no file"),
        ("/a/../../t.csv", "is no file name"),
        (f"/{'x' * 300}", "is no file name"),
    ],
)
def test_an_address_that_names_no_file_is_refused(
    commands: Commands, web: Web, path: str, problem: str
) -> None:
    web.fixed[path] = lambda _: Reply(200, TABLE)
    assert problem in sentence(commands, f"{web.url}{path}")


def test_a_large_file_is_refused_before_it_is_fetched(commands: Commands, web: Web) -> None:
    sizes = [104 * 10**9, 10**18]

    def head(request: Request) -> Reply:
        assert request.method == "HEAD"
        return Reply(200, b"", {"Content-Length": str(sizes.pop(0)), "ETag": '"1"'})

    web.fixed["/t.csv"] = head
    address = f"{web.url}/t.csv"
    assert sentence(commands, address) == (
        f"Error: 104.0 GB of {address} would be fetched; the limit is 10.0 GB. Name fewer files, "
        "or allow more: --max-download 104GB\n"
    )
    error = sentence(commands, address, "--max-download", "2000000TB")
    assert "GB are free where the cache is" in error


@pytest.mark.parametrize(("free", "fits"), [(1000, True), (999, False)])
def test_some_of_the_disk_stays_free(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, *, fits: bool
) -> None:
    web.files["/f.bin"] = bytes(1000)
    files = web_files.find(f"{web.url}/f.bin").files
    usage = shutil.disk_usage(tmp_path)._replace(free=SPARE + free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    if fits:
        Cache(tmp_path).require_room(files, LIMIT)
    else:
        with pytest.raises(UsageError, match=r"1.0 kB of .* but only 500.0 MB are free"):
            Cache(tmp_path).require_room(files, LIMIT)


def test_a_file_of_unknown_size_ends_at_the_limit(web: Web, tmp_path: Path) -> None:
    web.files["/f.bin"] = bytes(100_000)
    [file] = web_files.find(f"{web.url}/f.bin").files
    unknown = transfer.HttpFile(f"{web.url}/f.bin")
    head = transfer.Head(None, file.revision)
    endless = type(file)(
        file.address, file.place, file.content, lambda at: unknown.chunks(at, head)
    )
    with pytest.raises(RemoteError, match=r"has more than the limit of 50.0 kB; allow more"):
        Cache(tmp_path).fetch(endless, 50_000, lambda _: None)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
    assert Cache(tmp_path).fetch(endless, 200_000, lambda _: None).read_bytes() == bytes(100_000)


def test_a_file_that_changes_while_it_is_read_is_refused(web: Web, tmp_path: Path) -> None:
    web.files["/f.bin"] = b"a" * 50_000
    web.breaks = [20_000]

    def change() -> None:
        web.files["/f.bin"] = b"b" * 50_000

    web.held = change
    with pytest.raises(RemoteError, match=r"changed while it was read; nothing of it is imported"):
        fetched(web, tmp_path)
    assert fetched(web, tmp_path).read_bytes() == b"b" * 50_000


def test_without_a_version_nothing_is_kept(web: Web, tmp_path: Path) -> None:
    web.validators = False
    web.files["/f.bin"] = b"a" * 50_000
    assert fetched(web, tmp_path).read_bytes() == b"a" * 50_000
    web.files["/f.bin"] = b"b" * 50_000
    path = fetched(web, tmp_path)
    assert path.read_bytes() == b"b" * 50_000
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def test_what_has_arrived_whole_is_not_fetched_again(web: Web, tmp_path: Path) -> None:
    """As after a command that was killed before it checked the file."""
    web.files["/f.bin"] = bytes(50_000)
    [file] = web_files.find(f"{web.url}/f.bin").files
    assert file.content is not None
    part = tmp_path / "content" / f"{hashlib.sha256(file.content.encode()).hexdigest()}.part"
    part.parent.mkdir()
    part.write_bytes(bytes(50_000))
    assert Cache(tmp_path).missing_bytes([file]) == 0
    assert fetched(web, tmp_path).read_bytes() == bytes(50_000)
    assert web.sent == []
    assert not part.exists()


def test_a_server_without_parts_begins_again(web: Web, tmp_path: Path) -> None:
    web.ranges = False
    web.files["/f.bin"] = bytes(range(256)) * 200
    web.breaks = [30_000]
    assert fetched(web, tmp_path).read_bytes() == web.files["/f.bin"]
    assert [each.start for each in web.sent] == [0, 0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_reply_without_its_length_is_read(web: Web, tmp_path: Path, *, ranges: bool) -> None:
    web.unsized, web.ranges = True, ranges
    web.files["/f.bin"] = bytes(range(256)) * 200
    assert fetched(web, tmp_path).read_bytes() == web.files["/f.bin"]


def test_an_empty_file_is_a_file(web: Web, tmp_path: Path) -> None:
    web.files["/f.bin"] = b""
    assert fetched(web, tmp_path).read_bytes() == b""


def test_a_server_that_stays_away_is_named(web: Web, tmp_path: Path) -> None:
    web.fixed["/f.bin"] = lambda _: Reply(503, b"", {"Retry-After": "90"})
    with pytest.raises(RemoteUnavailableError, match=r"cannot be read now \(HTTP 503\)"):
        fetched(web, tmp_path)
    assert RemoteUnavailableError.exit_code == 75


def test_a_link_that_ends_is_followed_again(web: Web, tmp_path: Path) -> None:
    """Signed addresses, which large files redirect to, end after some minutes."""
    body = bytes(range(256)) * 100_000
    with Web() as other:
        other.files["/1"] = other.files["/2"] = body
        other.breaks = [10_000_000]
        targets = iter([f"{other.url}/1"] + [f"{other.url}/2"] * 5)
        web.fixed["/f.bin"] = lambda _: Reply(302, b"", {"Location": next(targets)})

        def end() -> None:
            other.fixed["/1"] = lambda _: Reply(403, b"Request has expired")

        other.held = end
        assert fetched(web, tmp_path).read_bytes() == body
        arrived, _ = sent_again(other.sent)
    assert arrived == 0


def test_two_commands_fetch_a_file_once(web: Web, tmp_path: Path) -> None:
    web.files["/f.bin"] = bytes(3_000_000)
    threads = [threading.Thread(target=fetched, args=(web, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.stop - each.start for each in web.sent) == 3_000_000


def test_a_file_that_another_command_fetches_is_waited_for_within_a_limit(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)
    monkeypatch.setattr(cache, "PATIENCE", 0.3)
    web.files["/f.bin"] = bytes(1000)
    [file] = web_files.find(f"{web.url}/f.bin").files
    part = tmp_path / "content" / f"{hashlib.sha256(str(file.content).encode()).hexdigest()}.part"
    part.parent.mkdir()
    with part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RemoteUnavailableError, match=r"Another command has been fetching http"):
            Cache(tmp_path).fetch(file, LIMIT, lambda _: None)
    assert f"Waiting for another command, which fetches {file.address} (0 s so far" in caplog.text
    assert fetched(web, tmp_path).read_bytes() == bytes(1000)


def test_a_damaged_copy_is_not_used(web: Web, tmp_path: Path) -> None:
    web.files["/f.bin"] = bytes(50_000)
    [file] = web_files.find(f"{web.url}/f.bin").files
    right = type(file)(
        file.address, file.place, file.content, file.read, file.size, git_hash="0" * 40
    )
    with pytest.raises(RemoteError, match="has arrived damaged: its hash is"):
        Cache(tmp_path).fetch(right, LIMIT, lambda _: None)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_breaks_arrives_whole_and_no_block_twice(
    web: Web, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 300_000), "size")
    body = bytes(position * 7 % 251 for position in range(size))
    web.files["/f.bin"] = body
    web.breaks = sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=4), "breaks"))
    web.sent.clear()
    folder = tmp_path_factory.mktemp("cache")
    assert fetched(web, folder, 60).read_bytes() == body
    assert not web.breaks
    assert sent_again(web.sent)[0] == 0


def test_what_was_given_up_continues(web: Web, tmp_path: Path) -> None:
    body = random.Random(5).randbytes(2 * transfer.BLOCK + 1000)
    web.files["/f.bin"] = body
    web.breaks = sorted(random.Random(6).sample(range(len(body)), 10))
    while web.breaks:
        # Not before bytes have arrived, after which it tries once more.
        with suppress(RemoteUnavailableError):
            fetched(web, tmp_path, patience=0)
    assert fetched(web, tmp_path).read_bytes() == body
    assert sent_again(web.sent)[0] == 0
    ranges = [each.headers["range"] for each in web.requests if "range" in each.headers]
    ends = [each.removeprefix("bytes=").split("-") for each in ranges]
    assert max(int(stop) - int(start) + 1 for start, stop in ends) == transfer.BLOCK


def test_a_place_outside_the_cache_is_refused() -> None:
    with pytest.raises(UsageError, match="is no file name"):
        web_files.find("https://host/a/%2e%2e/%2e%2e/b")
