"""Predicted outcomes: one rule, by hand, in SQL and in numpy."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evaluated import block, run, write
from factories import alias, model, rows
from learned import drawn, kept, names
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

import registry
from registry.embeddings.version_uncertainty import VersionUncertainty
from registry.errors import ModelNotFoundError, RegistryError, UsageError
from registry.evaluations.outcomes import Column
from registry.evaluations.records import Item
from registry.learning.axes import Axes
from registry.learning.factorization.problem import TextMap
from registry.prediction.outcomes import predict_outcomes

QUERY = "SELECT * FROM registry.predict_outcome(:model, :item, :version)"
ITEMS = [Column("arc", "", "i0"), Column("arc", "", "i2"), Column("a:b", "2", "i1")]


def stored(connection: Connection, **fields: Any) -> int:
    """Store a version of three models with vectors of three items."""
    write(
        connection,
        block("arc", *(run(name, [1, 0, 1]) for name in names(3))),
        block("a:b", *(run(name, [1, 0, 1]) for name in names(3)), version="2"),
    )
    values: dict[str, Any] = {
        "items": ITEMS,
        "item_vectors": drawn(3, 5, seed=3),
        "uncertainties": np.array([0.5, 0.0, 2.0], np.float32),
        **fields,
    }
    return kept(connection, drawn(3), **values)


def stored_vectors(connection: Connection, version: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the vectors of models and of items as they are stored, which may be rotated."""
    models = """
        SELECT vector::text FROM store.embeddings JOIN store.models USING (model_id)
         WHERE version_id = :version ORDER BY name"""
    of_items = """
        SELECT v.vector::text FROM store.item_embeddings v JOIN store.benchmarks b
            USING (benchmark_id) WHERE version_id = :version ORDER BY b.name DESC, ordinal"""
    found = [
        np.array([json.loads(row[0]) for row in rows(connection, query, version=version)])
        for query in (models, of_items)
    ]
    return found[0], found[1]


def by_hand(p: NDArray[Any], item: NDArray[Any], uncertainty: float) -> tuple[float, ...]:
    """Return probability, lower, upper, logit and deviation, number by number."""
    logit = sum(a * b for a, b in zip(p, item[:-1], strict=True)) + item[-1]
    deviation = uncertainty * math.sqrt(sum(b * b for b in item[:-1]))
    ends = (logit + sign * 1.6448536269514722 * deviation for sign in (-1, 1))
    middle = logit / math.sqrt(1 + math.pi / 8 * deviation**2)
    return *(1 / (1 + math.exp(-each)) for each in (middle, *ends)), logit, deviation


def test_sql_numpy_and_a_hand_computation_agree(connection: Connection) -> None:
    version = stored(connection)
    models, vectors = stored_vectors(connection, version)
    asked = ["arc:i0", "arc:i2", "a:b@2:i1"]
    predicted = predict_outcomes(connection, ["org/m2", "org/m0", "org/m1"], asked)
    assert predicted.version == version
    assert predicted.models == ["org/m2", "org/m0", "org/m1"]
    assert predicted.items == ITEMS
    assert predicted.kind.tolist() == ["trained"] * 3
    assert predicted.uncertainty.tolist() == [2.0, 0.5, 0.0]
    for row, name in enumerate(predicted.models):
        for column, item in enumerate(asked):
            at = int(name[-1])
            wanted = by_hand(models[at], vectors[column], [0.5, 0.0, 2.0][at])
            ours = predicted.probability, predicted.lower, predicted.upper
            assert [each[row, column] for each in ours] == pytest.approx(wanted[:3], abs=1e-6)
            found = rows(connection, QUERY, model=name, item=item, version=None)
            assert found[0][3:8] == pytest.approx(wanted, abs=1e-5)
            there = ITEMS[column]
            assert (*found[0][:3], *found[0][8:]) == (
                name, there.benchmark, there.item, "trained", version, "outcomes", False
            )  # fmt: skip
    # Uncertain models are expected nearer to a half, between the ends; sure ones have no width.
    certain = np.array([by_hand(models[2], each, 0)[0] for each in vectors])
    assert (abs(predicted.probability[0] - 0.5) < abs(certain - 0.5)).all()
    assert (predicted.lower[:2] < predicted.probability[:2]).all()
    assert (predicted.probability[:2] < predicted.upper[:2]).all()
    assert predicted.lower[2] == pytest.approx(predicted.upper[2])


