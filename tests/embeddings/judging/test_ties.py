"""What a version could not tie together is said, by name."""

from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import Grid, grid, write
from sqlalchemy import Engine

from registry.embeddings import training
from registry.embeddings.judging.sentences import tie_warnings
from registry.embeddings.training import TrainingOptions

IRT = TrainingOptions(method="irt", promote=False)


def answers(models: range, items: int, prefix: str = "org/m", seed: int = 0) -> Grid:
    """Return outcomes of models of one ability on one benchmark."""
    rng = np.random.default_rng((seed, items))
    ability, easiness = rng.normal(size=(len(models), 1)), rng.normal(size=items)
    right = rng.random((len(models), items)) < 1 / (1 + np.exp(-ability - easiness))
    return {f"{prefix}{n}": list(row) for n, row in zip(models, right.astype(float), strict=True)}


def ties(engine: Engine, options: TrainingOptions = IRT) -> tuple[list[dict[str, Any]], list[str]]:
    version = training.train(engine, options)
    assert version is not None
    return version.metrics["ties"], tie_warnings(version.metrics)


def test_exams_that_nothing_joins_are_named(engine: Engine, commands: Commands) -> None:
    with engine.begin() as connection:
        write(connection, grid("sums", answers(range(30), 40)))
        write(connection, grid("cities", answers(range(20), 30, "lab/x")))
    found, said = ties(engine)
    assert [(each["benchmarks"], each["models"], each["linked"]) for each in found] == [
        (["sums"], 30, 0), (["cities"], 20, 0)
    ]  # fmt: skip
    share = f"{found[1]['explained']:.0%}"
    assert len(said) == 1
    assert said[0] == (
        "Little ties cities to the larger exams: 0 of its 20 models took one of those, and they "
        f"and the catalog explain {share} of what its models answer. Distances between its models "
        "and others say little."
    )
    train = ("train", "--encoder", "none", "--method", "irt")
    assert said[0] in commands(*train).stderr
    unchanged = commands(*train, "--if-changed").stderr
    assert "so nothing was trained" in unchanged
    assert said[0] not in unchanged, "it was said when the version was trained"
    shown = commands("embeddings", "show", "1")
    assert said[0] in shown.stderr
    near = commands("nearest", "org/m0", "-k", "29", "--version", "1")
    assert said[0] in near.stderr, "models of the other exam are among so many"
    near = commands("nearest", "org/m0", "-k", "1", "--version", "1")
    assert (said[0] in near.stderr) == ("lab/" in near.stdout)


def test_exams_of_the_same_models_are_tied(engine: Engine) -> None:
    with engine.begin() as connection:
        first, second = answers(range(30), 40), answers(range(30), 40, seed=0)
        write(connection, grid("sums", first))
        # A third of the models took both: two exams, of one ability.
        write(connection, grid("cities", {n: second[n] for n in list(second)[22:]}))
        write(connection, grid("cities", answers(range(40, 60), 40, "org/m")))
    found, said = ties(engine)
    assert [each["linked"] for each in found] == [0, 8]
    assert found[1]["explained"] > 0.1
    assert said == []


@pytest.mark.parametrize("method", ["irt", "mf"])
def test_a_benchmark_too_small_for_an_exam_of_its_own_is_named(engine: Engine, method: str) -> None:
    with engine.begin() as connection:
        write(connection, grid("sums", answers(range(30), 40)))
        write(connection, grid("single", {f"lab/x{n}": [n % 2] for n in range(10)}))
        write(connection, grid("lone", {"lab/y": [0, 1, 1]}))
    found, said = ties(engine, TrainingOptions(method=method, promote=False))
    assert [each["benchmarks"] for each in found] == [["lone", "single", "sums"]]
    little = "benchmark that was learned with it. Distances between them and others say little."
    assert said == [
        f"None of the 10 models that took single took another {little}",
        f"The one model that took lone took no other {little}",
    ]


def test_a_method_without_exams_says_what_shares_no_model(engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, grid("sums", answers(range(30), 40)))
        write(connection, grid("cities", answers(range(20), 30, "lab/x")))
    found, said = ties(engine, TrainingOptions(method="mf", promote=False))
    assert (found[0]["models"], found[0]["linked"], found[0]["explained"]) == (50, None, None)
    assert found[0]["apart"] == [{"benchmarks": ["cities"], "models": 20}]
    assert len(said) == 1
    assert "None of the 20 models that took cities" in said[0]


def test_a_method_without_exams_counts_a_model_of_two_exams_once(engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, grid("sums", answers(range(30), 40)))
        write(connection, grid("cities", answers(range(26, 46), 40)))
    found, said = ties(engine, TrainingOptions(method="mf", promote=False))
    assert (found[0]["models"], found[0]["apart"]) == (46, [])
    assert said == []


def test_versions_of_before_ties_were_named_say_nothing() -> None:
    old = {"items": 60, "linked": 0, "models": 40, "explained": 0.0}
    assert tie_warnings({"ties": [old, old]}) == []
    assert tie_warnings({}) == []


def test_of_many_the_first_are_named_and_the_rest_counted() -> None:
    tie = {"models": 9, "items": 9, "linked": 0, "explained": 0.0, "apart": []}
    exams = [{**tie, "benchmarks": [f"b{n}"]} for n in range(6)]
    exams[0]["apart"] = [{"benchmarks": [f"c{n}"], "models": 2} for n in range(4)]
    said = tie_warnings({"ties": exams})
    assert [each.split(" to ")[0] for each in said[:3]] == [f"Little ties b{n}" for n in (1, 2, 3)]
    assert said[3] == "The same is true of 2 more exams, listed by `registry embeddings show`."
    assert [each[each.index("that") : each.index("took another")] for each in said[4:7]] == [
        "that took c0 ",
        "that took c1 ",
        "that took c2 ",
    ]
    assert said[7] == "The same is true of 1 more, which `metrics` names."
