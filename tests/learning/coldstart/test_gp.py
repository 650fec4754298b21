"""Vectors that follow from features are predicted, others get the mean."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.coldstart import gp
from registry.learning.coldstart.calibration import (
    NORMAL,
    Calibration,
    calibrate,
    calibrate_onward,
    coordinate_scale,
)
from registry.learning.coldstart.features import Description, FeatureBlocks, Featurizer
from registry.learning.coldstart.fold_in_linear import accuracy, fold, unfolded
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import decompose

KINDS = ("alpha", "beta", "gamma", "delta")


def catalog(models: int) -> tuple[FeatureBlocks, NDArray[np.intp]]:
    """Models of four kinds, which their names show."""
    kinds = np.random.default_rng(0).integers(len(KINDS), size=models)
    descriptions = [
        Description(f"{KINDS[kind]}lab/{KINDS[kind]}-{n % 9}-7b", 7_000_000_000, KINDS[kind])
        for n, kind in enumerate(kinds)
    ]
    return Featurizer.of([descriptions]).blocks(descriptions), kinds.astype(np.intp)


def outcomes(kinds: NDArray[np.intp], items: int, seed: int = 1) -> NDArray[np.float64]:
    """Chances differ by kind, a little by model."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(KINDS), items))[kinds] + rng.normal(size=(len(kinds), 1)) * 0.3
    return (rng.random(logits.shape) < 1 / (1 + np.exp(-2 * logits))).astype(np.float64)


def rows(first: int, last: int) -> NDArray[np.intp]:
    return np.arange(first, last)


def test_what_names_tell_is_found() -> None:
    blocks, kinds = catalog(200)
    drawn = outcomes(kinds, 80)
    components, vectors = decompose(drawn[:150])
    prediction = gp.fit(blocks.rows(rows(0, 150)), vectors).predict(blocks.rows(rows(150, 200)))
    found = components.probabilities(prediction.mean)
    plain = ((drawn[150:] - components.means) ** 2).mean()
    assert ((drawn[150:] - found) ** 2).mean() < 0.8 * plain
    assert (prediction.support > 0.5).all()


def test_noise_gives_the_mean() -> None:
    blocks, _ = catalog(120)
    vectors = np.random.default_rng(3).normal(size=(120, 4)) + 5
    fitted = gp.fit(blocks.rows(rows(0, 100)), vectors[:100])
    prediction = fitted.predict(blocks.rows(rows(100, 120)))
    assert np.abs(prediction.mean - 5).max() < 0.7
    assert np.sqrt(prediction.variance) == pytest.approx(1, abs=0.3)


def test_a_stub_gets_a_weak_answer() -> None:
    blocks, kinds = catalog(100)
    _, vectors = decompose(outcomes(kinds, 80))
    fitted = gp.fit(blocks, vectors)
    stub = Featurizer.of([[Description("")]]).blocks([Description("")])
    weak, known = fitted.predict(stub), fitted.predict(blocks.rows(rows(0, 1)))
    assert weak.support[0] < known.support[0]
    assert np.isfinite(weak.mean).all()
    assert (weak.variance > 0).all()


def test_deviations_of_coordinates_hold_what_they_say() -> None:
    blocks, kinds = catalog(600)
    draw = np.random.default_rng(4)
    # Heavy tails, and much in some dimensions: a normal distribution would be wrong of both.
    noise = draw.standard_t(3, size=(600, 6)) * np.array([0.1, 0.1, 0.3, 0.3, 1.0, 2.0])
    vectors = draw.normal(size=(len(KINDS), 6))[kinds] + noise
    fitted = gp.fit(blocks.rows(rows(0, 400)), vectors[:400])
    scale = coordinate_scale(fitted.left_out, vectors[:400])
    prediction = fitted.predict(blocks.rows(rows(400, 600)))
    stated = scale * np.sqrt(prediction.variance.mean(axis=1, keepdims=True))
    held = np.abs(prediction.mean - vectors[400:]) <= 1.645 * stated
    assert held.mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("models", "widest"), [(9, 9), (10, 10), (19, 18), (20, 19)])
