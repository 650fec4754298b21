"""Vectors whose inner products are the catalog's similarities."""

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.learning.coldstart import kernel_features as made
from registry.learning.coldstart.features import Description, FeatureBlocks, Featurizer
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.kernel_features import kernel_features

MODELS = [
    Description(f"{clan}lab/{clan}-{size}b-v{number}", size * 10**9, clan)
    for clan in ("falcon", "otter", "heron")
    for size in (1, 7, 70)
    for number in range(4)
]


@pytest.fixture
def blocks() -> FeatureBlocks:
    return Featurizer.of([MODELS]).blocks(MODELS)


def centred(blocks: FeatureBlocks) -> NDArray[np.float64]:
    """Return similarities about the mean model, as shares of a model's own."""
    similar = Kernel().between(blocks, blocks).astype(np.float64)
    about = np.eye(len(similar)) - 1 / len(similar)
    return np.asarray(about @ similar @ about / similar.diagonal().mean())


def test_inner_products_are_the_similarities_about_the_mean(blocks: FeatureBlocks) -> None:
    features = kernel_features(blocks)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(features @ features.T, centred(blocks), atol=1e-4)


def test_few_features_are_those_that_tell_most(
    blocks: FeatureBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "MOST_FEATURES", 3)
    squares = (kernel_features(blocks) ** 2).sum(axis=0)
    largest = np.linalg.eigvalsh(centred(blocks))[::-1][:3]
    np.testing.assert_allclose(squares, largest, rtol=1e-3)


def test_few_landmarks_tell_nearly_as_much(
    blocks: FeatureBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "LANDMARKS", 18)
    features = kernel_features(blocks)
    assert features.shape[0] == len(MODELS)
    similar = centred(blocks)
    assert np.corrcoef((features @ features.T).ravel(), similar.ravel())[0, 1] > 0.95


def test_models_that_do_not_differ_have_no_features() -> None:
    same = [Description("org/twin-7b", 7 * 10**9)] * 6
    blocks = Featurizer.of([same]).blocks(same)
    assert kernel_features(blocks).shape == (6, 0)
