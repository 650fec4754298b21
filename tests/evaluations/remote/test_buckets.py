"""Imports from buckets, over real HTTP on loopback with the real client."""

import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_commands import Commands
from remote_files import Buckets, sent_again

from registry.errors import RemoteUnavailableError
from registry.evaluations.remote import bucket_files
from registry.evaluations.remote.cache import Cache

pytest.importorskip("s3fs")


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Buckets]:
    """A store with a bucket, and a cache of one's own."""
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with Buckets() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        yield server


def csv(model: str) -> bytes:
    return f"model,benchmark,item,outcome\n{model},b,i0,1\n{model},b,i1,0\n".encode()


def asked(commands: Commands, query: str) -> list[list[Any]]:
    return [list(row.values()) for row in commands.json("query", query)]


def test_files_folders_and_patterns_of_a_bucket(commands: Commands, buckets: Buckets) -> None:
    buckets.files = {
        "bucket/one.csv": csv("org/one"),
        "bucket/d/two.csv": csv("org/two"),
        "bucket/d/e/three.csv": csv("org/three"),
        "bucket/d/e/three.bin": b"0" * 100,
    }

    def models(path: str) -> list[str]:
        commands("evals", "remove", "--benchmark", "b")
        commands.done("evals", "import", f"s3://bucket/{path}")
        return [row[0] for row in asked(commands, "SELECT model FROM runs ORDER BY 1")]

    assert models("one.csv") == ["org/one"]
    [[file, revision]] = asked(commands, "SELECT file, file_revision FROM runs")
    assert file == "s3://bucket/one.csv"
    assert len(revision) > 40
    assert models("d") == ["org/three", "org/two"]
    assert models("**/*.csv") == ["org/one", "org/three", "org/two"]
    assert models("d/*.csv") == ["org/two"]
    assert not [each for each in buckets.sent if each.path.endswith(".bin")]


def test_what_is_not_there_or_not_allowed_is_named(
    commands: Commands, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets.files = {"bucket/one.csv": csv("org/one")}
    for path, problem in {
        "bucket/two.csv": "No file fits s3://bucket/two.csv.",
        "bucket/*.json": "No file fits s3://bucket/*.json.",
        "other/one.csv": "There is no file or bucket at s3://other/one.csv.",
    }.items():
        result = commands("evals", "import", f"s3://{path}")
        assert (result.exit_code in (1, 2), problem in result.stderr) == (True, True)
    monkeypatch.setenv("FSSPEC_S3_ANON", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = commands("evals", "import", "s3://bucket/one.csv")
    assert result.exit_code == 1
    assert "s3://bucket/one.csv cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1


def test_interrupted_at_ten_points_it_continues(buckets: Buckets, tmp_path: Path) -> None:
    body = random.Random(3).randbytes(3 * bucket_files.BLOCK)
    buckets.files["bucket/large.csv"] = body
    buckets.breaks = sorted(random.Random(4).sample(range(len(body)), 10))
    [file] = bucket_files.find("s3://bucket/large.csv").files
    while buckets.breaks:
        with suppress(RemoteUnavailableError):  # it gives up after some attempts
            Cache(tmp_path).fetch(file, 10**9, lambda _: None)
    assert Cache(tmp_path).fetch(file, 10**9, lambda _: None).read_bytes() == body
    assert sent_again(buckets.sent)[0] == 0


def test_without_the_package_a_sentence_says_what_to_install(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert commands.refused(2, "evals", "import", "s3://bucket/one.csv") == (
        "Error: Reading s3:// needs the package s3fs: pip install 'llm-registry[s3]'.\n"
    )