HELD = {"coverage": 0.9, "calibration_error": 0.01}


def uncertain(models: int = 3, d: int = 4) -> dict[str, Any]:
    """Return what a version with variances of models along three axes is stored with."""
    return {
        "variances": np.abs(drawn(models, 3, seed=8)) + np.float32(0.1),
        "uncertainty": VersionUncertainty(Axes(drawn(d, 3, seed=9).astype(np.float64)), 0.4),
        "metrics": {"intervals": HELD},
    }


def own_variance(connection: Connection, version: int, model_: str) -> NDArray[Any]:
    """Return the covariance of a model's vector by what is stored, number by number."""
    query = """
        SELECT v.axes::text[], e.variances::text FROM store.embedding_versions v
          JOIN store.embeddings e USING (version_id) JOIN store.models USING (model_id)
         WHERE v.version_id = :version AND name = :model"""
    axes, variances = rows(connection, query, version=version, model=model_)[0]
    found = [(np.array(json.loads(a)), s) for a, s in zip(axes, json.loads(variances), strict=True)]
    return sum((s * np.outer(a, a) for a, s in found), np.zeros((4, 4)))


def by_covariance(
    p: NDArray[Any], item: NDArray[Any], covariance: NDArray[Any], more: float
) -> tuple[float, ...]:
    deviation = math.sqrt(item[:-1] @ covariance @ item[:-1] + more)
    length = math.sqrt(sum(b * b for b in item[:-1]))
    return by_hand(p, item, deviation / length)


def test_variances_along_axes_and_the_items_own_make_the_interval(connection: Connection) -> None:
    """Stored beside a current version, so that vectors, axes and items are rotated together."""
    kept(connection, drawn(3, seed=1))
    version = stored(connection, **uncertain(), uncertainties=np.full(3, 9, np.float32))
    models, vectors = stored_vectors(connection, version)
    assert abs(models - drawn(3)).max() > 0.1, "they were rotated"
    asked = ["arc:i0", "arc:i2", "a:b@2:i1"]
    predicted = predict_outcomes(connection, names(3), asked)
    assert predicted.calibrated.tolist() == [True] * 3
    assert predicted.basis.tolist() == ["outcomes"] * 3
    for row, name in enumerate(names(3)):
        covariance = own_variance(connection, version, name)
        for column, item in enumerate(asked):
            wanted = by_covariance(models[row], vectors[column], covariance, 0.4)
            ours = predicted.probability, predicted.lower, predicted.upper
            assert [each[row, column] for each in ours] == pytest.approx(wanted[:3], abs=1e-5)
            assert predicted.deviation[row, column] == pytest.approx(wanted[4], rel=1e-5)
            found = rows(connection, QUERY, model=name, item=item, version=None)[0]
            assert found[3:8] == pytest.approx(wanted, abs=1e-5)
            assert found[8:] == ("trained", version, "outcomes", True)
    # As the vectors were given, before they were rotated.
    given = uncertain()
    directions = given["uncertainty"].axes.directions
    covariance = (directions * given["variances"][1]) @ directions.T
    before = by_covariance(drawn(3)[1], drawn(3, 5, seed=3)[0], covariance, 0.4)
    assert predicted.deviation[1, 0] == pytest.approx(before[4], rel=1e-3)
    frame = predicted.to_pandas()
    assert frame["basis"].tolist() == ["outcomes"] * 9
    assert frame["calibrated"].all()


