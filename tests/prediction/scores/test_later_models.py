"""Predictions between trainings: models and scores that came since are predicted, others stay."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from cli_commands import Commands
from databases import Databases
from evaluated import run, write
from factories import edge, model, rows
from scored import filled, hidden, truth
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db.jobs import Lock, exclusive
from registry.evaluations.records import Benchmark, Block
from registry.learning.scores.conformal import ScorePredictions
from registry.learning.scores.later_scores import LaterScores
from registry.learning.scores.links import ScoreLinks
from registry.prediction.scores import later_models
from registry.prediction.scores.current_version import CurrentVersion
from registry.prediction.scores.fitting import fit_scores
from registry.prediction.scores.refresh import refresh_predictions

NAMES, TRUE = truth()
COLD = NAMES[-1]
WARM = NAMES[8]
COLUMNS = ("--column", "model=name", "--column", "score=acc")


@pytest.fixture(scope="module")
def template(databases: Databases) -> Iterator[str]:
    """A database with the planted catalog and its predictions, to copy."""
    with databases.made(template=databases.template()) as url:
        engine = filled(database.create_engine(url))
        fit_scores(engine)
        engine.dispose()
        yield str(url.database)


@pytest.fixture
def engine(databases: Databases, template: str) -> Iterator[Engine]:
    with databases.made(template=template) as url:
        made = database.create_engine(url)
        yield made
        made.dispose()


def predicted(engine: Engine, name: str, benchmark: str) -> dict[str, Any]:
    query = text("SELECT * FROM registry.predict(:name, :benchmark)")
    with engine.connect() as connection:
        (row,) = connection.execute(query, {"name": name, "benchmark": benchmark}).mappings()
        return dict(row)


def ability(engine: Engine, name: str) -> dict[str, Any]:
    query = text("""
        SELECT kind, score_count, support, vector::real[] AS vector, spread::real[] AS spread,
               a.scale, blocks, near_ids, near_weights
          FROM store.abilities a JOIN store.models m USING (model_id) WHERE m.name = :name""")
    with engine.connect() as connection:
        (row,) = connection.execute(query, {"name": name}).mappings()
        return dict(row)


def score(engine: Engine, name: str, benchmark: str, value: float) -> None:
    with engine.begin() as connection:
        write(
            connection,
            Block(benchmark=Benchmark(name=benchmark), items=[], runs=[run(name, score=value)]),
        )


def others(engine: Engine, *names: str) -> list[Any]:
    with engine.connect() as connection:
        return rows(
            connection,
            """SELECT m.name, a.kind, a.vector::text, f.benchmark_id, f.value, f.mean, f.deviation
                 FROM store.abilities a JOIN store.models m USING (model_id)
                 LEFT JOIN store.fitted_scores f USING (model_id, version_id)
                WHERE m.name <> ALL (:names) ORDER BY 1, 4""",
            names=list(names),
        )


def test_nothing_came(engine: Engine) -> None:
    before = others(engine)
    report = later_models.place_later(engine)
    assert report is not None
    assert (report.version, report.pending, report.placed) == (1, 0, 0)
    assert refresh_predictions(engine) is None
    assert others(engine) == before


def test_a_model_is_placed_as_the_fit_placed_it(engine: Engine) -> None:
    before, rest = ability(engine, COLD), others(engine, COLD)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE store.models SET changed_at = now() WHERE name = :name"), {"name": COLD}
        )
    sentence = refresh_predictions(engine)
    assert sentence == "Version 1 predicts scores of 1 new or changed models."
    after = ability(engine, COLD)
    assert others(engine, COLD) == rest
    for name in ("vector", "spread", "support", "scale", "near_weights"):
        assert np.allclose(before[name], after[name], atol=2e-3), name
    for name in ("kind", "score_count", "blocks", "near_ids"):
        assert before[name] == after[name], name
    assert refresh_predictions(engine) is None
    # What changes while it is placed is placed by the next refresh.
    with engine.connect() as connection:
        before_the_job = """
            SELECT placed_at < (SELECT max(started_at) FROM registry.job_runs)
              FROM registry.prediction_versions"""
        assert rows(connection, before_the_job) == [(True,)]


def test_a_model_that_the_fit_knows_stays_where_the_catalog_alone_changed(engine: Engine) -> None:
    before = others(engine)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE store.models SET changed_at = now() WHERE name = :name"), {"name": WARM}
        )
    refresh_predictions(engine)
    assert others(engine) == before
    # Its next fit sees the change.
    assert not fit_scores(engine, if_changed=True).unchanged


def test_a_new_model_is_predicted_from_the_catalog(engine: Engine) -> None:
    with engine.begin() as connection:
        model(connection, "lab2/kin2-tuned-7b", parameters=7 * 10**9)
        edge(connection, "lab2/kin2-tuned-7b", "lab2/kin2-7b")
        model(connection, "nobody/unlike-anything")
    rest = others(engine)
    assert refresh_predictions(engine) == "Version 1 predicts scores of 2 new or changed models."
    assert others(engine, "lab2/kin2-tuned-7b", "nobody/unlike-anything") == rest
    row = predicted(engine, "lab2/kin2-tuned-7b", "beta")
    assert row["kind"] == "catalog"
    assert row["lower"] < row["score"] < row["upper"]
    place = NAMES.index("lab2/kin2-7b")
    mean = TRUE["beta"].mean()
    assert abs(row["score"] - TRUE["beta"][place]) < abs(mean - TRUE["beta"][place])
    assert "lab2/kin2-7b" in [each["model"] for each in row["evidence"]["relatives"]]
    far = predicted(engine, "nobody/unlike-anything", "beta")
    assert far["upper"] - far["lower"] > row["upper"] - row["lower"]
    assert far["support"] < row["support"]
    # A training has nothing to add.
    assert fit_scores(engine, if_changed=True).unchanged


def test_a_new_model_with_scores_is_predicted_from_them(engine: Engine) -> None:
    with engine.begin() as connection:
        model(connection, "new/one")
    best = int(TRUE["delta"].argmax())
    for benchmark in ("alpha", "beta", "gamma"):
        score(engine, "new/one", benchmark, float(TRUE[benchmark][best]))
    assert refresh_predictions(engine) == "Version 1 predicts scores of 1 new or changed models."
    hole = predicted(engine, "new/one", "delta")
    assert (hole["kind"], ability(engine, "new/one")["score_count"]) == ("scores", 3)
    assert hole["score"] == pytest.approx(TRUE["delta"][best], abs=0.12)
    assert hole["score"] > np.quantile(TRUE["delta"], 0.8)
    beside = predicted(engine, "new/one", "alpha")
    assert (beside["kind"], beside["score"]) == ("measured", TRUE["alpha"][best])
    assert beside["predicted"] != pytest.approx(TRUE["alpha"][best], abs=1e-4)
    # What stands beside a score is what was predicted without it.
    score(engine, "new/one", "alpha", 0.2)
    refresh_predictions(engine)
    again = predicted(engine, "new/one", "alpha")
    assert again["score"] == 0.2
    assert again["predicted"] == pytest.approx(beside["predicted"], abs=1e-6)
    assert again["predicted_upper"] == pytest.approx(beside["predicted_upper"], abs=1e-6)
    assert predicted(engine, "new/one", "delta")["score"] < hole["score"]
    assert not fit_scores(engine, if_changed=True).unchanged


def test_a_score_of_a_known_model_moves_its_other_predictions(engine: Engine) -> None:
    name = NAMES[hidden(NAMES, "alpha")[1]]
    hole = next(
        each for each in ("beta", "gamma", "delta") if NAMES.index(name) not in hidden(NAMES, each)
    )
    open_ = next(
        (each for each in TRUE if NAMES.index(name) in hidden(NAMES, each) and each != "alpha"),
        None,
    )
    assert open_ is None, "each of the planted models misses one score"
    before, rest = predicted(engine, name, hole), others(engine, name)
    expected = predicted(engine, name, "alpha")
    score(engine, name, "alpha", 0.999)
    assert refresh_predictions(engine) == "Version 1 predicts scores of 1 new or changed models."
    after = predicted(engine, name, hole)
    assert others(engine, name) == rest
    assert after["predicted"] > before["predicted"]
    assert after["score"] == before["score"]
    beside = predicted(engine, name, "alpha")
    assert (beside["kind"], beside["score"]) == ("measured", 0.999)
    # Its own other scores say of it what they did.
    assert beside["predicted"] == pytest.approx(expected["score"], abs=0.02)
    assert refresh_predictions(engine) is None


def test_a_model_whose_scores_are_gone_is_predicted_from_the_catalog(engine: Engine) -> None:
    assert ability(engine, WARM)["kind"] == "scores"
    with engine.begin() as connection:
        connection.execute(
            text("""
            DELETE FROM store.runs USING store.models m
             WHERE m.model_id = runs.model_id AND m.name = :name"""),
            {"name": WARM},
        )
    refresh_predictions(engine)
    row = predicted(engine, WARM, "beta")
    assert row["kind"] == "catalog"
    assert ability(engine, WARM)["score_count"] == 0
    assert WARM not in [each["model"] for each in row["evidence"]["relatives"]]


@pytest.fixture
def commands(engine: Engine) -> Commands:
    return Commands(engine.url.render_as_string(hide_password=False))


def kinds(engine: Engine, name: str) -> dict[str, str]:
    with engine.connect() as connection:
        return dict(
            rows(
                connection,
                "SELECT benchmark, kind FROM registry.predictions WHERE model = :name",
                name=name,
            )
        )


def test_commands_that_move_scores_predict_again(engine: Engine, commands: Commands) -> None:
    """Removed runs, names of a model and of a benchmark: what they changed is predicted at once."""
    assert kinds(engine, NAMES[1])["alpha"] == "measured"
    said = commands("evals", "remove", "--model", NAMES[1], "--benchmark", "alpha", "--dry-run")
    assert "Version 1" not in said.stderr
    said = commands("evals", "remove", "--model", NAMES[1], "--benchmark", "alpha")
    assert "Version 1 predicts scores of 1 new or changed models." in said.stderr
    assert kinds(engine, NAMES[1])["alpha"] == "scores"
    score(engine, "short-name", "alpha", 0.3)
    assert refresh_predictions(engine) is not None
    assert kinds(engine, "short-name")["alpha"] == "measured"
    said = commands("models", "alias", "add", NAMES[1], "short-name", "--yes")
    assert "Version 1 predicts scores" in said.stderr
    assert kinds(engine, NAMES[1])["alpha"] == "measured"
    said = commands("models", "alias", "remove", NAMES[1], "short-name")
    assert "Version 1 predicts scores" in said.stderr
    assert kinds(engine, NAMES[1])["alpha"] == "scores"
    # The scores of one benchmark become those of another, and back.
    score(engine, NAMES[1], "own-alpha", 0.4)
    assert refresh_predictions(engine) is None
    said = commands("evals", "benchmarks", "alias", "add", "alpha", "own-alpha")
    assert "Version 1 predicts scores of 1 new or changed models." in said.stderr
    assert predicted(engine, NAMES[1], "alpha")["score"] == 0.4
    assert kinds(engine, NAMES[1])["alpha"] == "measured"
    said = commands("evals", "benchmarks", "alias", "remove", "alpha", "own-alpha")
    assert "Version 1 predicts scores of 1 new or changed models." in said.stderr
    assert kinds(engine, NAMES[1])["alpha"] == "scores"


def test_names_that_are_resolved_are_predicted_again(engine: Engine, commands: Commands) -> None:
    said = commands("models", "alias", "resolve")
    assert "Version 1" not in said.stderr
    with engine.begin() as connection:
        model(connection, "new/one")
    said = commands("models", "alias", "resolve")
    assert "Version 1 predicts scores of 1 new or changed models." in said.stderr


def test_two_names_of_a_benchmark_are_predicted_once(engine: Engine, commands: Commands) -> None:
    said = commands(
        "predict", COLD, "--benchmark", "alpha", "--benchmark", "Alpha", "--format", "csv"
    )
    assert len(said.stdout.splitlines()) == 2


def test_a_model_that_nothing_ties_to_any_benchmark_is_not_called_new(
    engine: Engine, commands: Commands
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.benchmark_loadings SET tied_blocks = 0")
    assert "fewer than 10 models" in commands.refused(1, "predict", COLD)


def test_a_version_of_another_release_waits_for_a_training(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.prediction_versions SET fitted = ''")
        model(connection, "new/one")
    waits = "1 models wait for predicted scores until `registry train`."
    assert refresh_predictions(engine) == waits
    assert refresh_predictions(engine) == waits


def test_a_version_that_cannot_place_is_fitted_again(engine: Engine) -> None:
    assert fit_scores(engine, if_changed=True).unchanged
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.prediction_versions SET fitted = ''")
    assert fit_scores(engine, if_changed=True).version == 2


def test_one_refresh_at_a_time(engine: Engine) -> None:
    with engine.begin() as connection:
        model(connection, "new/one")
    with exclusive(engine, Lock.PLACEMENT):
        assert refresh_predictions(engine) is None
    assert refresh_predictions(engine) is not None


def test_without_a_version_there_is_nothing_to_say(databases: Databases) -> None:
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        assert refresh_predictions(engine) is None
        assert later_models.place_later(engine) is None
        engine.dispose()


def test_a_sync_and_an_import_predict_what_they_bring(engine: Engine, tmp_path: Path) -> None:
    commands = Commands(engine.url.render_as_string(hide_password=False))
    record = {"_id": "6" * 24, "id": "lab2/kin2-new-7b", "createdAt": "2026-01-01T00:00:00.000Z"}
    (tmp_path / "models.jsonl").write_bytes(orjson.dumps(record))
    said = "Version 1 predicts scores of 1 new or changed models."
    tried = commands("sync", "--from", str(tmp_path / "models.jsonl"), "--dry-run")
    assert said not in tried.stderr
    synced = commands("sync", "--from", str(tmp_path / "models.jsonl"))
    assert (synced.exit_code, said in synced.stderr) == (0, True)
    again = commands("sync", "--from", str(tmp_path / "models.jsonl"))
    assert "predicts scores" not in again.stderr
    before = predicted(engine, "lab2/kin2-new-7b", "beta")
    assert before["kind"] == "catalog"
    scores = tmp_path / "scores.csv"
    scores.write_text("name,acc\nlab2/kin2-new-7b,0.99\n")
    imported = commands(
        "evals", "import", str(scores), "--as", "table", *COLUMNS, "--benchmark", "alpha"
    )
    assert (imported.exit_code, said in imported.stderr) == (0, True), imported.output
    after = predicted(engine, "lab2/kin2-new-7b", "beta")
    assert (after["kind"], predicted(engine, "lab2/kin2-new-7b", "alpha")["kind"]) == (
        "scores",
        "measured",
    )
    assert after["score"] > before["score"]


def test_deviations_of_later_scores_have_the_factor_of_their_evidence() -> None:
    """One model with one score, one with two in two blocks, one with two in one."""
    keys = np.array([1, 2, 3])
    version = CurrentVersion(
        number=1,
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        newest=9,
        keys=keys,
        columns={},
        links=ScoreLinks.shares(3),
        bits=np.array([1, 1, 2]),
        factors=np.array([[2.0, 2.0, 2.0], [3.0, 3.0, 3.0], [5.0, 5.0, 5.0]]),
    )
    rows, columns = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 2, 0, 1])
    later = LaterScores(rows, columns, np.zeros(5), np.zeros(5))
    left_out = ScorePredictions(columns, np.zeros(5), np.ones(5), np.array([0, 1, 1, 1, 2]))
    found = later_models._fitted_scores(version, later, left_out)
    assert np.asarray(found["deviation"]).tolist() == [2, 5, 5, 3, 3]
    assert np.asarray(found["evidence_group"]).tolist() == [0, 4, 4, 1, 2]
    assert np.asarray(found["benchmark_id"]).tolist() == [1, 1, 3, 1, 2]
