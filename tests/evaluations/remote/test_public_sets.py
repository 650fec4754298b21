"""The list of public sets: each entry is a command that works on files of its shape."""

import gzip
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
import remote_files
from cli_commands import Commands, parse
from remote_files import RepositoryHub, Web

from registry.evaluations.remote.files import SCHEMES, scheme_of
from registry.evaluations.remote.public_sets import public_set, public_sets
from registry.hub.repositories import parse_address


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RepositoryHub]:
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    with remote_files.hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        yield server


@pytest.mark.parametrize("name", public_sets())
def test_every_command_can_be_parsed(name: str) -> None:
    chosen = public_set(name)
    words = shlex.split(chosen.command)
    assert words[0] == "registry"
    parse(words[1:])
    for address in chosen.addresses:
        assert scheme_of(address) in SCHEMES
        if address.startswith("hf://"):
            parsed = parse_address(address, "https://huggingface.co")
            assert parsed is not None
            assert parsed.kind == "dataset"


def test_the_list_and_a_command_are_printed(commands: Commands) -> None:
    listed = commands.json("evals", "sources")
    assert {each["name"] for each in listed} == set(public_sets())
    assert all(each["licence"] and each["holds"] and each["size"] for each in listed)
    one = commands.json("evals", "sources", "alpaca-eval")
    assert one["command"] == public_set("alpaca-eval").command
    error = commands.refused(2, "evals", "sources", "none")
    assert error.startswith("Error: There is no public set 'none'; there are open-llm-leaderboard")


def runs(commands: Commands, *paths: str, options: tuple[str, ...] = ()) -> int:
    commands("evals", "remove", "--left-over")
    return sum(each["runs"] for each in commands.json("evals", "import", *paths, *options))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("alpaca-eval", "alpaca-eval/leaderboard_v2_weighted_alpaca_eval_gpt4_turbo.csv"),
        ("obs-scaling", "obs-scaling-scores/base_llm_benchmark_eval.csv"),
        ("open-llm-leaderboard-v1", "open-llm-leaderboard-v1/models.csv.gz"),
    ],
)
def test_files_of_the_web_import_as_the_real_ones(
    commands: Commands, hub: RepositoryHub, shared: Path, name: str, file: str
) -> None:
    del hub  # with its cache
    chosen = public_set(name)
    [address] = chosen.addresses
    body = (shared / file).read_bytes()
    with Web() as web:
        path = urlsplit(address).path
        web.files[path] = gzip.decompress(body) if file.endswith(".gz") else body
        fetched = runs(commands, f"{web.url}{path}", options=tuple(chosen.options))
    assert fetched == runs(commands, str(shared / file), options=tuple(chosen.options)) > 0


@pytest.mark.shared
def test_the_table_of_the_second_leaderboard_imports_as_the_real_one(
    commands: Commands, hub: RepositoryHub, tmp_path: Path, shared: Path
) -> None:
    chosen = public_set("open-llm-leaderboard-v2")
    [address] = chosen.addresses
    real = shared / "open-llm-leaderboard-v2" / "contents.csv.gz"
    table = pd.read_csv(real)
    # The set has columns of marks and links beside.
    table.insert(0, "T", "🔶")
    table.insert(1, "Model", "<a target='_blank'>link</a>")
    table.to_parquet(tmp_path / "table.parquet")
    path = address.partition("contents/")[2]
    hub.put("open-llm-leaderboard/contents", {path: (tmp_path / "table.parquet").read_bytes()})
    fetched = runs(commands, address, options=tuple(chosen.options))
    assert fetched == runs(commands, str(real), options=tuple(chosen.options)) > 0


def test_judgments_of_livebench_import(
    commands: Commands, hub: RepositoryHub, tmp_path: Path
) -> None:
    chosen = public_set("livebench")
    [address] = chosen.addresses
    table = pd.DataFrame({
        "question_id": ["q1", "q2"] * 2,
        "task": ["typos"] * 4,
        "model": ["org/a"] * 2 + ["org/b"] * 2,
        "score": [1.0, 0.0, 0.5, 1.0],
        "turn": [1] * 4,
        "tstamp": [0.0] * 4,
        "category": ["language"] * 4,
    })  # fmt: skip
    table.to_parquet(tmp_path / "table.parquet")
    path = address.partition("model_judgment/")[2]
    hub.put("livebench/model_judgment", {path: (tmp_path / "table.parquet").read_bytes()})
    commands.done("evals", "import", address, *chosen.options)
    scores = commands.json("query", "SELECT model, score FROM runs ORDER BY model")
    assert [(row["model"], row["score"]) for row in scores] == [("org/a", 0.5), ("org/b", 0.75)]
