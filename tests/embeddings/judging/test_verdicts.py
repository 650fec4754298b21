"""Verdicts on stored versions, from outcomes in a database."""

from dataclasses import replace

import numpy as np
import pytest
from evaluated import block, grid, run, write
from learned import kept
from planted import fill
from sqlalchemy import Engine, text

from registry.embeddings import dataset, training, versions
from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging.evidence import Evidence
from registry.embeddings.judging.verdicts import judged
from registry.embeddings.read import read_embeddings, read_items
from registry.embeddings.save import TrainedVersion
from registry.embeddings.training import TrainingOptions
from registry.embeddings.versions import Verdict
from registry.learning.factorization.problem import sigmoid
from registry.learning.metrics import log_loss

IRT = TrainingOptions(method="irt")


def read(engine: Engine) -> TrainingData:
    with engine.connect() as connection:
        return dataset.read(connection)


def put(engine: Engine, data: TrainingData, seed: int, noise: float) -> int:
    """Make a version current that knows the outcomes' level and little more."""
    rng = np.random.default_rng(seed)
    means = np.nan_to_num(data.matrix.values, nan=0.5).mean(axis=0)
    offsets = np.log(means / (1 - means)) + noise * rng.normal(size=len(means))
    vectors = rng.normal(size=(len(data.matrix.models), 4)).astype(np.float32)
    items = np.column_stack([np.zeros((len(means), 4)), offsets]).astype(np.float32)
    with engine.begin() as connection:
        return kept(
            connection, vectors, data.matrix.models, items=data.matrix.columns, item_vectors=items
        )


def test_a_bad_version_does_not_stay_for_ever(engine: Engine) -> None:
    """Other neighbours, other method and rank, and a far lower log loss."""
    fill(engine)
    one = put(engine, read(engine), 0, 1.0)
    version = training.train(engine, IRT)
    assert version is not None
    assert version.churn is not None
    assert version.churn > 0.5
    assert version.current, version.reason
    assert "more than 50%, for a gain of +" in str(version.reason)
    assert "method irt instead of mf, rank " in str(version.reason)
    assert version.aligned_to == one
    assert version.alignment_residual is not None


def made(data: TrainingData, seed: int, worse: str | None = None) -> TrainedVersion:
    """Return a version of the true kind, that mistakes the items of one benchmark."""
    outcomes = np.nan_to_num(data.matrix.values, nan=0.5)
    level = np.log((outcomes.mean(axis=1) + 0.1) / (1.1 - outcomes.mean(axis=1)))
    means = outcomes.mean(axis=0) * 0.9 + 0.05
    offsets = np.log(means / (1 - means))
    rng = np.random.default_rng(seed)
    for place, column in enumerate(data.matrix.columns):
        if column.benchmark == worse:
            offsets[place] += rng.normal(0, 2)
    items = np.column_stack([np.ones(len(means)), offsets]).astype(np.float32)
    return TrainedVersion(
        method="mf",
        models=data.matrix.models,
        vectors=level[:, None].astype(np.float32),
        items=data.matrix.columns,
        item_vectors=items,
        settings={},
        metrics={},
        data_fingerprint="x",
        code_version="0",
        device="cpu",
        seed=0,
        seconds=1.0,
        outcomes=1,
    )


def verdict(engine: Engine, trained: TrainedVersion, data: TrainingData) -> Verdict:
    evidence = Evidence.read(engine, data, data.held_out)
    with engine.connect() as connection:
        return judged(connection, trained, evidence, margin=0.002, most_churn=1.0)


def test_a_lost_benchmark_is_named_by_its_canonical_name(engine: Engine) -> None:
    rng = np.random.default_rng(3)
    level = rng.normal(size=60)[:, None]
    with engine.begin() as connection:
        for name, count in (("large", 400), ("GSM 8K", 80)):
            p = 1 / (1 + np.exp(-level - rng.normal(size=count)))
            right = (rng.random(p.shape) < p).astype(float)
            write(connection, grid(name, {f"org/m{n}": list(right[n]) for n in range(60)}))
    data = read(engine)
    put(engine, data, 1, 0.3)
    good = verdict(engine, made(data, 0), data)
    assert good.promoted, good.reason
    bad = verdict(engine, made(data, 0, worse="GSM 8K"), data)
    assert not bad.promoted
    assert "but worse beyond noise on gsm8k (-" in bad.reason
    assert "large" not in bad.reason


def test_a_benchmark_under_its_canonical_name_is_not_missed(engine: Engine) -> None:
    fill(engine)
    data = read(engine)
    put(engine, data, 1, 0.3)
    found = verdict(engine, made(data, 0), data)
    assert "neighbours changed; rank " in found.reason
    assert "without" not in found.reason, "arc, which is arc_challenge"


