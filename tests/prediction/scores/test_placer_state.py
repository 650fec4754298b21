"""Stored state of a version: it places models as the fit did."""

from dataclasses import replace

import numpy as np
import pytest

from registry.embeddings.model_features import ModelBatch
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.stored_features import json_array, packed, unpacked
from registry.learning.scores.drift import Drift
from registry.learning.scores.fit import fit
from registry.learning.scores.model_features import ModelFeatureSpace
from registry.learning.scores.observations import ScoreObservations
from registry.prediction.scores.placer_state import placer_of, state
from registry.prediction.scores.placing import AbilityPlacer

DAY = 20_000.0
NEW = [
    Description("lab3/kin3-7b-tuned", 7 * 10**9, created=DAY + 50),
    Description("lab5/kin5-13b", 13 * 10**9, created=DAY + 900),
    Description("unlike/anything", None),
]


@pytest.fixture(scope="module")
def placer() -> AbilityPlacer:
    rng = np.random.default_rng(0)
    models = [
        Description(f"lab{place % 9}/kin{place % 9}-{size}b", size * 10**9, created=DAY + place)
        for place, size in zip(range(60), rng.choice([1, 7, 13], size=60).tolist(), strict=True)
    ]
    featurizer = Featurizer.of([models])
    blocks = featurizer.blocks(models)
    space = ModelFeatureSpace.of(blocks)
    features = space.features(blocks)
    values = rng.normal(size=9)[np.arange(60) % 9][:, None] + rng.normal(size=(60, 6)) * 0.2
    rows, columns = np.nonzero(rng.random(values.shape) < 0.8)
    observations = ScoreObservations(
        rows,
        columns,
        values[rows, columns],
        np.zeros(len(rows)),
        60,
        6,
        features,
        [f"b{place}" for place in range(6)],
        groups=space.groups,
        apart=space.apart(blocks, features),
    )
    found = fit(observations)
    scales = replace(found.error_scales, drift=Drift.of(observations, 2.5))
    keys = 100 + 2 * np.arange(60, dtype=np.int64)
    taken = np.where(np.arange(60) % 2, 1, 2).astype(np.int64)
    return AbilityPlacer(
        featurizer,
        space,
        replace(found, error_scales=scales),
        keys,
        taken,
        np.arange(1, 7, dtype=np.int64),
    )


def test_models_are_placed_as_before_it_was_stored(placer: AbilityPlacer) -> None:
    stored = placer_of(state(placer))
    assert stored is not None
    # Authors and lineage are read again, those of all models here.
    stored = replace(stored, featurizer=placer.featurizer)
    batch = ModelBatch([7, 100, 102, 300], [NEW[0], NEW[0], NEW[1], NEW[2]])
    ours, theirs = placer.place(batch), stored.place(batch)
    assert ours.keys.tolist() == theirs.keys.tolist() == [7, 300]
    batch = ModelBatch([7, 8, 9], NEW)
    ours, theirs = placer.place(batch), stored.place(batch)
    assert np.allclose(ours.abilities.means, theirs.abilities.means, atol=1e-3)
    assert np.allclose(ours.abilities.covariances, theirs.abilities.covariances, atol=1e-3)
    assert np.allclose(ours.abilities.scales, theirs.abilities.scales, rtol=1e-4)
    assert np.array_equal(ours.near, theirs.near)
    assert np.allclose(ours.weights, theirs.weights, atol=1e-3)
    assert np.array_equal(ours.blocks, theirs.blocks)
    plain = replace(stored.estimate.error_scales, drift=Drift())
    features = stored.space.features(stored.featurizer.blocks(NEW))
    factors = theirs.abilities.scales / plain.scales(features)
    # The first is no later than those with scores, the last has no date.
    assert np.allclose(factors, np.array([[1, 1], [2.5, 1], [1, 1]]), rtol=1e-4)


def test_what_else_is_kept(placer: AbilityPlacer) -> None:
    stored = placer_of(state(placer))
    assert stored is not None
    assert np.array_equal(stored.keys, placer.keys)
    assert np.array_equal(stored.benchmarks, placer.benchmarks)
    asked = np.array([3, 14])
    ours = placer.estimate.measured_prior(asked)
    theirs = stored.estimate.measured_prior(asked)
    assert np.allclose(ours.means, theirs.means, atol=1e-3)
    assert np.allclose(ours.covariances, theirs.covariances, atol=1e-3)
    assert np.allclose(ours.scales, theirs.scales, rtol=1e-4)
    columns = np.arange(6)
    estimates = placer.estimate, stored.estimate
    found = [each.predict(np.zeros(6, np.intp), columns, ours) for each in estimates]
    assert np.allclose(found[0].mean, found[1].mean, atol=1e-5)
    assert np.allclose(found[0].sd, found[1].sd, atol=1e-5)
    assert np.array_equal(found[0].groups, found[1].groups)


@pytest.mark.parametrize("changed", ["kernel", "pieces"])
def test_a_state_of_other_features_places_nothing(placer: AbilityPlacer, changed: str) -> None:
    arrays = unpacked(state(placer))
    arrays[changed] = json_array({"metadata": 2.0}) if changed == "kernel" else np.zeros(3)
    assert placer_of(packed(arrays.items())) is None


@pytest.mark.parametrize("layout", [None, 1, 3])
def test_a_state_of_another_release_places_nothing(
    placer: AbilityPlacer, layout: int | None
) -> None:
    arrays = unpacked(state(placer))
    # Of another release, other arrays may be missing too.
    del arrays["layout"], arrays["similar axes"]
    if layout is not None:
        arrays["layout"] = np.array(layout)
    assert placer_of(packed(arrays.items())) is None


def test_no_state_places_nothing() -> None:
    assert placer_of(b"") is None