def test_a_model_without_variances_has_its_one_number_and_says_so(connection: Connection) -> None:
    version = stored(connection, **uncertain(), uncertainties=np.full(3, 0.7, np.float32))
    rows(
        connection,
        """UPDATE store.embeddings e SET variances = NULL FROM store.models m
            WHERE m.model_id = e.model_id AND m.name = 'org/m1' RETURNING 1""",
    )
    models, vectors = stored_vectors(connection, version)
    wanted = by_hand(models[1], vectors[0], 0.7)
    found = rows(connection, QUERY, model="org/m1", item="arc:i0", version=None)[0]
    assert found[3:8] == pytest.approx(wanted, abs=1e-5)
    assert found[-1] is False
    assert rows(connection, QUERY, model="org/m0", item="arc:i0", version=None)[0][-1] is True
    predicted = predict_outcomes(connection, "org/m1", "arc:i0")
    assert predicted.probability[0, 0] == pytest.approx(wanted[0], abs=1e-5)
    assert not predicted.calibrated[0]


@pytest.mark.parametrize(
    ("intervals", "calibrated"),
    [
        ({"coverage": 0.85, "calibration_error": 0.05}, True),
        ({"coverage": 0.95, "calibration_error": 0.0}, True),
        ({"coverage": 0.84, "calibration_error": 0.01}, False),
        ({"coverage": 0.96, "calibration_error": 0.01}, False),
        ({"coverage": 0.9, "calibration_error": 0.051}, False),
        ({"coverage": float("nan"), "calibration_error": 0.01}, None),
        ({}, None),
    ],
)
def test_a_version_whose_intervals_do_not_hold_is_marked(
    connection: Connection,
    intervals: dict[str, float],
    calibrated: bool | None,  # noqa: FBT001 - a column's value
) -> None:
    version = stored(connection, **{**uncertain(), "metrics": {"intervals": intervals}})
    query = "SELECT calibrated FROM registry.embedding_versions WHERE version = :version"
    assert rows(connection, query, version=version) == [(calibrated,)]
    assert predict_outcomes(connection, "org/m0", "arc:i0").calibrated[0] == bool(calibrated)
    found = rows(connection, QUERY, model="org/m0", item="arc:i0", version=None)[0]
    assert found[-1] is bool(calibrated)


TEXT_MAP = TextMap(drawn(4, 5, seed=11), np.cov(drawn(5, 40, seed=12)).astype(np.float64))


def with_texts(connection: Connection, error: float | None = 0.02) -> int:
    """Store a version that predicts items from texts, and a text of an item without outcomes.

    Beside a current version, onto which it is rotated.
    """
    kept(connection, drawn(3, seed=1))
    made = uncertain()
    kept_ = replace(made["uncertainty"], texts=TEXT_MAP)
    serving = drawn(3, 4, seed=13)
    intervals = {**HELD, "text_calibration_error": error}
    fields = {"uncertainty": kept_, "serving": serving, "metrics": {"intervals": intervals}}
    version = stored(connection, **{**made, **fields})
    asked = [Item("i0"), Item("i1"), Item("i2"), Item("new", "What is new?")]
    write(connection, block("arc", run("org/m0", [1, 0, 1, None]), asked=asked))
    rows(
        connection,
        """WITH e AS (INSERT INTO store.encoders (name, dimension) VALUES ('test-encoder', 3)
                      RETURNING encoder_id)
           INSERT INTO store.text_vectors (encoder_id, content_hash, vector)
           SELECT e.encoder_id, i.content_hash, '[0.6,0,-0.8]'
             FROM e, store.items i WHERE i.item = 'new' RETURNING 1""",
    )
    return version


