"""Imports from a Hub, the web and patterns, over real HTTP on loopback with the real client."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import remote_files
from cli_commands import Commands, start
from evaluated import contents, long_table
from factories import rows
from remote_files import TOKEN, RepositoryHub, Web, git_hash, sent_again
from sqlalchemy import Engine

from registry.db import connection as database
from registry.hub import transfer

if TYPE_CHECKING:
    from databases import Databases

NAME = "org/results"


class Large(NamedTuple):
    """The address of a large file, ten positions in it, and the database after its import."""

    address: str
    positions: list[int]
    expected: dict[str, object]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RepositoryHub]:
    """A Hub of data sets that HF_ENDPOINT names, and a cache of one's own."""
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    with remote_files.hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        yield server


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    with Web() as server:
        yield server


def csv(model: str, benchmark: str = "b", outcomes: str = "1011") -> bytes:
    lines = [f"{model},{benchmark},i{n},{each}" for n, each in enumerate(outcomes)]
    return ("model,benchmark,item,outcome\n" + "\n".join(lines) + "\n").encode()


def padded(folder: Path, size: int) -> bytes:
    """A table with a column of noise that makes it large."""
    noise = random.Random(1).randbytes(size)
    rows = 8
    step = -(-size // rows)
    table = pa.table({
        "model": ["org/m"] * rows,
        "benchmark": ["b"] * rows,
        "item": [f"i{n}" for n in range(rows)],
        "outcome": [n % 2 for n in range(rows)],
        "noise": [noise[n * step : (n + 1) * step] for n in range(rows)],
    })  # fmt: skip
    path = folder / "large.parquet"
    pq.write_table(table, path, compression="none")
    return path.read_bytes()


def asked(commands: Commands, query: str) -> list[list[Any]]:
    document = commands.json("query", query)
    return [list(row.values()) for row in document]


FILES = "SELECT DISTINCT model, file, file_revision FROM runs ORDER BY 1, 2"


def test_a_file_of_the_hub_is_known_by_its_address_and_commit(
    commands: Commands, hub: RepositoryHub
) -> None:
    commit = hub.put(NAME, {"a/one.csv": csv("org/one"), "a/two.csv": csv("org/two", "c")})
    address = f"hf://datasets/{NAME}/a/one.csv"
    report = commands.json("evals", "import", address)
    assert [(each["path"], each["status"], each["runs"]) for each in report] == [
        (address, "imported", 1)
    ]
    assert asked(commands, FILES) == [["org/one", address, commit]]
    assert "registry evals" not in commands.done("evals", "remove", "--file", address)
    assert asked(commands, FILES) == []


def test_a_newer_commit_is_a_newer_version_of_the_file(
    commands: Commands, hub: RepositoryHub
) -> None:
    first = hub.put(NAME, {"one.csv": csv("org/one"), "two.csv": csv("org/two")})
    address = f"hf://datasets/{NAME}"
    commands.done("evals", "import", address)
    second = hub.put(NAME, {"one.csv": csv("org/one", outcomes="0000"), "two.csv": csv("org/two")})
    sent = len(hub.sent)
    report = commands.json("evals", "import", address)
    assert [each["changed"] for each in report] == [1, 0]
    # A file that a commit leaves as it was is not fetched again.
    assert [each.path.rpartition("/")[2] for each in hub.sent[sent:]] == ["one.csv"]
    assert {row[2] for row in asked(commands, FILES)} == {second}
    report = commands.json("evals", "import", f"hf://datasets/{NAME}@{first}")
    assert [each["changed"] for each in report] == [1, 0]
    assert asked(commands, "SELECT score FROM runs WHERE model = 'org/one'") == [[0.75]]


def test_folders_and_patterns_take_the_files_that_fit(
    commands: Commands, hub: RepositoryHub
) -> None:
    hub.put(NAME, {
        "README.md": b"# Results",
        "x.csv": csv("org/x"),
        "deep/er/y.csv": csv("org/y"),
        "deep/z.csv": csv("org/z"),
        "deep/z.bin": b"\0" * 500,
    })  # fmt: skip

    def models(pattern: str) -> list[str]:
        commands("evals", "remove", "--benchmark", "b")
        commands.done("evals", "import", f"hf://datasets/{NAME}/{pattern}")
        return [row[0] for row in asked(commands, "SELECT model FROM runs ORDER BY 1")]

    assert models("*.csv") == ["org/x"]
    assert models("deep/*.csv") == ["org/z"]
    assert models("**/*.csv") == ["org/x", "org/y", "org/z"]
    assert models("deep/**/*.csv") == ["org/y", "org/z"]
    assert models("deep/[yz].csv") == ["org/z"]
    assert models("deep") == ["org/y", "org/z"]
    assert models("") == ["org/x", "org/y", "org/z"]
    assert not [each for each in hub.sent if each.path.endswith(".bin")]
    error = commands.refused(2, "evals", "import", f"hf://datasets/{NAME}/*.parquet")
    assert error == f"Error: No file of {NAME} fits *.parquet.\n"


def test_what_lies_beside_results_is_not_fetched(commands: Commands, hub: RepositoryHub) -> None:
    beside = ("README.md", "deep/README.md", "config.json", "tokenizer.json", "LICENSE.md",
              "settings.yaml", ".hidden.json")  # fmt: skip
    hub.put(NAME, {**dict.fromkeys(beside, b"{}"), "deep/x.csv": csv("org/x")})
    report = commands.json("evals", "import", f"hf://datasets/{NAME}")
    assert [each["path"] for each in report] == [f"hf://datasets/{NAME}/deep/x.csv"]
    assert [each.path.rpartition("/")[2] for each in hub.sent] == ["x.csv"]
    error = commands.refused(1, "evals", "import", f"hf://datasets/{NAME}/README.md")
    assert "cannot be detected" in error


def test_a_local_pattern_takes_the_files_that_fit(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    long_table(tmp_path / "a" / "b" / "one.csv", [("org/one", "b", "i0", 1)])
    long_table(tmp_path / "a" / "two.csv", [("org/two", "b", "i0", 1)])
    (tmp_path / "a" / "notes.txt").write_text("none")
    report = commands.json("evals", "import", str(tmp_path / "**" / "*.csv"))
    assert sorted(Path(each["path"]).name for each in report) == ["one.csv", "two.csv"]
    error = commands.refused(2, "evals", "import", str(tmp_path / "*.json"))
    assert error == f"Error: No file fits {tmp_path}/*.json.\n"


def test_folders_that_are_not_searched_are_those_inside(commands: Commands, tmp_path: Path) -> None:
    """Not those above the folder that was named."""
    folder = tmp_path / ".cache" / "results"
    for place in (folder, folder / ".git", folder / "more" / "node_modules"):
        place.mkdir(parents=True)
        (place / "t.csv").write_bytes(csv("org/m"))
    [report] = commands.json("evals", "import", str(folder))
    assert (report["path"], report["status"]) == (str(folder / "t.csv"), "imported")


def test_the_real_client_lists_and_reads_what_the_registry_does(
    commands: Commands, hub: RepositoryHub, tmp_path: Path
) -> None:
    """So the server of these tests speaks as the Hub does."""
    hub.put(NAME, {"d/one.csv": csv("org/one"), "d/large.parquet": padded(tmp_path, 50_000)})
    commands.done("evals", "import", f"hf://datasets/{NAME}/**")
    copies = [each for each in (tmp_path / "data" / "cache" / "hf").rglob("*") if each.is_file()]
    ours = {f"d/{each.name}": git_hash(each.read_bytes()) for each in copies}
    ended = subprocess.run(
        [sys.executable, "-c", CLIENT, f"datasets/{NAME}"],
        env={**os.environ, "HF_ENDPOINT": hub.url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout) == ours
    assert sorted(ours) == ["d/large.parquet", "d/one.csv"]


CLIENT = """
import hashlib, json, sys
from huggingface_hub import HfFileSystem

files = HfFileSystem(token="hf_reader")
hashes = {}
for path in files.find(sys.argv[1]):
    body = files.cat_file(path)
    hashed = hashlib.sha1(b"blob %d\\0" % len(body) + body).hexdigest()
    hashes[path.removeprefix(sys.argv[1] + "/")] = hashed
print(json.dumps(hashes))
"""


def test_no_token_goes_to_another_host(
    commands: Commands, hub: RepositoryHub, tmp_path: Path
) -> None:
    hub.put(NAME, {"large.parquet": padded(tmp_path, 50_000)}, private=True)
    address = f"hf://datasets/{NAME}/large.parquet"
    error = commands.refused(1, "evals", "import", address)
    assert error == (
        f"Error: There is no data set {NAME} on {hub.url}; if it is private, set HF_TOKEN, "
        "or log in with `hf auth login`.\n"
    )
    commands.done("evals", "import", address, HF_TOKEN=TOKEN)
    assert all(each.token == TOKEN for each in hub.requests[-3:])
    assert hub.large.requests
    assert not [each for each in hub.large.requests if "authorization" in each.headers]


def test_a_gated_set_says_where_to_ask(commands: Commands, hub: RepositoryHub) -> None:
    hub.put(NAME, {"one.csv": csv("org/one")}, gated=True)
    address = f"hf://datasets/{NAME}/one.csv"
    assert commands.refused(1, "evals", "import", address) == (
        f"Error: The data set {NAME} is gated: ask for access at {hub.url}/datasets/{NAME}, "
        "and set HF_TOKEN, or log in with `hf auth login`.\n"
    )
    assert asked(commands, FILES) == []
    commands.done("evals", "import", address, HF_TOKEN=TOKEN)


def test_what_is_not_there_is_named(commands: Commands, hub: RepositoryHub) -> None:
    hub.put(NAME, {"one.csv": csv("org/one")})
    there = f"hf://datasets/{NAME}"
    for address, problem in {
        f"{there}/two.csv": f"The repository {NAME} has no file or folder two.csv at main.",
        f"{there}@v9/one.csv": f"The data set {NAME} has no revision 'v9'.",
        "hf://datasets/alone": "hf://datasets/alone is no address of a repository",
        "ftp://host/a.csv": "ftp://host/a.csv cannot be read: addresses begin hf://",
    }.items():
        result = commands("evals", "import", address)
        assert result.exit_code in (1, 2)
        assert problem in result.stderr
        assert result.stderr.count("\n") == 1
    error = commands.refused(1, "evals", "import", f"{there}/one.csv", HF_TOKEN="wrong")
    assert error == (
        f"Error: {hub.url} rejects the access token; check HF_TOKEN, or log in again with "
        "`hf auth login`.\n"
    )


def test_a_renamed_set_is_followed(commands: Commands, hub: RepositoryHub) -> None:
    hub.put("org/present", {"one.csv": csv("org/one")})
    hub.moved[NAME] = "org/present"
    commands.done("evals", "import", f"hf://datasets/{NAME}/one.csv")
    assert asked(commands, "SELECT file FROM runs") == [["hf://datasets/org/present/one.csv"]]


@pytest.fixture
def large(databases: "Databases", hub: RepositoryHub, tmp_path: Path) -> Large:
    """A file of some blocks on the Hub; what a database has after an import without trouble."""
    body = padded(tmp_path, 2 * transfer.BLOCK + 5_000_000)
    hub.put(NAME, {"large.parquet": body})
    address = f"hf://datasets/{NAME}/large.parquet"
    with databases.lent() as url:
        Commands(url.render_as_string(hide_password=False)).done("evals", "import", address)
        engine = database.create_engine(url)
        expected = state(engine)
        engine.dispose()
    shutil.rmtree(tmp_path / "data" / "cache")
    hub.large.sent.clear()
    return Large(address, sorted(random.Random(2).sample(range(1, len(body)), 10)), expected)


def state(engine: Engine) -> dict[str, object]:
    with engine.connect() as connection:
        return {**contents(connection), "files": rows(connection, FILES)}


@pytest.mark.long
def test_ten_broken_connections_fetch_nothing_twice(
    commands: Commands, engine: Engine, hub: RepositoryHub, large: Large
) -> None:
    hub.large.breaks = list(large.positions)
    commands.done("evals", "import", large.address)
    assert not hub.large.breaks
    arrived, under_way = sent_again(hub.large.sent)
    assert arrived == 0
    assert under_way < 10 * transfer.BLOCK
    assert state(engine) == large.expected


@pytest.mark.long
def test_ten_killed_commands_fetch_nothing_twice(
    database_url: str, engine: Engine, hub: RepositoryHub, large: Large
) -> None:
    hub.large.breaks = list(large.positions)
    command = ["--database-url", database_url, "evals", "import", large.address]
    for _ in large.positions:
        process = start(*command, HF_ENDPOINT=hub.url)
        hub.large.held = process.kill
        process.communicate()
    assert not hub.large.breaks
    hub.large.held = lambda: None
    with engine.connect() as connection:
        assert rows(connection, "SELECT count(*) FROM store.imports") == [(0,)]
    process = start(*command, HF_ENDPOINT=hub.url)
    _, error = process.communicate()
    assert process.returncode == 0, error
    arrived, under_way = sent_again(hub.large.sent)
    assert arrived == 0
    assert under_way < 10 * transfer.BLOCK
    assert state(engine) == large.expected