def test_a_quantile_counts_the_error_to_come(models: int, widest: int) -> None:
    """Of n errors, that of a further model is below the ceil(0.9 (n + 1))-th in 90%."""
    flat = VectorEstimate(np.zeros((models, 1)), np.ones((models, 1)), np.ones(models))
    scale = coordinate_scale(flat, np.arange(1.0, models + 1)[:, None])
    assert scale == pytest.approx(widest / NORMAL)


def test_landmarks_come_near_to_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, kinds = catalog(300)
    _, vectors = decompose(outcomes(kinds, 80), 4)
    known, asked = blocks.rows(rows(0, 250)), blocks.rows(rows(250, 300))
    whole = gp.fit(known, vectors[:250], kernel=Kernel()).predict(asked)
    monkeypatch.setattr(gp, "LANDMARKS", 100)
    some = gp.fit(known, vectors[:250], kernel=Kernel()).predict(asked)
    assert np.sqrt(((whole.mean - some.mean) ** 2).mean()) < 0.2 * whole.mean.std()


def test_left_out_is_what_a_fit_without_the_model_says() -> None:
    blocks, kinds = catalog(60)
    _, vectors = decompose(outcomes(kinds, 80), 3)
    whole = gp.fit(blocks, vectors, kernel=Kernel())
    rest = np.delete(np.arange(60), 7)
    without = gp.fit(blocks.rows(rest), vectors[rest], kernel=Kernel())
    prediction = without.predict(blocks.rows(rows(7, 8)))
    assert whole.left_out.mean[7] == pytest.approx(prediction.mean[0], abs=0.5)
    assert whole.left_out.variance[7] == pytest.approx(prediction.variance[0], rel=0.3)


def test_predictions_are_the_same_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, kinds = catalog(90)
    fitted = gp.fit(blocks, decompose(outcomes(kinds, 40))[1])
    whole = fitted.predict(blocks)
    monkeypatch.setattr(gp, "AT_ONCE", 7)
    assert fitted.predict(blocks).mean == pytest.approx(whole.mean, abs=1e-4)


@pytest.mark.parametrize("models", [0, 1, 2])
def test_too_few_models_are_an_error(models: int) -> None:
    blocks, _ = catalog(3)
    with pytest.raises(UsageError, match="3 evaluated models"):
        gp.fit(blocks.rows(rows(0, models)), np.zeros((models, 2)))


def test_vectors_that_are_none_are_an_error() -> None:
    blocks, _ = catalog(5)
    with pytest.raises(ValueError, match="finite"):
        gp.fit(blocks, np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="5 models, but 4"):
        gp.fit(blocks, np.zeros((4, 2)))