def test_only_what_both_versions_predict_is_compared(engine: Engine) -> None:
    """A version without some of the models and items loses or gains nothing by those."""
    fill(engine)
    data = read(engine)
    first = made(data, 0)
    assert first.item_vectors is not None
    with engine.begin() as connection:
        kept(
            connection,
            first.vectors[:30],
            data.matrix.models[:30],
            items=data.matrix.columns[:90],
            item_vectors=first.item_vectors[:90],
        )
    hidden = data.held_out[:30, :90]
    outcomes, logits = data.matrix.values[:30, :90], first.vectors + first.item_vectors[:, 1]
    loss = log_loss(outcomes[hidden], sigmoid(logits[:30, :90][hidden]))
    found = verdict(engine, first, data)
    assert found.promoted
    assert found.reason.startswith(f"held-out log loss {loss:.4f} against {loss:.4f}, 0% of")


def test_without_held_out_outcomes_it_is_refused_in_a_sentence(engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, grid("arc", {"org/m0": [1], "org/m1": [0]}))
    data = read(engine)
    assert not data.held_out.any()
    found = verdict(engine, made(data, 0), data)
    assert not found.promoted
    assert found.reason.startswith("no outcome is held out to judge it by")


def test_metrics_are_of_what_is_served_by_benchmark_too(engine: Engine) -> None:
    fill(engine)
    version = training.train(engine, TrainingOptions(method="blend", encoder="hashing"))
    assert version is not None
    data = read(engine)
    evidence = Evidence.read(engine, data, data.held_out)
    with engine.connect() as connection:
        stored = read_embeddings(connection, version.version)
        columns, items = read_items(connection, version.version)
    assert list(stored.models) == list(data.matrix.models)
    assert columns == list(data.matrix.columns)
    served = evidence.metrics(stored.vectors, items)
    metrics = version.metrics
    for name in ("accuracy", "auc", "log_loss", "rmse_m"):
        assert metrics["held_out"][name] == pytest.approx(served["held_out"][name], abs=1e-5)
    assert metrics["blend"]["log_loss"] != metrics["held_out"]["log_loss"]
    by_benchmark = metrics["by_benchmark"]
    assert set(by_benchmark) == {"arc_challenge", "gsm"}, "canonical names"
    counts = [each["count"] for each in by_benchmark.values()]
    assert sum(counts) == data.held_out.sum()
    for figure, whole in (("log_loss", metrics["held_out"]), ("baseline", metrics["baseline"])):
        parts = [each[figure] for each in by_benchmark.values()]
        assert np.average(parts, weights=counts) == pytest.approx(whole["log_loss"], abs=1e-6)
    assert metrics["coverage"]["benchmarks"]["arc_challenge"] == {
        "models": 40, "items": 60, "outcomes": int(data.matrix.mask[:, :60].sum())
    }  # fmt: skip
    assert (metrics["coverage"]["exams"], metrics["coverage"]["one_exam"]) == (1, 40)
    assert metrics["mixing"] == {"neighbours": 5, "exams": []}, "all took the one exam"
    # As stored, not by canonical name: what an item is found by.
    assert metrics["reference"]["items"] == 120
    reference = metrics["reference"]["benchmarks"]
    assert reference == {
        "arc": {"items": 60, "weight": 0.5}, "gsm": {"items": 60, "weight": 0.5}
    }  # fmt: skip
    with engine.connect() as connection:
        assert read_embeddings(connection).provenance["reference"] == metrics["reference"]


def test_two_exams_are_measured_beside_the_catalog(engine: Engine) -> None:
    fill(engine)
    rng = np.random.default_rng(0)
    with engine.begin() as connection:
        right = (rng.random((12, 50)) < rng.random((12, 1))).astype(float)
        runs = [run(f"lab/x{n}-7b", list(right[n])) for n in range(11)]
        write(connection, block("quiz", *runs, run("org/m0", list(right[11]))))
        connection.execute(text("UPDATE store.models SET parameters = 7000000000 WHERE name ~ 'x'"))
    version = training.train(engine, replace(IRT, promote=False))
    assert version is not None
    exams = {tuple(each["benchmarks"]): each for each in version.metrics["mixing"]["exams"]}
    assert set(exams) == {("arc", "gsm"), ("quiz",)}
    quiz = exams["quiz",]
    assert (quiz["models"], quiz["only"]) == (12, 11)
    assert quiz["chance"] == pytest.approx(11 / 50)
    assert quiz["catalog"] > 0.9, "names and size alone tell them apart"
    assert 0 <= quiz["share"] <= 1
    assert version.metrics["coverage"]["one_exam"] == 50


@pytest.mark.parametrize("case", ["same", "one item", "one benchmark"])
def test_odd_outcomes_end_in_sentences(engine: Engine, case: str) -> None:
    """Models with the same outcomes to the bit, a benchmark of one item, one benchmark only."""
    rng = np.random.default_rng(1)
    right = (rng.random((15, 80)) < rng.random((1, 80))).astype(float)
    if case == "same":
        right[:] = right[0]
    with engine.begin() as connection:
        write(connection, grid("quiz", {f"org/m{n}": list(right[n]) for n in range(15)}))
        if case == "one item":
            write(connection, grid("single", {f"org/m{n}": [n % 2] for n in range(15)}))
    for seed in range(2):
        version = training.train(engine, replace(IRT, seed=seed))
        assert version is not None
        assert version.state in {"current", "refused"}
        assert version.reason
        assert "nan" not in version.reason
        with engine.connect() as connection:
            assert versions.read_version(connection, version.version) == version
