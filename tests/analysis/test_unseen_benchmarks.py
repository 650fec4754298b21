"""Probes on outcomes whose abilities are known: predictions of benchmarks not learned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from sqlalchemy import Engine

from registry.analysis.unseen_benchmarks import ProbeOptions, contributions, predict_benchmarks
from registry.db import connection as database
from registry.embeddings import versions
from registry.errors import RegistryError, UsageError
from registry.evaluations.importer import import_files

if TYPE_CHECKING:
    from databases import Databases

ITEMS = 40
ABILITIES: Mapping[str, Sequence[float]] = {
    "facts": (0, 1.5),
    "guesses": (0, 0),
    "maths": (1.5, 0),
    "sums": (1.5, 0),
}
"""What each benchmark asks of two abilities that have nothing to do with each other."""


def fill(engine: Engine, names: Sequence[str] = tuple(ABILITIES), *, models: int = 80) -> None:
    """Put outcomes of models on benchmarks into a database."""
    random = np.random.default_rng(0)
    abilities = random.normal(size=(models, 2))
    with engine.begin() as connection:
        for name in ABILITIES:
            logits = abilities @ np.array(ABILITIES[name])
            chances = 1 / (1 + np.exp(-logits[:, None] - random.normal(size=ITEMS)))
            outcomes = (random.random(chances.shape) < chances).astype(float)
            if name in names:
                runs = [run(f"org/m{number}", list(row)) for number, row in enumerate(outcomes)]
                write(connection, block(name, *runs))


@pytest.fixture
def filled(engine: Engine) -> Engine:
    fill(engine)
    return engine


def test_a_benchmark_of_the_same_ability_is_predicted_and_others_are_not(filled: Engine) -> None:
    steps: list[str] = []
    found = predict_benchmarks(filled, on_progress=lambda what, *_: steps.append(what))
    of = {each.benchmark: each.prediction for each in found.unseen}
    assert [*of] == [*ABILITIES]
    assert {each.items for each in found.unseen} == {ITEMS}
    assert {(each.models, each.splits) for each in of.values()} == {(80, 100)}
    for name in ("maths", "sums"):
        assert of[name].significant > 95
        assert np.nanmean(of[name].taus) > 0.6
        assert of[name].mse < of[name].mse_of_mean / 3
    # Nobody else asks for facts, and guesses are nobody's.
    for name in ("facts", "guesses"):
        assert of[name].significant < 30
        assert of[name].mse > of[name].mse_of_mean * 0.9
    assert found.too_few == {}
    assert "1 of 4, without facts: irt of rank 16" in steps
    assert "4 of 4, without sums: irt of rank 16" in steps
    with filled.connect() as connection:
        assert versions.list_versions(connection) == []


def test_names_of_one_benchmark_are_left_out_together(engine: Engine) -> None:
    """By any of them: learned from under another name it would not be unseen."""
    fill(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE store.benchmarks SET canonical = 'maths' WHERE name = 'sums'"
        )
    for asked in ("maths", "sums"):
        options = ProbeOptions(benchmarks=[asked], splits=20)
        (found,) = predict_benchmarks(engine, options).unseen
        assert (found.benchmark, found.items) == ("maths", 2 * ITEMS)
        assert found.prediction.significant < 10


def test_asked_for_one_benchmark_it_learns_from_all_others(filled: Engine) -> None:
    (alone,) = predict_benchmarks(filled, ProbeOptions(benchmarks=["sums"], splits=20)).unseen
    everyone = predict_benchmarks(filled, ProbeOptions(splits=20)).unseen
    (among,) = (each for each in everyone if each.benchmark == "sums")
    np.testing.assert_array_equal(alone.prediction.taus, among.prediction.taus)


def test_seed_and_models_that_are_drawn(filled: Engine) -> None:
    wanted = ProbeOptions(benchmarks=["sums"], models=30, splits=20)
    first, again, other = (
        predict_benchmarks(filled, each).unseen[0].prediction
        for each in (
            wanted,
            wanted,
            ProbeOptions(benchmarks=["sums"], models=30, splits=20, seed=1),
        )
    )
    assert first.models == 30
    np.testing.assert_array_equal(first.taus, again.taus)
    assert (first.taus != other.taus).any()


@pytest.mark.parametrize("method", ["rasch", "mf"])
def test_other_methods(filled: Engine, method: str) -> None:
    options = ProbeOptions(method=method, benchmarks=["maths"], splits=20)
    (found,) = predict_benchmarks(filled, options).unseen
    assert found.prediction.mse < found.prediction.mse_of_mean


def test_models_that_nothing_was_learned_of_do_not_count(filled: Engine) -> None:
    (before,) = predict_benchmarks(filled, ProbeOptions(benchmarks=["sums"], splits=5)).unseen
    with filled.begin() as connection:
        write(
            connection,
            block("sums", *(run(f"new/{n}", [n % 2] * ITEMS) for n in range(20))),
            block("rare", *(run(f"org/m{n}", [1.0, 0.0]) for n in range(9))),
        )
    (after,) = predict_benchmarks(filled, ProbeOptions(benchmarks=["sums"], splits=5)).unseen
    assert before.prediction.models == after.prediction.models == 80
    found = predict_benchmarks(filled, ProbeOptions(benchmarks=["rare", "sums"], splits=5))
    assert [each.benchmark for each in found.unseen] == ["sums"]
    assert found.too_few == {"rare": 9}
    drawn = predict_benchmarks(filled, ProbeOptions(benchmarks=["sums"], models=75, splits=5))
    assert drawn.unseen[0].prediction.models == 75


def test_a_related_benchmark_teaches_more(filled: Engine, tmp_path: Path) -> None:
    picture = tmp_path / "contributions.png"
    steps: list[str] = []
    found = contributions(
        filled,
        ProbeOptions(splits=20),
        picture=picture,
        on_progress=lambda what, *_: steps.append(what),
    )
    assert list(found.benchmarks) == [*ABILITIES]
    gains = {
        (one, other): found.gains[row, column]
        for row, one in enumerate(found.benchmarks)
        for column, other in enumerate(found.benchmarks)
    }
    for one, other in (("maths", "sums"), ("sums", "maths")):
        assert gains[one, other] > 0.02
        assert gains[one, other] > 5 * max(gains["facts", other], gains["guesses", other])
    assert abs(gains["maths", "facts"]) < 0.02
    assert np.diag(found.gains).tolist() == [0, 0, 0, 0]
    # Four trainings without one benchmark, six without two.
    assert {step.split(",")[0] for step in steps if " of 10" in step} == {
        f"{number} of 10" for number in range(1, 11)
    }
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    with filled.connect() as connection:
        assert versions.list_versions(connection) == []


def test_contributions_of_some_look_at_no_others(filled: Engine) -> None:
    some = ["facts", "maths", "sums"]
    before = contributions(filled, ProbeOptions(benchmarks=some, splits=5))
    with filled.begin() as connection:
        runs = (run(f"org/m{n}", [float(n % 2)] * 30) for n in range(80))
        write(connection, block("more", *runs))
    after = contributions(filled, ProbeOptions(benchmarks=some, splits=5))
    assert list(after.benchmarks) == some
    np.testing.assert_array_equal(after.gains, before.gains)


def test_what_cannot_be_probed_is_said(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no outcomes to learn from"):
        predict_benchmarks(engine)
    fill(engine, ["sums"])
    with pytest.raises(UsageError, match="only one benchmark, sums"):
        predict_benchmarks(engine)
    fill(engine, ["facts"])
    with pytest.raises(UsageError, match="three benchmarks; there are 2: facts, sums"):
        contributions(engine)
    with pytest.raises(UsageError, match="named 'nope'; there are facts, sums"):
        predict_benchmarks(engine, ProbeOptions(benchmarks=["nope"]))
    with pytest.raises(UsageError, match="'knn' cannot be probed; these give vectors: irt, rasch"):
        predict_benchmarks(engine, ProbeOptions(method="knn"))
    with pytest.raises(RegistryError, match="needs items with texts"):
        predict_benchmarks(engine, ProbeOptions(method="mf-text"))
    taken = tmp_path / "taken.png"
    taken.touch()
    for path in (taken, tmp_path / "none" / "new.png"):
        with pytest.raises(UsageError, match="There is (a file|no folder)"):
            contributions(engine, picture=path)


def test_too_few_models_are_said(engine: Engine) -> None:
    fill(engine, ["facts", "maths", "sums"], models=9)
    with pytest.raises(UsageError, match="on another one; there are 9 on facts, 9 on maths"):
        predict_benchmarks(engine)
    with pytest.raises(UsageError, match="on two others; there are 9 on facts, 9 on maths"):
        contributions(engine)


def test_the_command_that_leaves_benchmarks_out(commands: Commands, filled: Engine) -> None:
    with filled.begin() as connection:
        write(connection, block("rare", *(run(f"org/m{n}", [1.0, 0.0]) for n in range(9))))
    call = ("embeddings", "probe", "benchmarks", "--splits", "10")
    rows = {row["benchmark"]: row for row in commands.json(*call)}
    assert rows.keys() == ABILITIES.keys()
    assert rows["sums"]["significant"] > 8
    assert rows["sums"]["tau"] > 0.5
    assert rows["sums"]["rmse"] < rows["sums"]["rmse_of_mean"]
    (drawn,) = commands.json(*call, "--models", "60", "--benchmark", "sums", "--method", "rasch")
    assert drawn["models"] == 60
    assert drawn["tau"] != rows["sums"]["tau"]
    result = commands(*call, "--format", "table")
    assert "Significant in most splits: 2 of 4 benchmarks" in result.stderr
    assert "rare is left out: 9 models were evaluated on it and on another one" in result.stderr
    assert "rmse of mean" in result.stdout
    assert "sums" in result.stdout
    assert "named 'nope'; there are facts" in commands.refused(2, *call, "--benchmark", "nope")


def test_the_command_for_contributions(commands: Commands, filled: Engine, tmp_path: Path) -> None:
    picture = tmp_path / "contributions.png"
    call = ("embeddings", "probe", "contributions", "--splits", "10")
    found = commands.json(*call, "--plot", str(picture))
    assert picture.stat().st_size > 1000
    assert found["gains"]["maths"].keys() == {"facts", "guesses", "sums"}
    assert found["given"]["maths"] == pytest.approx(sum(found["gains"]["maths"].values()))
    assert found["taken"]["maths"] == pytest.approx(
        sum(row["maths"] for row in found["gains"].values() if "maths" in row)
    )
    some = [word for name in ("facts", "maths", "sums") for word in ("--benchmark", name)]
    lines = commands.done(*call, *some, "--format", "table").splitlines()
    assert lines[0].split() == ["added", "facts", "maths", "sums", "given"]
    assert [line.split()[0] for line in lines[2:]] == ["facts", "maths", "sums", "taken"]
    assert [len(line.split()) for line in lines[2:]] == [4, 4, 4, 5]
    assert "already" in commands.refused(2, *call, "--plot", str(picture))
    assert "at least three" in commands.refused(2, *call, *some[:4])


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["communities"], "scipy"),
        (["benchmarks"], "torch"),
        (["contributions", "--plot", "x.png"], "matplotlib"),
    ],
)
def test_without_the_extra_it_says_what_to_install(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, words: list[str], missing: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else 1)
    said = commands.refused(1, "embeddings", "probe", *words)
    assert f"Probing needs {missing}, which is not installed: pip install" in said


@pytest.mark.shared
def test_real_benchmarks_are_predicted_from_others(databases: "Databases", shared: Path) -> None:
    folder = shared / "metabench-responses"
    parts = [folder / f"responses_{name}.parquet" for name in ("arc", "mmlu", "winogrande")]
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        import_files(engine, parts)
        found = predict_benchmarks(engine, ProbeOptions(models=112, splits=50))
        engine.dispose()
    for each in found.unseen:
        assert each.prediction.significant > 40, each.benchmark
        assert each.prediction.mse < each.prediction.mse_of_mean / 2, each.benchmark
