"""A prior of vectors is ridge regression, whose leave-one-out formulas agree with leaving out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.learning.scores.conformal import GROUPS, evidence_groups
from registry.learning.scores.feature_prior import FeaturePrior

Reals = NDArray[np.float64]

NOISE, SIGNAL = np.array([0.3, 0.7]), np.array([0.5, 0.2])


def fitted(features: Reals, vectors: Reals) -> FeaturePrior:
    prior = FeaturePrior.of(features, NOISE, SIGNAL, expected=(NOISE, SIGNAL))
    prior.learn(vectors, pull=np.full(2, np.inf))
    return prior


def drawn(count: int = 30) -> tuple[Reals, Reals]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 4)), rng.normal(size=(count, 2))


def test_slopes_are_those_of_ridge_regression() -> None:
    features, vectors = drawn()
    prior = fitted(features, vectors)
    for dimension in range(2):
        penalty = NOISE[dimension] / SIGNAL[dimension] * np.eye(4)
        expected = np.linalg.solve(
            features.T @ features + penalty, features.T @ vectors[:, dimension]
        )
        assert prior.slopes[:, dimension] == pytest.approx(expected)


def test_others_agree_with_leaving_a_row_out() -> None:
    features, vectors = drawn()
    mean, variance = fitted(features, vectors).others(vectors)
    for row in (0, 17):
        kept = np.arange(30) != row
        left = fitted(features[kept], vectors[kept])
        expected, spread = left.predict(features[row][None])
        assert mean[row] == pytest.approx(expected[0])
        assert variance[row] == pytest.approx(spread[0])


def test_weights_give_the_function() -> None:
    features, vectors = drawn()
    prior = fitted(features, vectors)
    weights = prior.weights(np.repeat(np.ones((4, 1)), 2, axis=1))
    found = prior.predict(np.ones((1, 4)))[0][0]
    assert (weights * vectors).sum(axis=0) == pytest.approx(found)


def test_coordinates_may_change() -> None:
    features, vectors = drawn()
    prior = fitted(features, vectors)
    matrix = np.array([[0.0, 2.0], [1.0, 0.0]])
    before = prior.means()
    prior.transform(matrix)
    assert prior.means() == pytest.approx(before @ matrix.T)
    assert prior.noise == pytest.approx([NOISE[1] * 4, NOISE[0]])


def test_variances_that_were_drawn_are_learned() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(500, 20)) / np.sqrt(20)
    vectors = features @ rng.normal(size=(20, 2)) * [2, 0.1] + rng.normal(size=(500, 2)) * [0.5, 1]
    prior = fitted(features, vectors)
    for _ in range(60):
        prior.learn(vectors, pull=np.zeros(2))
        prior.learn_variances(vectors, np.zeros((500, 2)))
    assert prior.noise == pytest.approx([0.25, 1], rel=0.15)
    assert prior.signal[0, 0] == pytest.approx(4, rel=0.6)
    assert prior.signal[0, 1] < 0.3


def test_evidence_is_of_four_kinds() -> None:
    own, of_benchmark = np.array([0, 1, 4, 5, 5, 90]), np.array([50, 50, 3, 9, 10, 200])
    found = [GROUPS[group] for group in evidence_groups(own, of_benchmark)]
    few, small = "few other scores", "benchmark with few scores"
    assert found == ["no other scores", few, few, small, "many scores", "many scores"]
