"""Vectors of models that a version was not trained on."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clans import CLANS, ITEMS, fill, learn, told
from cli_commands import Commands
from databases import Databases
from evaluated import block, run, write
from factories import edge, model, rows
from learned import drawn, kept
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.db.jobs import Lock, exclusive
from registry.embeddings import (
    partitions,
    pending,
    placement,
    placement_state,
    refresh,
    training,
    versions,
)
from registry.embeddings import read as vectors
from registry.embeddings.posterior import with_least
from registry.embeddings.training import TrainingOptions
from registry.errors import LockHeldError, RegistryError, UsageError
from registry.evaluations.records import Item
from registry.learning.coldstart import fold_in, gp
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.fold_in import ItemParameters
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.variance_scales import VarianceScales


@pytest.fixture
def trained(databases: Databases) -> Iterator[Engine]:
    with databases.made(template=databases.filled("placement", learn)) as url:
        yield database.create_engine(url)


@pytest.fixture
def trained_commands(trained: Engine) -> Commands:
    return Commands(trained.url.render_as_string(hide_password=False))


def near(connection: Connection, name: str, k: int = 10) -> list[str]:
    found = rows(connection, "SELECT name FROM registry.nearest_models(:name, :k)", name=name, k=k)
    return [each for (each,) in found]


def kinds(connection: Connection) -> dict[str, str]:
    found = rows(connection, "SELECT model, kind FROM registry.embeddings")
    return {str(name): str(kind) for name, kind in found}


def test_models_without_outcomes_get_the_vectors_of_their_like(trained: Engine) -> None:
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-v99", parameters=7_000_000_000, model_type="falcon")
        tuned = model(connection, "somebody/my-tune", parameters=7_000_000_000)
        edge(connection, tuned, "otterlab/otter-7b-v3")
        model(connection, "x/q")
    before = _trained_vectors(trained)
    placed = placement.place(trained)
    assert (placed.version, placed.trained, placed.folded, placed.cold) == (1, 60, 0, 2)
    assert placed.left_out == 1
    with trained.connect() as connection:
        assert kinds(connection)["falconlab/falcon-7b-v99"] == "cold"
        assert "x/q" not in kinds(connection), "nothing is known of it"
        assert sum("falcon" in name for name in near(connection, "falconlab/falcon-7b-v99")) >= 8
        assert sum("otter" in name for name in near(connection, "somebody/my-tune")) >= 8
        version = versions.read_version(connection)
    assert version.placed_at is not None
    assert version.likeness
    np.testing.assert_array_equal(_trained_vectors(trained), before)


def _trained_vectors(engine: Engine) -> np.ndarray:
    with engine.connect() as connection:
        return vectors.read_embeddings(connection, kinds=["trained"]).vectors


def test_outcomes_that_came_later_count_more_than_the_name(trained: Engine) -> None:
    draw = np.random.default_rng(5)
    with trained.begin() as connection:
        # Its name says falcon; what it gets right, otter.
        name = "falconlab/falcon-7b-odd"
        model(connection, name, parameters=7_000_000_000, model_type="falcon")
        outcomes = told("otter", 10, draw)
        seen = [each if n % 3 == 0 else None for n, each in enumerate(outcomes)]
        write(
            connection,
            block("exam", run(name, seen), asked=[Item(f"i{n}") for n in range(ITEMS)]),
        )
    placed = placement.place(trained)
    assert (placed.folded, placed.cold, placed.left_out) == (1, 0, 0)
    with trained.connect() as connection:
        assert kinds(connection)[name] == "folded"
        assert sum("otter" in each for each in near(connection, name)) >= 8


VARIANCES = """
    SELECT model, kind, variances::text FROM registry.embeddings WHERE variances IS NOT NULL"""


def test_variances_fall_with_outcomes_and_are_scaled_as_was_learned(trained: Engine) -> None:
    cold, few, many = (f"falconlab/falcon-7b-{each}" for each in ("cold", "few", "many"))
    outcomes = told("falcon", 3, np.random.default_rng(5))
    with trained.begin() as connection:
        for name in (cold, few, many):
            model(connection, name, parameters=7_000_000_000, model_type="falcon")
        asked = [Item(f"i{n}") for n in range(ITEMS)]
        seen = [each if n < 5 else None for n, each in enumerate(outcomes)]
        write(connection, block("exam", run(few, seen), run(many, outcomes), asked=asked))
    placement.place(trained)

    def variances() -> dict[str, np.ndarray]:
        with trained.connect() as connection:
            found = rows(connection, VARIANCES)
        return {name: np.array(json.loads(each)) for name, _, each in found}

    found = variances()
    assert len(found) == 63
    assert (found[few] > found[many]).all()
    assert (found[many] > 0).all()
    with trained.begin() as connection:
        version = versions.read_version(connection)
        fitted = placement_state.read(connection, 1)
        assert fitted is not None
        # What was learned is stored, with the metrics too.
        assert version.metrics["intervals"]["scales"] == fitted.scales.by_count()
        assert fitted.scales.counts[0] == 0
        assert fitted.least is not None
        extremes = np.stack([0.1 * fitted.least, 3 * fitted.least])
        estimate = VectorEstimate(np.zeros_like(extremes), extremes, np.ones(2))
        bounded = with_least(estimate, fitted)
        np.testing.assert_allclose(bounded.variance, [fitted.least, 3 * fitted.least])
        assert bounded.along is not None
        np.testing.assert_allclose(
            bounded.along, [[1.0], [3.0]] * np.ones_like(extremes), rtol=0.02
        )
        twice = VarianceScales((0, ITEMS), (2 * fitted.scales.factors[0], 1.0))
        placement_state.save(connection, 1, replace(fitted, scales=twice), 0)
        before = fitted.scales.of(np.array([ITEMS]))[0]
    assert placement.place_pending(trained) is not None
    again = variances()
    np.testing.assert_allclose(again[cold], 2 * found[cold], rtol=3e-3)
    np.testing.assert_allclose(again[many], found[many] / before, rtol=3e-3)
    with trained.begin() as connection:
        blurred = replace(fitted, scales=twice, item_variance=fitted.item_variance + 20)
        placement_state.save(connection, 1, blurred, 0)
    assert placement.place_pending(trained) is not None
    # Outcomes on items that leave much open say less.
    assert (variances()[many] > again[many]).all()
    np.testing.assert_allclose(variances()[cold], again[cold], rtol=3e-3)


def test_outcomes_correct_half_of_the_scale_of_deviations(trained: Engine) -> None:
    cold, folded = "falconlab/falcon-7b-new", "falconlab/falcon-7b-odd"
    with trained.begin() as connection:
        for name in (cold, folded):
            model(connection, name, parameters=7_000_000_000, model_type="falcon")
        write(connection, block("exam", run(folded, told("falcon", 3, np.random.default_rng(5)))))
    placement.place(trained)
    deviations: dict[float, dict[str, float]] = {}
    for scale in (1.0, 9.0):
        with trained.begin() as connection:
            fitted = placement_state.read(connection, 1)
            assert fitted is not None
            # Nothing was placed yet, as it says.
            placement_state.save(connection, 1, replace(fitted, scale=scale), 0)
        assert placement.place_pending(trained) is not None
        with trained.connect() as connection:
            found = rows(
                connection,
                "SELECT model, uncertainty FROM registry.embeddings WHERE kind <> 'trained'",
            )
        deviations[scale] = dict(found)
    assert deviations[9.0][cold] == pytest.approx(9 * deviations[1.0][cold], rel=1e-4)
    assert deviations[9.0][folded] == pytest.approx(3 * deviations[1.0][folded], rel=1e-4)


def test_placing_again_replaces_what_was_placed(trained: Engine) -> None:
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-a", model_type="falcon")
        model(connection, "falconlab/falcon-7b-b", model_type="falcon")
    first = placement.place(trained)
    with trained.begin() as connection:
        connection.execute(text("DELETE FROM store.models WHERE name LIKE '%7b-b'"))
    again = placement.place(trained)
    assert (first.cold, again.cold) == (2, 1)
    with trained.connect() as connection:
        assert len(kinds(connection)) == 61
        assert rows(
            connection,
            """SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
                WHERE inhparent = 'store.embeddings'::regclass""",
        ) == [("embeddings_1",)]
        assert rows(
            connection,
            """SELECT count(*) FROM pg_constraint
                WHERE conrelid = 'store.embeddings_1'::regclass AND conname = 'one_version'""",
        ) == [(0,)]


def test_many_are_indexed(trained: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "INDEXED_FROM", 50)
    for _ in range(2):
        placement.place(trained)
    with trained.connect() as connection:
        assert rows(
            connection, "SELECT to_regclass('store.embeddings_1_hnsw_idx') IS NOT NULL"
        ) == [(True,)]
        assert len(near(connection, "falconlab/falcon-7b-v1")) == 10


def test_a_table_that_takes_the_place_of_another_has_the_owner_of_all(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "INDEXED_FROM", 3)
    version = kept(connection, drawn(5))
    connection.exec_driver_sql("CREATE ROLE registry_keeper")
    connection.exec_driver_sql("ALTER TABLE store.embeddings OWNER TO registry_keeper")
    partitions.replace_placed(connection, version, [])
    owners = "SELECT tableowner::text FROM pg_tables WHERE tablename = :name"
    assert rows(connection, owners, name=f"embeddings_{version}") == [("registry_keeper",)]


def test_a_vector_goes_with_what_is_known_of_its_model(engine: Engine) -> None:
    """Models that came in another order than that of their names."""
    models = [f"{clan}lab/{clan}-7b-v{n}" for clan in CLANS for n in range(20)]
    places = np.repeat(np.array([[3, 0], [0, 3]], np.float32), 20, axis=0)
    with engine.begin() as connection:
        for name in reversed(models):
            model(connection, name, model_type=name.partition("lab/")[0])
        kept(connection, places + 0.1 * drawn(40, 2), models)
        model(connection, "falconlab/falcon-7b-new", model_type="falcon")
    placement.place(engine)
    with engine.connect() as connection:
        found = near(connection, "falconlab/falcon-7b-new")
    assert all(name.startswith("falcon") for name in found)


def test_the_next_training_is_measured_by_trained_vectors_alone(trained: Engine) -> None:
    with trained.begin() as connection:
        for number in range(50):
            model(connection, f"falconlab/falcon-7b-w{number}", model_type="falcon")
    placement.place(trained)
    version = training.train(trained, TrainingOptions(method="irt", seed=1))
    assert version is not None
    assert version.current, version.reason
    assert version.aligned_to == 1
    assert version.placed_at is None


def test_without_a_version_there_is_nothing_to_place_in(engine: Engine) -> None:
    with pytest.raises(RegistryError, match="no embeddings yet"):
        placement.place(engine)


def test_one_at_a_time(trained: Engine) -> None:
    with exclusive(trained, Lock.PLACEMENT), pytest.raises(LockHeldError):
        placement.place(trained)


def test_the_command_counts(trained: Engine, trained_commands: Commands) -> None:
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-v99", model_type="falcon")
    told = trained_commands.json("embeddings", "place")[0]
    del told["seconds"]
    assert told == {"version": 1, "trained": 60, "folded": 0, "cold": 1, "left_out": 0}


def test_a_training_ends_with_it(engine: Engine, commands: Commands) -> None:
    with engine.begin() as connection:
        fill(connection)
        model(connection, "falconlab/falcon-7b-v99", model_type="falcon")
    commands.done("train", "--method", "irt", "--encoder", "none", "--no-place")
    with engine.connect() as connection:
        assert "falconlab/falcon-7b-v99" not in kinds(connection)
    commands.done("train", "--method", "irt", "--encoder", "none")
    with engine.connect() as connection:
        assert kinds(connection)["falconlab/falcon-7b-v99"] == "cold"


def vector(engine: Engine, name: str) -> np.ndarray:
    with engine.connect() as connection:
        found = vectors.read_embeddings(connection)
    return np.asarray(found.vectors[list(found.models).index(name)])


def uncertainty(engine: Engine, name: str) -> float:
    with engine.connect() as connection:
        found = vectors.read_embeddings(connection)
    return float(found.uncertainty[list(found.models).index(name)])


def states(engine: Engine) -> dict[str, tuple[str, str | None]]:
    with engine.connect() as connection:
        found = rows(connection, "SELECT model, kind, reason FROM registry.vector_states")
    return {str(name): (kind, reason) for name, kind, reason in found}


def test_what_came_is_placed_as_if_all_were(trained: Engine) -> None:
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-old", parameters=7_000_000_000, model_type="falcon")
        model(connection, "x/q")
    placement.place(trained)
    assert states(trained)["x/q"] == ("none", "shares too little with trained models")
    assert refresh.refresh_vectors(trained) is None, "nothing came"
    with trained.begin() as connection:
        tuned = model(connection, "somebody/my-tune", parameters=7_000_000_000)
        edge(connection, tuned, "otterlab/otter-7b-v3")
        model(connection, "x/r")
        # A sync dates a new model like one that it changes.
        connection.execute(
            text("UPDATE store.models SET changed_at = clock_timestamp() WHERE model_id >= :tuned"),
            {"tuned": tuned},
        )
    assert states(trained)["somebody/my-tune"] == ("none", "new since vectors were last computed")
    before = vector(trained, "falconlab/falcon-7b-old")
    placed = placement.place_pending(trained)
    assert placed is not None
    assert (placed.trained, placed.folded, placed.cold, placed.left_out) == (60, 0, 1, 1)
    np.testing.assert_array_equal(vector(trained, "falconlab/falcon-7b-old"), before)
    assert states(trained)["x/r"] == ("none", "shares too little with trained models")
    followed = vector(trained, "somebody/my-tune")
    doubt = uncertainty(trained, "somebody/my-tune")
    assert placement.place(trained).cold == 2
    # How rare words are has changed by two models of 62.
    np.testing.assert_allclose(vector(trained, "somebody/my-tune"), followed, atol=0.1)
    assert uncertainty(trained, "somebody/my-tune") == pytest.approx(doubt, rel=0.05)


def test_a_model_that_changed_is_placed_again(
    trained: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "somebody/my-tune"
    with trained.begin() as connection:
        model(connection, name, parameters=7_000_000_000, model_type="falcon")
        model(connection, "falconlab/falcon-7b-old", model_type="falcon")
    placement.place(trained)
    before, other = vector(trained, name), vector(trained, "falconlab/falcon-7b-old")
    with trained.begin() as connection:
        connection.execute(
            text("""
            UPDATE store.models SET model_type = 'otter', changed_at = clock_timestamp()
             WHERE name IN (:name, 'falconlab/falcon-7b-v1')"""),
            {"name": name},
        )
    monkeypatch.setattr(pending, "MOST_CHANGED", 0)
    assert placement.place_pending(trained) is None, "too many changed"
    monkeypatch.undo()
    placed = placement.place_pending(trained)
    assert placed is not None
    assert (placed.folded, placed.cold, placed.left_out) == (0, 1, 0), "not what was trained on"
    with trained.connect() as connection:
        assert sum("otter" in each for each in near(connection, name)) >= 8
    assert np.abs(vector(trained, name) - before).max() > 0.1
    np.testing.assert_array_equal(vector(trained, "falconlab/falcon-7b-old"), other)
    assert placement.place_pending(trained) is None, "nothing changed since"


def test_outcomes_that_are_imported_fold_a_cold_model(
    trained: Engine, trained_commands: Commands, tmp_path: Path
) -> None:
    name = "falconlab/falcon-7b-odd"
    with trained.begin() as connection:
        model(connection, name, parameters=7_000_000_000, model_type="falcon")
    placement.place(trained)
    assert states(trained)[name] == ("cold", None)
    outcomes = told("otter", 10, np.random.default_rng(5))
    table = tmp_path / "exam.csv"
    lines = [f"{name},i{item},{outcome}" for item, outcome in enumerate(outcomes)]
    table.write_text("\n".join(["model,item,outcome", *lines]) + "\n")
    roles = [f"--column={each}={each}" for each in ("model", "item", "outcome")]
    result = trained_commands("evals", "import", str(table), "--benchmark", "exam", *roles)
    assert result.exit_code == 0
    assert "1 more models from outcomes" in result.stderr
    assert states(trained)[name] == ("folded", None)
    with trained.connect() as connection:
        assert sum("otter" in each for each in near(connection, name)) >= 8


def test_many_that_came_are_placed_with_all_others(
    trained: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement.place(trained)
    monkeypatch.setattr(placement, "MOST_PENDING", 1)
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-a", model_type="falcon")
        model(connection, "falconlab/falcon-7b-b", model_type="falcon")
    placed = placement.place_pending(trained)
    assert placed is not None
    assert placed.cold == 2


def test_a_second_placing_leaves_what_came_to_the_first(trained: Engine) -> None:
    placement.place(trained)
    with trained.begin() as connection:
        model(connection, "falconlab/falcon-7b-a", model_type="falcon")
    with exclusive(trained, Lock.PLACEMENT):
        assert placement.place_pending(trained) is None
    assert placement.place_pending(trained) is not None


def test_a_guess_is_explained_by_the_models_it_rests_on(
    trained: Engine, trained_commands: Commands
) -> None:
    with trained.begin() as connection:
        tuned = model(connection, "somebody/my-tune", parameters=7_000_000_000)
        edge(connection, tuned, "otterlab/otter-7b-v3")
        model(connection, "x/q")
    placement.place(trained)
    found = trained_commands.json("explain", "somebody/my-tune")
    assert (found["kind"], found["version"], found["outcomes"]) == ("cold", 1, 0)
    assert 0.05 <= found["support"] <= 1
    assert len(found["rests_on"]) == 5
    parent = next(each for each in found["rests_on"] if each["name"] == "otterlab/otter-7b-v3")
    assert {"parent", "size"} <= set(parent["ties"])
    weights = [abs(each["weight"]) for each in found["rests_on"]]
    assert weights == sorted(weights, reverse=True)
    drawn = trained_commands.done("explain", "somebody/my-tune", "--format", "table")
    assert "otterlab/otter-7b-v3" in drawn
    assert "its vector is predicted" in drawn
    none = trained_commands.done("explain", "x/q", "--format", "table")
    assert none == "x/q has no vector in version 1: shares too little with trained models.\n"
    known = trained_commands.done("explain", "otterlab/otter-7b-v3", "--format", "table")
    assert "is based on its own outcomes" in known


def test_weights_are_how_far_a_guess_moves() -> None:
    draw = np.random.default_rng(0)
    models = [
        Description(f"{clan}/{clan}-{size}b-v{number}", size * 10**9)
        for clan in CLANS
        for size in (1, 7)
        for number in range(12)
    ]
    blocks = Featurizer.of([models]).blocks(models)
    known = draw.normal(size=(40, 1))
    fitted = gp.fit(blocks.rows(np.arange(40)), known, kernel=Kernel())
    new = blocks.rows(np.arange(40, 48))
    influence = fitted.influence(blocks.rows(np.arange(40)))
    features = gp.BatchPredictor(fitted).features(new)
    weights = features[:, influence.kept] @ influence.features
    near = influence.strongest(features)
    before = fitted.predict(new).mean[:, 0]
    for row, (place, weight) in enumerate(zip(near.places[:, 0], near.weights[:, 0], strict=True)):
        assert weight == pytest.approx(weights[row, place])
        assert abs(weight) == pytest.approx(np.abs(weights[row]).max())
        moved = known.copy()
        moved[place] += 1e-3
        again = gp.fit(blocks.rows(np.arange(40)), moved, kernel=Kernel())
        # The mean of all, which the weights are of the distance to, moves along by a fortieth.
        step = weight + (1 - weights[row].sum()) / 40
        change = again.predict(new).mean[row, 0] - before[row]
        assert change / 1e-3 == pytest.approx(step, abs=2e-3)


def planted_items(count: int = 400) -> ItemParameters:
    draw = np.random.default_rng(1)
    return ItemParameters(draw.normal(size=(count, 3)), draw.normal(size=count))


def flat(models: int) -> VectorEstimate:
    return VectorEstimate(np.zeros((models, 3)), np.ones((models, 3)), np.zeros(models))


def drawn_models(models: int, items: ItemParameters) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    truth = draw.normal(size=(models, 3))
    chances = 1 / (1 + np.exp(-(truth @ items.vectors.T + items.offsets)))
    return truth, (draw.random(chances.shape) < chances).astype(np.float32)


def test_folding_finds_planted_vectors_and_knows_how_surely() -> None:
    items = planted_items()
    truth, outcomes = drawn_models(300, items)
    outcomes[:, 60:] = np.nan
    found = fold_in.fold(flat(300), items, outcomes)
    few = fold_in.fold(flat(300), items, np.where(np.arange(400) < 10, outcomes, np.nan))
    assert ((found.mean - truth) ** 2).mean() < 0.5 * ((few.mean - truth) ** 2).mean()
    within = np.abs(found.mean - truth) < 1.645 * np.sqrt(found.variance)
    assert within.mean() == pytest.approx(0.9, abs=0.03)
    within = np.abs(few.mean - truth) < 1.645 * np.sqrt(few.variance)
    assert within.mean() == pytest.approx(0.9, abs=0.04)


def test_errors_that_go_together_are_corrected_together() -> None:
    """Two coordinates of a model are off by the same: what tells one of them tells the other."""
    draw = np.random.default_rng(11)
    vectors = np.array([[2.0, 0.0, 0.0]] * 30 + [[0.0, 1.0, 0.0]] * 30)
    items = fold_in.ItemParameters(vectors, np.zeros(60))
    same = draw.normal(size=400)
    truth = np.column_stack([same, 0.9 * same + 0.4 * draw.normal(size=400), np.zeros(400)])
    left_out = gp.VectorEstimate(np.zeros((400, 3)), np.ones((400, 3)), np.ones(400))
    together = fold_in.error_correlation(left_out, truth)
    assert together[0, 1] == pytest.approx(np.corrcoef(truth.T[:2])[0, 1], abs=0.03)
    assert together[2] == pytest.approx([0, 0, 1])
    chances = 1 / (1 + np.exp(-(truth @ items.vectors.T)))
    outcomes = (draw.random(chances.shape) < chances).astype(np.float32)
    # Nobody was asked what tells the second coordinate.
    outcomes[:, 30:] = np.nan
    alone = fold_in.fold(left_out, items, outcomes)
    both = fold_in.fold(left_out, items, outcomes, together)
    assert (alone.mean[:, 1] == 0).all()
    errors = both.mean[:, 1] - truth[:, 1]
    assert (errors**2).mean() < 0.5 * (truth[:, 1] ** 2).mean()
    within = np.abs(errors) < 1.645 * np.sqrt(both.variance[:, 1])
    assert within.mean() == pytest.approx(0.9, abs=0.04)


def test_folding_nothing_changes_nothing() -> None:
    items = planted_items()
    found = fold_in.fold(flat(2), items, np.full((2, 400), np.nan))
    np.testing.assert_array_equal(found.mean, np.zeros((2, 3)))
    np.testing.assert_array_equal(found.variance, np.ones((2, 3)))


def test_folding_all_right_and_all_wrong_stays_finite() -> None:
    items = planted_items()
    found = fold_in.fold(flat(2), items, np.stack([np.ones(400), np.zeros(400)]))
    assert np.isfinite(found.mean).all()
    assert (found.variance > 0).all()


def test_folding_refuses_what_is_no_outcome() -> None:
    items = planted_items()
    with pytest.raises(UsageError, match="within 0 and 1"):
        fold_in.fold(flat(1), items, np.full((1, 400), 2.0))
    with pytest.raises(ValueError, match="other models or items"):
        fold_in.fold(flat(1), items, np.full((2, 400), 1.0))
