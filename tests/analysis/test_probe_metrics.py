"""Probes find what was planted, and nothing where nothing was."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from registry.analysis.probe_metrics import (
    benchmark_contribution,
    benchmark_prediction,
    community_distances,
    split_predictions,
)
from registry.learning.arrays import Floats

pytest.importorskip("scipy")


def test_distances_by_hand() -> None:
    vectors = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 10.0], [100.0, 0.0]])
    two, one, all_, none = community_distances(
        vectors, {"two": [0, 1], "one": [2], "all": [0, 1, 2, 3], "none": []}
    )
    between = (10 + 100 + math.hypot(3, 6) + math.hypot(97, 4)) / 4
    assert (two.name, two.models) == ("two", 2)
    assert two.inside == pytest.approx(5)
    assert two.between == pytest.approx(between)
    assert two.ratio == pytest.approx(5 / between)
    assert math.isnan(one.inside)
    assert math.isnan(one.ratio)
    assert one.between > 0
    assert math.isnan(all_.between)
    assert math.isnan(all_.ratio)
    assert math.isnan(none.inside)


def test_a_planted_community_is_near_and_a_random_one_is_not() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 16))
    vectors[:50] += 3
    planted, chance = community_distances(
        vectors, {"planted": range(50), "chance": random.permutation(200)[:50].tolist()}
    )
    assert planted.ratio < 0.6
    assert chance.ratio == pytest.approx(1, abs=0.1)


def test_equal_vectors_have_no_ratio() -> None:
    (found,) = community_distances(np.ones((4, 2)), {"half": [0, 1]})
    assert (found.inside, found.between) == (0, 0)
    assert math.isnan(found.ratio)


@pytest.mark.parametrize("places", [[0, 4], [1, 1], [0, -1]])
def test_places_that_are_none(places: list[int]) -> None:
    with pytest.raises(ValueError, match="Community 'x' has a"):
        community_distances(np.ones((4, 2)), {"x": places})


def test_accuracy_that_is_linear_in_the_vectors_is_predicted_in_all_splits() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(112, 8))
    accuracies = 0.5 + vectors @ random.normal(size=8) / 30
    found = benchmark_prediction(vectors, accuracies)
    assert (found.models, found.splits, found.significant) == (112, 100, 100)
    np.testing.assert_allclose(found.taus, 1)
    assert found.mse < 1e-20
    assert found.mse_of_mean == pytest.approx(accuracies.var(), rel=0.2)


def test_accuracy_that_has_nothing_to_do_with_the_vectors_is_predicted_by_chance() -> None:
    random = np.random.default_rng(2)
    found = benchmark_prediction(random.normal(size=(112, 8)), random.random(112))
    assert found.significant <= 10
    assert found.mse > found.mse_of_mean


def test_an_order_upside_down_is_not_significant() -> None:
    # A vector tells nothing but the pair that a model is one of, and a model is as far above a half
    # as the other of its pair is below.
    vectors = np.eye(50).repeat(2, axis=0)
    away = np.random.default_rng(8).random(50).repeat(2) / 2
    found = benchmark_prediction(vectors, 0.5 + away * np.array([1, -1] * 50), splits=20)
    assert (found.taus < 0).all()
    assert (found.p_values < 0.05).sum() >= 15
    assert found.significant == 0
    assert found.mse > found.mse_of_mean


def test_more_dimensions_than_models_take_the_solution_of_least_norm() -> None:
    random = np.random.default_rng(3)
    vectors, accuracies = random.normal(size=(20, 50)), random.random(20)
    predicted = split_predictions(vectors, accuracies, splits=3, seed=5)
    for row in predicted:
        test = ~np.isnan(row)
        assert test.sum() == 4
        center, mean = vectors[~test].mean(axis=0), accuracies[~test].mean()
        slope, *_ = np.linalg.lstsq(vectors[~test] - center, accuracies[~test] - mean)
        np.testing.assert_allclose(row[test], mean + (vectors[test] - center) @ slope)


def test_penalty_is_that_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(4)
    vectors, accuracies = random.normal(size=(30, 5)), random.random(30)
    (row,) = split_predictions(vectors, accuracies, splits=1, penalty=2.5)
    test = ~np.isnan(row)
    ridge = linear.Ridge(alpha=2.5).fit(vectors[~test], accuracies[~test])
    np.testing.assert_allclose(row[test], ridge.predict(vectors[test]))


def test_models_without_accuracy_are_left_out() -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(40, 3))
    accuracies = np.where(np.arange(40) % 2, vectors[:, 0], np.nan)
    found = benchmark_prediction(vectors, accuracies, splits=10)
    alone = benchmark_prediction(vectors[1::2], accuracies[1::2], splits=10)
    assert found.models == 20
    np.testing.assert_allclose(found.taus, alone.taus)


def test_the_same_accuracy_for_all_has_no_order() -> None:
    random = np.random.default_rng(6)
    found = benchmark_prediction(random.normal(size=(20, 3)), np.full(20, 0.5), splits=5)
    assert np.isnan(found.taus).all()
    assert found.significant == 0
    assert found.mse == pytest.approx(0)


def test_bad_input() -> None:
    vectors, accuracies = np.ones((20, 3)), np.ones(20)
    with pytest.raises(ValueError, match="matrix of finite numbers"):
        benchmark_prediction(np.full((20, 3), math.nan), accuracies)
    with pytest.raises(ValueError, match="20 models have accuracies of shape"):
        benchmark_prediction(vectors, np.ones(19))
    with pytest.raises(ValueError, match="9 models have an accuracy"):
        benchmark_prediction(vectors[:9], accuracies[:9])
    for options in ({"splits": 0}, {"penalty": -1}):
        with pytest.raises(ValueError, match="at least"):
            split_predictions(vectors, accuracies, **options)
    with pytest.raises(ValueError, match="at least three benchmarks, not 2"):
        benchmark_contribution({"a": accuracies, "b": accuracies}, lambda _: {})


def test_what_a_benchmark_teaches() -> None:
    """Accuracy on `maths` and `sums` comes of one ability, on `facts` of another one."""
    random = np.random.default_rng(7)
    ability = random.random((2, 60))
    accuracies: Mapping[str, Floats] = {
        "maths": ability[0], "sums": 0.2 + 0.6 * ability[0], "facts": ability[1],
    }  # fmt: skip
    trainings: list[frozenset[str]] = []

    def predict(trained_on: frozenset[str]) -> Mapping[str, Floats]:
        trainings.append(trained_on)
        vectors = np.stack([accuracies[name] for name in sorted(trained_on)], axis=1)
        return {
            name: split_predictions(vectors, accuracies[name], splits=30)
            for name in accuracies.keys() - trained_on
        }

    found = benchmark_contribution(accuracies, predict)
    assert list(found.benchmarks) == ["maths", "sums", "facts"]
    assert len(trainings) == len(set(trainings)) == 6
    gains = dict(zip(found.benchmarks, found.gains, strict=True))
    assert gains["maths"][1] > 0.02  # helps sums: without, they are predicted from facts
    assert gains["sums"][0] > 0.05
    assert abs(gains["facts"][0]) < 0.01
    assert abs(gains["facts"][1]) < 0.01
    assert np.diag(found.gains).tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.given, found.gains.sum(axis=1))
    np.testing.assert_allclose(found.taken, found.gains.sum(axis=0))


def test_contributions_by_hand() -> None:
    accuracies = {name: np.array([0.5, math.nan]) for name in "abc"}
    # Each benchmark trained on takes a tenth off the error, `a` three tenths.
    worth = {"a": 0.3, "b": 0.1, "c": 0.1}

    def predict(trained_on: frozenset[str]) -> Mapping[str, Floats]:
        error = 0.5 - sum(worth[name] for name in trained_on)
        return {name: np.array([0.5 + error, 0.0]) for name in set("abc") - trained_on}

    found = benchmark_contribution(accuracies, predict)
    # On b: without a and b 0.4 squared, without b 0.1 squared.
    assert found.gains[0, 1] == pytest.approx(0.4**2 - 0.1**2)
    assert found.gains[1, 0] == pytest.approx(0.4**2 - 0.3**2)
    assert found.gains[1, 2] == pytest.approx(0.2**2 - 0.1**2)