def test_an_item_without_outcomes_is_predicted_from_its_text(connection: Connection) -> None:
    version = with_texts(connection)
    assert abs(stored_vectors(connection, version)[0] - drawn(3)).max() > 0.1, "it was rotated"
    # As all was given, before it was rotated.
    models, vectors, given = drawn(3), drawn(3, 5, seed=3), uncertain()
    directions = given["uncertainty"].axes.directions
    item = np.array([0.6, 0, -0.8, 1]) @ TEXT_MAP.weights
    predicted = predict_outcomes(connection, names(3), ["arc:i0", "arc:new"])
    assert predicted.basis.tolist() == ["outcomes", "text"]
    assert predicted.items[1] == Column("arc", "", "new")
    for row, name in enumerate(names(3)):
        covariance = (directions * given["variances"][row]) @ directions.T
        known = by_covariance(models[row], vectors[0], covariance, 0.4)
        assert predicted.deviation[row, 0] == pytest.approx(known[4], rel=1e-3)
        extended = np.append(models[row], 1)
        more = extended @ TEXT_MAP.residual @ extended
        more += np.trace(TEXT_MAP.residual[:-1, :-1] @ covariance)
        wanted = by_covariance(models[row], item, covariance, more)
        ours = predicted.probability, predicted.lower, predicted.upper
        assert [each[row, 1] for each in ours] == pytest.approx(wanted[:3], abs=1e-3)
        assert predicted.deviation[row, 1] == pytest.approx(wanted[4], rel=1e-3)
        found = rows(connection, QUERY, model=name, item="arc:new", version=None)[0]
        assert found[3:8] == pytest.approx(wanted, abs=2e-3)
        assert found[7] == pytest.approx(wanted[4], rel=1e-3)
        assert (*found[:3], *found[8:]) == (
            name, "arc", "new", "trained", version, "text", True)  # fmt: skip
    with pytest.raises(UsageError, match="No item named 'arc:i1' has a vector"):
        predict_outcomes(connection, "org/m0", ["arc:new", "arc:i1"])


@pytest.mark.parametrize(("error", "holds"), [(0.05, True), (0.051, False), (None, False)])
def test_items_of_texts_are_calibrated_where_left_out_items_are(
    connection: Connection,
    error: float | None,
    holds: bool,  # noqa: FBT001 - a column's value
) -> None:
    with_texts(connection, error)
    predicted = predict_outcomes(connection, "org/m0", ["arc:new", "arc:i0"])
    assert predicted.calibrated.tolist() == [holds, True]
    found = [
        rows(connection, QUERY, model="org/m0", item=item, version=None)[0][-1]
        for item in ("arc:new", "arc:i0")
    ]
    assert found == [holds, True]


def test_the_probit_approximation_is_near_the_mean_over_the_uncertainty() -> None:
    rng = np.random.default_rng(0)
    p, item, uncertainty = rng.normal(size=3), np.array([1.0, -0.5, 0.8, 0.7]), 0.9
    draws = p + uncertainty * rng.normal(size=(200_000, 3))
    outcomes = 1 / (1 + np.exp(-(draws @ item[:-1] + item[-1])))
    expected, lower, upper, *_ = by_hand(p, item, uncertainty)
    assert expected == pytest.approx(outcomes.mean(), abs=0.01)
    assert np.mean((outcomes > lower) & (outcomes < upper)) == pytest.approx(0.9, abs=0.005)


def test_all_models_and_items_are_taken_where_none_is_named(connection: Connection) -> None:
    stored(connection)
    predicted = predict_outcomes(connection)
    assert predicted.models == names(3)
    assert sorted(predicted.items) == sorted(ITEMS)
    one = predict_outcomes(connection, "org/m1", "arc:i2")
    place = predicted.items.index(ITEMS[1])
    assert one.probability[0, 0] == predicted.probability[1, place]
    frame = predicted.to_pandas()
    assert len(frame) == 9
    assert frame["probability"].tolist() == predicted.probability.reshape(-1).tolist()
    assert frame.loc[3, "model"] == "org/m1"


def test_any_name_of_a_model_and_a_benchmark_will_do(connection: Connection) -> None:
    stored(connection)
    alias(connection, "org/m1", "former/name")
    predicted = predict_outcomes(connection, "former/name", "ARC:i0")
    assert (predicted.models, predicted.items) == (["org/m1"], [ITEMS[0]])
    found = rows(connection, QUERY, model="FORMER/name", item="a:b:i1", version=None)
    assert found[0][:3] == ("org/m1", "a:b", "i1")