def test_outcomes_correct_a_guess() -> None:
    _, kinds = catalog(220)
    drawn = outcomes(kinds, 100)
    components, vectors = decompose(drawn[:200], 8)
    left = gp.VectorEstimate(
        np.zeros((20, 8)), np.repeat(vectors.var(axis=0)[None], 20, axis=0), np.zeros(20)
    )
    errors = []
    for count in (0, 10, 50, 100):
        shown = drawn[200:].copy()
        shown[:, count:] = np.nan
        found = accuracy(fold(left, components, shown), components, shown)
        errors.append(float(np.abs(found.mean - drawn[200:].mean(axis=1)).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0, abs=1e-9)


def test_without_outcomes_a_guess_stays() -> None:
    components, vectors = decompose(outcomes(catalog(50)[1], 30), 3)
    prediction = gp.VectorEstimate(vectors[:2], np.ones((2, 3)), np.ones(2))
    folded = fold(prediction, components, np.full((2, 30), np.nan))
    assert (folded.mean == prediction.mean).all()
    assert folded.variance == pytest.approx(unfolded(prediction).variance)
    with pytest.raises(UsageError, match="within 0 and 1"):
        fold(prediction, components, np.full((2, 30), 2.0))


def test_components_of_what_was_partly_seen() -> None:
    drawn = outcomes(catalog(150)[1], 60)
    seen = np.where(np.random.default_rng(5).random(drawn.shape) < 0.7, drawn, np.nan)
    components, vectors = decompose(seen, 4)
    hidden = np.isnan(seen)
    found = components.probabilities(vectors)
    error = ((drawn - found)[hidden] ** 2).mean()
    assert error < 0.85 * ((drawn - components.means)[hidden] ** 2).mean()
    with pytest.raises(UsageError, match="no outcomes"):
        decompose(np.full((3, 3), np.nan))


def test_intervals_hold_what_they_say() -> None:
    blocks, kinds = catalog(500)
    drawn = outcomes(kinds, 80)
    components, vectors = decompose(drawn[:300])
    fitted = gp.fit(blocks.rows(rows(0, 300)), vectors)
    calibration = calibrate(blocks.rows(rows(0, 300)), drawn[:300], kernel=fitted.kernel)
    shown = np.full((200, 80), np.nan)
    folded = fold(fitted.predict(blocks.rows(rows(300, 500))), components, shown)
    lower, upper = calibration.interval(accuracy(folded, components, shown), folded.counts)
    truth = drawn[300:].mean(axis=1)
    assert 0.82 <= ((truth >= lower) & (truth <= upper)).mean() <= 0.97
    with pytest.raises(UsageError, match="20 models"):
        calibrate(blocks.rows(rows(0, 300)), np.full(drawn[:300].shape, np.nan))


def test_intervals_for_later_models_learn_that_they_get_better() -> None:
    blocks, kinds = catalog(400)
    blocks = replace(blocks, dates=np.arange(400.0))
    rng = np.random.default_rng(7)
    # Each hundred days, what models get right rises by what no feature shows.
    levels = 0.2 + 0.1 * np.arange(400) / 100 + rng.normal(size=400) * 0.05
    drawn = (rng.random((400, 60)) < np.clip(levels + kinds * 0.05, 0, 1)[:, None]).astype(float)
    known, new = rows(0, 300), rows(300, 400)
    components, vectors = decompose(drawn[known])
    fitted = gp.fit(blocks.rows(known), vectors)
    nothing = np.full((100, 60), np.nan)
    folded = fold(fitted.predict(blocks.rows(new)), components, nothing)
    stated, truth = accuracy(folded, components, nothing), drawn[new].mean(axis=1)

    def held(calibration: Calibration) -> float:
        lower, upper = calibration.interval(stated, folded.counts)
        return float(((truth >= lower) & (truth <= upper)).mean())

    onward = calibrate_onward(blocks.rows(known), drawn[known])
    assert onward.above is not None
    assert onward.above[0] > onward.widths[0]
    left_out = calibrate(blocks.rows(known), drawn[known], kernel=fitted.kernel)
    assert held(onward) > held(left_out) + 0.05
    undated = replace(blocks, dates=np.full(400, np.nan))
    with pytest.raises(UsageError, match="need more with dates"):
        calibrate_onward(undated, drawn)


def test_intervals_do_not_trust_components_that_saw_the_answers() -> None:
    """Few models, and as many components as they can bear: those fit their own outcomes too well.

    After many outcomes, errors of known models by such components promise too much.
    """
    blocks, kinds = catalog(500)
    drawn = outcomes(kinds, 200)
    known, new = rows(0, 100), rows(100, 500)
    components, vectors = decompose(drawn[known])
    fitted = gp.fit(blocks.rows(known), vectors)
    calibration = calibrate(blocks.rows(known), drawn[known], kernel=fitted.kernel)
    shown = drawn[new].copy()
    shown[:, 50:] = np.nan
    folded = fold(fitted.predict(blocks.rows(new)), components, shown)
    stated, truth = accuracy(folded, components, shown), drawn[new].mean(axis=1)

    def held(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> float:
        return float(((truth >= lower) & (truth <= upper)).mean())

    own = fold(fitted.left_out, components, np.where(np.arange(200) < 50, drawn[known], np.nan))
    of_known = accuracy(own, components, np.where(np.arange(200) < 50, drawn[known], np.nan))
    off = np.abs(of_known.mean - drawn[known].mean(axis=1)) / of_known.deviation
    trusting = np.quantile(off, 0.9) * stated.deviation
    whole = held(*calibration.interval(stated, folded.counts))
    assert 0.86 <= whole <= 0.94
    assert held(stated.mean - trusting, stated.mean + trusting) < whole
