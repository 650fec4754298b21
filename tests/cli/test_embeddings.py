"""`registry embeddings` and `registry nearest`."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from cli_commands import Commands
from evaluated import block, grid, run, write
from factories import model
from learned import drawn, kept, names
from safetensors import safe_open
from sqlalchemy import Engine

import registry
from registry.embeddings import versions
from registry.embeddings.read import read_embeddings
from registry.embeddings.versions import Verdict
from registry.errors import RegistryError
from registry.evaluations.records import Item
from registry.learning.encoders import open_encoder
from registry.learning.encoders.hashing import LONGEST


@pytest.fixture
def three(engine: Engine) -> tuple[int, int, int]:
    """A retired version, the current one, and one that was refused."""
    with engine.begin() as connection:
        for name in names(6):
            model(connection, name, license="mit" if name < "org/m3" else None)
        one = kept(connection, drawn(6))
        two = kept(connection, drawn(6, 8), uncertainties=np.ones(6, np.float32), encoder="small")
        bad = kept(connection, drawn(6, 8, seed=2), current=False)
        versions.finalize(connection, bad, Verdict(promoted=False, reason="worse", churn=0.5))
    return one, two, bad


def test_without_versions_it_says_so(commands: Commands) -> None:
    result = commands("embeddings", "list", "--format", "table")
    assert result.exit_code == 0
    assert "There are no embeddings yet; `registry train` learns some." in result.stderr
    assert "no embeddings yet" in commands.refused(1, "embeddings", "show")
    assert "no embeddings yet" in commands.refused(1, "embeddings", "rollback")
    assert "there is none" in commands.refused(2, "embeddings", "promote", "1")
    assert "No version of embeddings is current." in commands.done("status", "--format", "table")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nearest", "org/m0"),
        ("explain", "org/m0"),
        ("route", "hello"),
        ("embeddings", "show"),
        ("embeddings", "show", "1"),
        ("embeddings", "promote", "1"),
        ("embeddings", "drop", "1"),
        ("embeddings", "rollback"),
        ("embeddings", "place"),
        ("embeddings", "export", "new.parquet"),
        ("embeddings", "map", "new.html"),
        ("embeddings", "probe", "communities"),
        ("query", "SELECT * FROM registry.nearest_models('org/m0')"),
        ("query", "SELECT * FROM registry.explain('org/m0')"),
        ("query", "SELECT * FROM registry.route('[1]')"),
        ("query", "SELECT * FROM registry.predict_outcome('org/m0', 'arc:0')"),
    ],
)
def test_what_needs_a_version_names_the_command_that_learns_one(
    commands: Commands, engine: Engine, arguments: tuple[str, ...]
) -> None:
    with engine.begin() as connection:
        model(connection, "org/m0")
    result = commands(*arguments)
    assert result.exit_code
    assert "`registry train` learns one" in result.stderr


def test_python_names_the_command_that_learns_a_version(commands: Commands) -> None:
    for read in (registry.load_embeddings, registry.predict_outcomes):
        with pytest.raises(RegistryError, match="`registry train` learns one"):
            read(url=commands.url)
        with pytest.raises(RegistryError, match="`registry train` learns one"):
            read(url=commands.url, version=3)


def test_list_and_show(commands: Commands, three: tuple[int, int, int]) -> None:
    one, two, bad = three
    found = commands.json("embeddings", "list")
    assert [(each["version"], each["state"]) for each in found] == [
        (bad, "refused"),
        (two, "current"),
        (one, "retired"),
    ]
    assert found[0]["reason"] == "worse"
    assert found[1]["metrics"] == {"validation": {"log_loss": 0.5}}
    assert commands.done("embeddings", "list", "--format", "quiet").split() == [
        str(bad), str(two), str(one)]  # fmt: skip
    shown = commands.json("embeddings", "show")
    assert (shown["version"], shown["encoder"], shown["dimension"]) == (two, "small", 8)
    assert commands.json("embeddings", "show", str(bad))["churn"] == 0.5
    assert "code version" in commands.done("embeddings", "show", "--format", "table")
    assert f"there are {one}, {two}, {bad}" in commands.refused(2, "embeddings", "show", "99")
    status = commands.json("status")
    assert (status["embeddings"]["version"], status["embeddings"]["vectors"]) == (two, 6)
    assert f"version {two} (mf), 6 models x 8" in commands.done("status", "--format", "table")


def exam(name: str, **shares: float) -> dict[str, Any]:
    return {"benchmarks": [name], "models": 29, "only": 15, "norm": 4.0, **shares}


def test_show_draws_benchmarks_and_exams_and_warns(commands: Commands, engine: Engine) -> None:
    metrics = {
        "held_out": {"log_loss": 0.31, "auc": 0.9},
        "by_benchmark": {
            "mmlu_pro": {"log_loss": 0.434, "auc": 0.87, "baseline": 0.53, "count": 1234}
        },
        "mixing": {
            "neighbours": 5,
            "exams": [
                exam("mmlu_pro", share=1.0, chance=0.005, catalog=0.276),
                exam("alpaca_eval", share=0.2, chance=0.016, catalog=0.187),
            ],
        },
        "coverage": {
            "models": 5857,
            "items": 18751,
            "exams": 7,
            "one_exam": 5802,
            "benchmarks": {"mmlu_pro": {"models": 29, "items": 9626, "outcomes": 277772}},
        },
    }
    with engine.begin() as connection:
        one = kept(connection, drawn(6))
        two = kept(connection, drawn(6, 8, seed=1), current=False, metrics=metrics)
        versions.finalize(connection, two, Verdict(promoted=True, reason="better", churn=0.25))
    result = commands("embeddings", "show", "--format", "table", COLUMNS="200")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "mmlu_pro 29 9,626 277,772 1,234 0.434 0.530 0.870" in lines
    assert "mmlu_pro 29 15 1.000 0.276 0.005 4.000" in lines
    drawn_text = " ".join(lines)
    assert "5,802 models took one exam only" in drawn_text
    assert f"Its coordinates are those of version {one}, with a residual of " in drawn_text
    assert "25% of models' ten nearest neighbours changed when it was judged." in drawn_text
    assert "by_benchmark" not in result.stdout, "it has a table of its own"
    assert result.stderr.count("\n") == 1
    assert "models that took mmlu_pro, 100% took it too, beside 27.6% of those" in result.stderr
    assert commands.json("embeddings", "show")["metrics"] == metrics
    listed = commands.json("embeddings", "list")[0]
    assert (listed["aligned_to"], listed["churn"]) == (one, 0.25)
    assert 0 < listed["alignment_residual"] < 1.5


def test_promote_and_rollback(commands: Commands, three: tuple[int, int, int]) -> None:
    one, two, bad = three
    assert "was refused: worse. --force" in commands.refused(2, "embeddings", "promote", str(bad))
    told = commands("embeddings", "promote", str(bad), "--force")
    assert f"Version {bad} is current now, instead of {two}." in told.stderr
    assert f"{bad} is current already" in commands("embeddings", "promote", str(bad)).stderr
    assert f"Version {two} is current again" in commands("embeddings", "rollback").stderr
    assert commands.json("embeddings", "rollback")[0]["version"] == one
    assert "none was current before" in commands.refused(1, "embeddings", "rollback")


def test_drop_takes_all_or_none(commands: Commands, three: tuple[int, int, int]) -> None:
    one, two, bad = three
    said = commands.refused(2, "embeddings", "drop", str(one), str(two))
    assert f"Version {two} is current and cannot be dropped" in said
    assert len(commands.json("embeddings", "list")) == 3
    commands.done("embeddings", "drop", str(one), str(bad))
    assert [each["version"] for each in commands.json("embeddings", "list")] == [two]


def test_a_version_that_is_read_is_not_waited_for_for_ever(
    commands: Commands, three: tuple[int, int, int], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The lock, and waiting for it, are real; a test need not wait as long.
    monkeypatch.setattr(versions, "PATIENCE", "50ms")
    with engine.connect() as connection:
        connection.exec_driver_sql("TABLE registry.embeddings")
        assert "holds a lock" in commands.refused(1, "embeddings", "drop", str(three[0]))
    commands.done("embeddings", "drop", str(three[0]))


def test_export_to_parquet(
    commands: Commands, three: tuple[int, int, int], tmp_path: Path, engine: Engine
) -> None:
    target = tmp_path / "out.parquet"
    assert "6 vectors of 8 dimensions" in commands("embeddings", "export", str(target)).stderr
    table = pq.read_table(target)
    assert table["model"].to_pylist() == names(6)
    with engine.connect() as connection:
        stored = read_embeddings(connection).vectors
    assert np.array_equal(np.array(table["vector"].to_pylist(), np.float32), stored)
    told = table.schema.metadata
    assert (told[b"version"], told[b"encoder"]) == (str(three[1]).encode(), b"small")
    assert {b"method", b"data_fingerprint", b"code_version", b"created_at", b"dimension"} < set(
        told
    )
    assert (told[b"seed"], orjson.loads(told[b"settings"])) == (b"7", {"dimension": 8})
    assert orjson.loads(told[b"metrics"]) == {"validation": {"log_loss": 0.5}}
    assert table["kind"].to_pylist() == ["trained"] * 6
    assert table["support"].to_pylist() == [None] * 6
    assert "already" in commands.refused(2, "embeddings", "export", str(target))
    odd = str(tmp_path / "e.xyz")
    assert "is unknown: name it" in commands.refused(2, "embeddings", "export", odd)
    other = ("embeddings", "export", str(tmp_path / "e.parquet"), "--to", "safetensors")
    assert "of another format than safetensors" in commands.refused(2, *other)
    assert list(tmp_path.iterdir()) == [target]


def test_export_to_safetensors(
    commands: Commands, three: tuple[int, int, int], tmp_path: Path
) -> None:
    target = tmp_path / "out.safetensors"
    commands.done("embeddings", "export", str(target), "--version", str(three[0]))
    with safe_open(target, "numpy") as file:
        told = file.metadata()
        assert np.array_equal(file.get_tensor("vectors"), drawn(6))
        assert np.isnan(file.get_tensor("uncertainty")).all()
        assert np.isnan(file.get_tensor("support")).all()
    assert orjson.loads(told["kinds"]) == ["trained"] * 6
    assert orjson.loads(told["metrics"]) == {"validation": {"log_loss": 0.5}}
    assert orjson.loads(told["models"]) == names(6)
    assert (told["version"], told["method"]) == (str(three[0]), "mf")


def test_nothing_is_left_of_an_export_that_fails(
    commands: Commands,
    three: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands.refused(2, "embeddings", "export", str(tmp_path / "a.parquet"), "--version", "99")
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("safetensors"):
            raise ImportError(name)
        return real(name, *rest, **more)

    # As where the extra is not installed, which the environment of the tests has.
    monkeypatch.setattr(builtins, "__import__", without)
    said = commands.refused(1, "embeddings", "export", str(tmp_path / "a"), "--to", "safetensors")
    assert "pip install 'llm-registry[train]'" in said
    assert list(tmp_path.iterdir()) == []


def test_nearest(commands: Commands, three: tuple[int, int, int]) -> None:
    found = commands.json("nearest", "org/m0", "-k", "3")
    assert len(found) == 3
    assert found[0]["of_version"] == three[1]
    assert found[0]["distance"] <= found[1]["distance"] <= found[2]["distance"]
    assert (
        commands.json("nearest", "org/m0", "--version", str(three[0]))[0]["of_version"] == three[0]
    )
    assert commands.json("nearest", "org/m0", "--kind", "cold", "--kind", "folded") == []
    assert commands.json("nearest", "org/m0", "--kind", "trained", "-k", "3") == found
    mit = commands.json("nearest", "org/m0", "--license", "mit")
    assert {each["name"] for each in mit} == {"org/m1", "org/m2"}
    assert commands.json("nearest", "org/m0", "--min-parameters", "1B") == []
    said = commands("nearest", "org/m0", "--task", "none", "--format", "table").stderr
    assert said == "No other model with a vector passes the filters.\n"


@pytest.fixture
def mixed(engine: Engine) -> list[str]:
    """Models on a line, by distance from the first; each but every third has outcomes."""
    with engine.begin() as connection:
        kinds = ["trained", "cold", "folded"] * 3
        vectors = np.arange(9, dtype=np.float32)[:, None] * np.ones(4, np.float32)
        kept(connection, vectors, kinds=kinds, uncertainties=np.full(9, 0.25, np.float32))
        write(connection, grid("b", {"org/m0": [1.0, 0.0, 1.0], "org/m2": [1.0, 1.0, None]}))
    return kinds


def test_nearest_prints_models_with_outcomes_first(commands: Commands, mixed: list[str]) -> None:
    found = commands.json("nearest", "org/m0")
    assert [each["name"] for each in found] == [
        *(f"org/m{at}" for at in (2, 3, 5, 6, 8)), *(f"org/m{at}" for at in (1, 4, 7))
    ]  # fmt: skip
    assert [each["kind"] for each in found] == [mixed[int(each["name"][5:])] for each in found]
    assert [each["basis"] for each in found] == ["both"] * 5 + ["one"] * 3
    assert [each["shared_items"] for each in found] == [2] + [0] * 7
    assert {each["uncertainty"] for each in found} == {0.25}
    few = commands.json("nearest", "org/m0", "-k", "2")
    assert [each["name"] for each in few] == ["org/m2", "org/m3", "org/m1", "org/m4"]
    header, *lines = commands.done("nearest", "org/m0", "--format", "csv").splitlines()
    assert header == "name,distance,kind,uncertainty,of_version,shared_items,basis"
    assert [line.split(",")[-1] for line in lines] == ["both"] * 5 + ["one"] * 3
    cold = commands.json("nearest", "org/m0", "--kind", "cold", "--kind", "folded")
    assert [each["name"] for each in cold] == [f"org/m{at}" for at in (2, 5, 8, 1, 4, 7)]


@pytest.mark.usefixtures("mixed")
def test_nearest_says_what_is_a_guess(commands: Commands) -> None:
    done = commands("nearest", "org/m0", "--format", "table", COLUMNS="200")
    assert done.stderr == ""
    measured, guessed = done.stdout.split("org/m1")
    assert "based on outcomes" in measured
    assert measured.count("of both") == 5
    assert "guess" not in measured
    assert guessed.count("of one: a guess") == 3
    done = commands("nearest", "org/m4", "--format", "table", COLUMNS="200")
    assert done.stderr == (
        "org/m4 has no outcomes in version 1: its own vector is predicted, and each distance is a "
        "guess.\n"
    )
    assert done.stdout.count("of one: a guess") == 6
    assert done.stdout.count("of none: a guess") == 2


def test_nearest_in_one_dimension_tells_levels_only(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        for name in names(3):
            model(connection, name)
        one = kept(connection, drawn(3, 1))
        two = kept(connection, drawn(3, 8))
        # Padded with zeros to the dimensions of the version before.
        three = kept(connection, drawn(3, 1), method="rasch")
    said = commands("nearest", "org/m0", "--version", str(one)).stderr
    assert f"Version {one} (mf) has one dimension, the level of a model" in said
    assert "outcomes of more models and items give more (it has 3 and 0)" in said
    assert commands("nearest", "org/m0", "--version", str(two)).stderr == ""
    said = commands("nearest", "org/m0", "--version", str(three)).stderr
    assert f"Version {three} (rasch) knows the level of a model alone" in said


def test_what_nearest_cannot_answer_is_said(
    commands: Commands, three: tuple[int, int, int], engine: Engine
) -> None:
    with engine.begin() as connection:
        model(connection, "org/bare")
    said = commands.refused(1, "nearest", "org/bare")
    assert f"has no vector in version {three[1]} of the embeddings; vector_states says why" in said
    assert "No model named 'org/nope'" in commands.refused(1, "nearest", "org/nope")
    assert "no version 99" in commands.refused(2, "nearest", "org/m0", "--version", "99")
    many = ("--min-parameters", "2B", "--max-parameters", "1B")
    assert "is more than" in commands.refused(2, "nearest", "org/m0", *many)


def test_train_counts_texts_that_are_too_long(
    commands: Commands, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.learning.encoders.hashing.LONGEST", 60)
    rng = np.random.default_rng(0)
    with engine.begin() as connection:
        for name, long in (("a", 6), ("b", 2)):
            asked = [Item(f"i{n}", f"What is {n}? " * (9 if n < long else 1)) for n in range(12)]
            runs = [run(model, list(rng.integers(0, 2, 12).astype(float))) for model in names(8)]
            write(connection, block(name, *runs, asked=asked))
    done = commands("train", "--method", "rasch", "--encoder", "hashing", "--no-promote")
    assert done.exit_code == 0, done.output
    assert (
        "The texts of 8 items are longer than the encoder reads, so that only their ends count: "
        "6 of a, 2 of b." in done.stderr
    )


def test_route(commands: Commands, engine: Engine) -> None:
    encoder = open_encoder("hashing")
    prompt = "What is 7 times 6?"
    vector = encoder.encode([prompt])[0]
    serving = np.zeros((3, encoder.dimension + 1), np.float32)
    serving[1, :-1], serving[2, :-1] = 2 * vector, -vector
    with engine.begin() as connection:
        kept(connection, drawn(3), serving=serving, encoder=encoder.name)
    found = commands.json("route", prompt)
    assert [row["model"] for row in found] == ["org/m1", "org/m0", "org/m2"]
    assert [row["logit"] for row in found] == pytest.approx([2, 0, -1], abs=1e-5)
    assert found[1]["probability"] == 0.5
    assert commands.done("route", prompt, "-k", "1", "--format", "quiet") == "org/m1\n"
    assert "0.881" in commands.done("route", prompt, "--format", "table")
    asked = ("route", "-", "--pool", "org/m2", "--pool", "ORG/M0", "--format", "quiet")
    assert commands(*asked, stdin=prompt + "\n").stdout.split() == ["org/m0", "org/m2"]
    assert "No model named 'org/m7'" in commands.refused(1, "route", prompt, "--pool", "org/m7")
    assert "The prompt is empty" in commands.refused(2, "route", " ")
    whole = commands("route", "-", stdin="x " * (LONGEST // 2))
    assert (whole.exit_code, "longer" in whole.stderr) == (0, False)
    cut = commands("route", "-", stdin="x " * (LONGEST // 2) + "end")
    assert (cut.exit_code, "The prompt is longer than hashing-" in cut.stderr) == (0, True)


def test_what_cannot_route_says_so(commands: Commands, engine: Engine) -> None:
    assert "no embeddings yet" in commands.refused(1, "route", "hello")
    with engine.begin() as connection:
        kept(connection, drawn(3))
    assert "cannot route prompts" in commands.refused(1, "route", "hello")
