"""Neighbours explain what is common to few models, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.learning.scores.local_prior import LocalPrior

Reals = NDArray[np.float64]


def clusters(seed: int = 0) -> tuple[Reals, Reals]:
    """Points of 40 narrow clusters; each cluster has values of its own in the first dimension."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(240) % 40
    features = rng.normal(size=(40, 6))[cluster] + rng.normal(size=(240, 6)) * 0.02
    values = rng.normal(size=(240, 2))
    values[:, 0] = rng.normal(size=40)[cluster] + rng.normal(size=240) * 0.1
    return features, values


def learned(features: Reals, values: Reals) -> LocalPrior:
    return LocalPrior.of(
        features, values, np.full(values.shape, 0.01), np.ones(values.shape[1]), values
    )


def test_values_of_neighbours_are_found_where_there_are_some() -> None:
    features, values = clusters()
    prior = learned(features[:200], values[:200])
    assert prior.shares[0] >= 0.85
    mean, taken = prior.predict(features[200:])
    assert np.abs(mean[:, 0] - values[200:, 0]).mean() < 0.2
    # A quarter of the variance is left, however near the neighbours are.
    assert (taken[:, 0] > 0.6).all()
    assert (taken <= 0.75).all()
    far = prior.predict(features[200:] + 50)
    assert np.allclose(far[0], 0)
    assert np.allclose(far[1], 0)


def test_noise_is_left_alone() -> None:
    features, values = clusters()
    rng = np.random.default_rng(3)
    prior = learned(features, rng.normal(size=(240, 3)))
    mean, _ = prior.predict(features)
    assert (mean**2).mean() < 0.05
    none = learned(np.zeros((240, 2)), values)
    assert not none.predict(np.ones((3, 2)))[0].any()
    few = learned(features[:20], values[:20])
    assert not few.shares.any()
    assert not few.predict(features)[0].any()


def test_a_model_is_not_its_own_neighbour() -> None:
    features, values = clusters()
    prior = learned(features, values)
    raised = values.copy()
    raised[7, 0] += 100
    moved = replace(prior, left=raised).others()[0] - prior.others()[0]
    assert moved[7, 0] == pytest.approx(0)
    assert np.abs(moved[[47, 87], 0]).min() > 1


def test_weights_give_the_mean() -> None:
    features, values = clusters()
    prior = learned(features, values)
    mean, _ = prior.predict(features[:1] + 0.01)
    weights = prior.weights(features[0] + 0.01)
    assert (weights * values).sum(axis=0) == pytest.approx(mean[0])
    others = prior.weights(features[0], own=0)
    assert not others[0].any()
    assert (others * values).sum(axis=0) == pytest.approx(prior.others()[0][0])


def test_uncertain_neighbours_count_less() -> None:
    features, values = clusters()
    sure, unsure = (
        LocalPrior(
            features,
            values,
            np.full((240, 2), spread),
            np.ones(2),
            np.full(2, 0.5),
            np.full(2, 0.9),
        ).predict(features[:5])
        for spread in (0.01, 3.0)
    )
    assert (np.abs(unsure[0][:, 0]) < np.abs(sure[0][:, 0])).all()
    assert (unsure[1] < sure[1]).all()