def test_without_an_uncertainty_there_is_no_interval(connection: Connection) -> None:
    version = stored(connection, uncertainties=None)
    models, vectors = stored_vectors(connection, version)
    predicted = predict_outcomes(connection, "org/m0", "arc:i0")
    assert predicted.probability[0, 0] == pytest.approx(by_hand(models[0], vectors[0], 0)[0])
    assert np.isnan(predicted.lower).all()
    assert np.isnan(predicted.upper).all()
    found = rows(connection, QUERY, model="org/m0", item="arc:i0", version=version)[0]
    assert found[3] == pytest.approx(predicted.probability[0, 0], abs=1e-6)
    assert (found[4], found[5], found[7]) == (None, None, None)
    assert rows(connection, QUERY, model=None, item="arc:i0", version=None) == []
    assert rows(connection, QUERY, model="org/m0", item=None, version=None) == []


@pytest.mark.parametrize(
    ("model_", "item", "version", "problem"),
    [
        ("nobody/x", "arc:i0", None, "No model named 'nobody/x'"),
        ("org/m0", "arc:i1", None, "No item named 'arc:i1' has a vector in version"),
        ("org/m0", "i0", None, "named as benchmark:item"),
        ("org/m0", "mmlu:i0", None, "`registry train` learns vectors of items"),
        ("org/bare", "arc:i0", None, "Model 'org/bare' has no vector"),
        ("org/m0", "arc:i0", 10**6, "There is no version 1000000"),
    ],
)
def test_what_is_not_there_is_named(
    connection: Connection, model_: str, item: str, version: int | None, problem: str
) -> None:
    stored(connection)
    model(connection, "org/bare")
    with pytest.raises(RegistryError, match=problem):
        predict_outcomes(connection, model_, item, version=version)
    with pytest.raises(DBAPIError, match=problem), connection.begin_nested():
        rows(connection, QUERY, model=model_, item=item, version=version)


def test_an_item_of_two_versions_is_named_by_one(connection: Connection) -> None:
    both = [Column("arc", "1", "i0"), Column("arc", "2", "i0")]
    for version in "12":
        write(connection, block("arc", *(run(name, [1]) for name in names(3)), version=version))
    kept(connection, drawn(3), items=both, item_vectors=drawn(2, 5, seed=3))
    with pytest.raises(UsageError, match="several benchmarks: arc@1, arc@2; name one"):
        predict_outcomes(connection, "org/m0", "arc:i0")
    with (
        pytest.raises(DBAPIError, match="several benchmarks: arc@1, arc@2; name one"),
        connection.begin_nested(),
    ):
        rows(connection, QUERY, model="org/m0", item="arc:i0", version=None)
    assert predict_outcomes(connection, "org/m0", "arc@2:i0").items == both[1:]
    assert len(rows(connection, QUERY, model="org/m0", item="arc@1:i0", version=None)) == 1


def test_a_version_without_vectors_of_items_predicts_nothing(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="`registry train`"):
        predict_outcomes(connection, "org/m0", "arc:i0")
    with pytest.raises(DBAPIError, match="`registry train`"), connection.begin_nested():
        rows(connection, QUERY, model="org/m0", item="arc:i0", version=None)
    stored(connection, items=(), item_vectors=None)
    with pytest.raises(RegistryError, match="has no vectors of items"):
        predict_outcomes(connection, "org/m0", "arc:i0")


def test_it_is_public(engine: Engine, database_url: str) -> None:
    with engine.begin() as connection:
        first = stored(connection)
        second = kept(connection, drawn(3, seed=1), items=ITEMS, item_vectors=drawn(3, 5, seed=4))
    predicted = registry.predict_outcomes(["org/m0"], ["arc:i0", "arc:i2"], url=database_url)
    assert (predicted.version, predicted.probability.shape) == (second, (1, 2))
    earlier = registry.predict_outcomes("org/m0", "arc:i0", url=database_url, version=first)
    assert earlier.version == first
    assert earlier.probability[0, 0] != predicted.probability[0, 0]
    with pytest.raises(ModelNotFoundError):
        registry.predict_outcomes("nobody/x", url=database_url)
