"""Trainings from the outcomes in a database to versions in it, and comparisons of methods."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, items, run, write
from factories import rows
from forks import Forks
from planted import fill
from sqlalchemy import Engine, text

from registry.db.jobs import Lock, exclusive
from registry.embeddings import dataset, training, versions
from registry.embeddings import read as vectors
from registry.embeddings.comparing.comparison import compare
from registry.embeddings.training import TrainingOptions
from registry.errors import LockHeldError, RegistryError, UsageError
from registry.evaluations.records import Item
from registry.prediction.outcomes import predict_outcomes

WITHOUT_TEXT = TrainingOptions(method="irt")


PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'store.embeddings'::regclass"


@pytest.fixture
def filled(engine: Engine) -> Engine:
    fill(engine)
    return engine


def count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(query)) or 0)


def test_a_training_becomes_the_current_version(filled: Engine) -> None:
    version = training.train(filled, TrainingOptions(method="blend", encoder="hashing"))
    assert version is not None
    assert (version.current, version.state) == (True, "current")
    assert "first version" in str(version.reason)
    assert (version.models, version.items) == (40, 120)
    assert version.encoder == "hashing-512"
    assert version.serving_dimension == 513
    assert version.trials
    assert version.metrics["held_out"]["auc"] > version.metrics["baseline"]["auc"]
    assert version.metrics["held_out"]["log_loss"] < version.metrics["baseline"]["log_loss"]
    assert version.settings["method"] == "blend"
    with filled.connect() as connection:
        found = vectors.read_embeddings(connection)
        data = dataset.read(connection)
        columns, items = vectors.read_items(connection, version.version)
        nearest = rows(connection, "SELECT name FROM registry.nearest_models('org/m0', 5)")
        (job,) = rows(
            connection, "SELECT status, summary FROM registry.job_runs WHERE job = 'train'"
        )
        routed = connection.execute(
            text("SELECT model, probability FROM registry.route(CAST(:q AS vector), 3)"),
            {"q": str([1.0] + [0.0] * 511)},
        ).all()
        example = connection.scalar(
            text("SELECT obj_description('registry.embedding_versions'::regclass)")
        )
        [shown] = rows(connection, str(example).partition("Example:")[2])
    assert float(shown[-1]) == version.metrics["held_out"]["log_loss"]
    intervals = version.metrics["intervals"]
    assert intervals["cells"] == data.held_out.sum()
    assert 0.75 <= intervals["coverage"] <= 1
    assert 0 < intervals["calibration_error"] < 0.15
    assert version.calibrated is (
        0.85 <= intervals["coverage"] <= 0.95 and intervals["calibration_error"] <= 0.05
    )
    assert found.variances is not None
    assert (found.variances > 0).all()
    assert found.models == list(data.matrix.models)
    assert columns == list(data.matrix.columns)
    assert len(nearest) == 5
    assert job[0] == "done"
    assert len(routed) == 3
    # What is kept predicts the outcomes that were not trained on.
    hidden = data.held_out
    assert version.outcomes == data.problem.count - hidden.sum()
    logits = found.vectors @ items[:, :-1].T + items[:, -1]
    right = (logits > 0) == (data.matrix.values > 0.5)
    assert right[hidden].mean() > 0.7


def test_texts_of_the_named_benchmarks_alone_are_encoded(filled: Engine) -> None:
    options = TrainingOptions(benchmarks=["arc"], encoder="hashing")
    with filled.connect() as connection:
        asked = connection.scalar(
            text("""
            SELECT count(DISTINCT i.prompt) FROM store.items i JOIN store.benchmarks b
                USING (benchmark_id) WHERE b.name = 'arc'""")
        )
    data = training.read_data(filled, options)
    assert {each.benchmark for each in data.matrix.columns} == {"arc"}
    assert count(filled, "SELECT count(*) FROM store.text_vectors") == asked


def test_the_same_seed_gives_the_same_vectors(filled: Engine) -> None:
    first = training.train(filled, WITHOUT_TEXT)
    second = training.train(filled, replace(WITHOUT_TEXT, promote=False))
    assert first is not None
    assert second is not None
    with filled.connect() as connection:
        one, two = (
            vectors.read_embeddings(connection, each.version).vectors for each in (first, second)
        )
    assert first.data_fingerprint == second.data_fingerprint
    assert second.alignment_residual == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_what_is_held_out_stays_so_when_outcomes_are_added(filled: Engine) -> None:
    with filled.connect() as connection:
        before = dataset.read(connection)
    with filled.begin() as connection:
        write(
            connection, block("new", run("org/a", [1.0, 0.0, 1.0]), run("org/m3", [0.0, 1.0, 1.0]))
        )
    with filled.connect() as connection:
        after = dataset.read(connection)
    rows_ = [list(after.matrix.models).index(each) for each in before.matrix.models]
    columns = [list(after.matrix.columns).index(each) for each in before.matrix.columns]
    np.testing.assert_array_equal(after.held_out[np.ix_(rows_, columns)], before.held_out)
    share = before.held_out.sum() / before.problem.count
    assert 0.03 < share < 0.07


def test_what_has_no_outcome_to_learn_from_is_not_in_the_version(filled: Engine) -> None:
    """A model all of whose outcomes are held out, and an item that no model has an outcome on."""
    with filled.begin() as connection:
        runs = (run(f"lab/x{n}", [None] * n + [1.0] + [None] * (59 - n)) for n in range(40))
        write(connection, block("arc", *runs, asked=items(60)))
        write(connection, block("gsm", asked=[*items(60), Item("unseen")]))
    with filled.connect() as connection:
        data = dataset.read(connection)
    unseen = ~(data.matrix.mask & ~data.held_out).any(axis=1)
    only = [data.matrix.models[row] for row in np.flatnonzero(unseen).tolist()]
    assert only, "by the names, some of the forty are held out"
    assert all(name.startswith("lab/") for name in only)
    assert data.matrix.columns[-1].item == "unseen"
    report = training.train_and_place(filled, WITHOUT_TEXT)
    assert report.version is not None
    assert (report.version.models, report.version.items) == (80 - len(only), 120)
    assert report.version.metrics["coverage"]["models"] == 80 - len(only)
    with filled.connect() as connection:
        found = vectors.read_embeddings(connection)
        kinds = dict(zip(found.models, found.kind.tolist(), strict=True))
        assert {kinds[name] for name in only} == {"folded"}
        assert {kind for name, kind in kinds.items() if name not in only} == {"trained"}
        with pytest.raises(UsageError, match="No item named 'gsm:unseen' has a vector"):
            predict_outcomes(connection, "org/m0", "gsm:unseen")


def test_a_version_that_falls_short_is_refused_and_changes_nothing(filled: Engine) -> None:
    first = training.train(filled, WITHOUT_TEXT)
    assert first is not None
    with filled.connect() as connection:
        before = vectors.read_embeddings(connection)
    # A margin below 0 asks for an improvement, which the same training is not.
    second = training.train(filled, replace(WITHOUT_TEXT, margin=-0.1))
    assert second is not None
    assert (second.state, second.current) == ("refused", False)
    assert str(second.reason).endswith(": no gain of 0.1")
    with filled.connect() as connection:
        current = versions.current_version(connection)
        after = vectors.read_embeddings(connection)
    assert current is not None
    assert current.version == first.version
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_vectors_that_tell_no_more_than_means_are_refused(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    with engine.begin() as connection:
        noise = (rng.random((12, 60)) < 0.5).astype(float)
        write(connection, block("noise", *(run(f"org/m{n}", list(noise[n])) for n in range(12))))
    version = training.train(engine, WITHOUT_TEXT)
    assert version is not None
    assert version.state == "refused"
    assert "means" in str(version.reason)


def test_one_training_at_a_time(filled: Engine) -> None:
    with exclusive(filled, Lock.TRAINING), pytest.raises(LockHeldError):
        training.train(filled, WITHOUT_TEXT)


def test_no_connection_is_held_while_it_computes(filled: Engine) -> None:
    # But for the guard of the job, which looks once a second for readers that are in its way.
    others = """
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND application_name <> 'registry guard'"""
    held: list[int] = []

    def on_progress(*_: object) -> None:
        # One that was closed just now may still be listed for a moment.
        until = time.monotonic() + 2
        while (found := count(filled, others)) > 1 and time.monotonic() < until:
            time.sleep(0.01)
        held.append(found)

    training.train(filled, WITHOUT_TEXT, on_progress=on_progress)
    assert held
    # The one that holds the lock against a second training.
    assert max(held) <= 1


@pytest.mark.parametrize("moment", ["it began", "half a second later", "it is saved"])
def test_a_killed_training_leaves_no_half_version(
    filled: Engine, forks: Forks, moment: str
) -> None:
    first = training.train(filled, WITHOUT_TEXT)
    assert first is not None
    url = filled.url.render_as_string(hide_password=False)
    command = ["-m", "registry", "--database-url", url, "train", "--encoder", "none"]
    running = "SELECT count(*) FROM store.job_runs WHERE job = 'train' AND status = 'running'"
    saving = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE NOT granted AND datname = current_database()"
    )
    with filled.connect() as held:
        # So it cannot end, however fast the machine is.
        held.exec_driver_sql("LOCK TABLE store.embeddings IN SHARE MODE")
        with forks.started(*command, modules=["registry.embeddings.training"]) as process:
            awaited = saving if moment == "it is saved" else running
            until = time.monotonic() + 120
            while not count(filled, awaited):
                assert process.running()
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(0.5 if moment == "half a second later" else 0)
            process.kill()
            assert process.wait().returncode == -signal.SIGKILL
    with filled.connect() as connection:
        assert [each.version for each in versions.list_versions(connection)] == [first.version]
        assert versions.current_version(connection) == first
        assert connection.scalar(text(PARTITIONS)) == 1
        assert len(vectors.read_embeddings(connection, first.version).models) == 40
    # The next one is not held up by it.
    again = training.train(filled, TrainingOptions(method="irt", seed=1))
    assert again is not None
    assert again.models == 40


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (TrainingOptions(method="knn"), "no vectors of models.*embeddings compare --method knn"),
        (TrainingOptions(method="magic"), "no method 'magic'"),
        (TrainingOptions(method="mf-text"), "needs items with texts"),
        (TrainingOptions(device="cuda:7"), "GPU"),
        (TrainingOptions(benchmarks=["nope"]), "no outcomes on a benchmark named 'nope'"),
        # Told before an encoder is opened, which takes seconds.
        (
            TrainingOptions(benchmarks=["nope"], encoder="nobody"),
            "no outcomes on a benchmark named",
        ),
        (TrainingOptions(encoder="nobody"), "no encoder named 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    filled: Engine, options: TrainingOptions, said: str
) -> None:
    with pytest.raises(RegistryError, match=said):
        training.train(filled, options)
    assert count(filled, "SELECT count(*) FROM store.embedding_versions") == 0


def test_without_outcomes_there_is_nothing_to_train(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no outcomes to learn from"):
        training.train(engine, WITHOUT_TEXT)
    with pytest.raises(UsageError, match="no outcomes to learn from"):
        compare(engine, WITHOUT_TEXT)


def test_methods_are_compared_on_the_same_held_out_outcomes(filled: Engine) -> None:
    found = compare(
        filled,
        TrainingOptions(encoder="hashing"),
        methods=("item-mean", "model-mean", "irt", "text-regression", "blend"),
        kinds=("cell", "item", "benchmark"),
        seeds=2,
    )
    figures = {(each.split, each.method, each.metric): each for each in found.figures}
    assert figures["cell", "irt", "auc"].mean > figures["cell", "item-mean", "auc"].mean
    for split in ("cell", "item", "benchmark"):
        told = figures[split, "blend", "log_loss"]
        assert told.seeds == 2
        assert told.lower is not None
        assert told.upper is not None
        assert told.lower <= told.mean <= told.upper
    held = figures["cell", "blend", "coverage"]
    assert 0.75 <= held.mean <= 1
    # Baselines have no intervals, and items without outcomes no vectors.
    with_intervals = {key[:2] for key in figures if key[2] == "coverage"}
    assert with_intervals == {("cell", "irt"), ("cell", "blend")}
    # On new items without anything to tell them by, models' means are all there is.
    assert figures["benchmark", "item-mean", "log_loss"] == replace(
        figures["benchmark", "model-mean", "log_loss"], method="item-mean"
    )
    kept = count(filled, "SELECT count(*) FROM registry.training_results")
    assert kept == len(found.figures)
    with pytest.raises(UsageError, match="one domain only"):
        compare(filled, WITHOUT_TEXT, kinds=("domain",), methods=("irt",), seeds=1)


def test_the_command_trains_and_compares(filled: Engine) -> None:
    command = Commands(filled.url.render_as_string(hide_password=False))
    done = command("train", "--encoder", "none", "--method", "irt", "--format", "json")
    assert done.exit_code == 0, done.output
    assert '"state":"current"' in done.stdout.replace(" ", "")
    done = command(
        "embeddings", "compare", "--encoder", "none", "--method", "irt", "--method", "item-mean",
        "--split", "cell", "--seeds", "2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "item-mean" in done.stdout
    assert "training_results" in done.stderr
    assert "'knn' is not one of" in command.refused(2, "train", "--method", "knn")


def test_two_processes_give_the_result_of_one(filled: Engine) -> None:
    alone = training.train(filled, replace(WITHOUT_TEXT, promote=False))
    assert alone is not None
    url = filled.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--standalone", "-m", "registry", "--database-url", url,
            "train", "--encoder", "none", "--method", "irt", "--no-promote",
        ],
        capture_output=True, text=True, check=False, timeout=150,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with filled.connect() as connection:
        found = versions.list_versions(connection)
        assert len(found) == 2
        one, two = (
            vectors.read_embeddings(connection, each.version).vectors for each in reversed(found)
        )
        items = [vectors.read_items(connection, each.version)[1] for each in reversed(found)]
    logits = [p @ v[:, :-1].T + v[:, -1] for p, v in zip((one, two), items, strict=True)]
    np.testing.assert_allclose(logits[0], logits[1], atol=0.02)
