"""Methods on outcomes whose true probabilities are known."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from planted import Planted, planted

from registry.errors import UsageError
from registry.learning.factorization import devices, selection
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.blend import Blend
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.knn import Neighbours
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
from registry.learning.factorization.problem import (
    Context,
    Fit,
    ItemTexts,
    Matrix,
    Method,
    Problem,
)
from registry.learning.factorization.serving import serving_vectors, text_map
from registry.learning.factorization.text_gp import TextRegression
from registry.learning.intervals import expected
from registry.learning.metrics import calibration_error, log_loss

WITH_VECTORS: list[Method] = [
    ItemResponse(rank=3, sweeps=8),
    FreeFactorization(dimension=3, epochs=3),
    TextFactorization(dimension=8, epochs=3),
]
ALL: list[Method] = [
    *WITH_VECTORS,
    MeanScore("items"),
    MeanScore("models"),
    Neighbours(k=10),
    Neighbours(k=10, sharpness=8.0),
    TextRegression(landmarks=40),
    Blend((ItemResponse(rank=1, sweeps=4), Neighbours(k=10))),
]


def error(made: Planted, fit: Fit, cells: Any) -> float:
    """Return the root mean square distance to the true probabilities."""
    found = fit.probabilities(made.probabilities.shape[1])
    return float(np.sqrt(((found - made.probabilities)[cells] ** 2).mean()))


@pytest.fixture(scope="module")
def small() -> Planted:
    return planted(20, 60, text=0.5)


def names(methods: list[Method]) -> list[str]:
    return [f"{place}-{method.name}" for place, method in enumerate(methods)]


@pytest.mark.parametrize("method", ALL, ids=names(ALL))
def test_any_method_gives_probabilities_and_the_same_for_a_seed(
    method: Method, small: Planted
) -> None:
    first, second = (method.fit(small.problem, context=Context(seed=5)) for _ in range(2))
    found = first.probabilities(60)
    assert found.shape == (20, 60)
    assert found.dtype == np.float32
    assert found.min() > 0
    assert found.max() < 1
    np.testing.assert_array_equal(found, second.probabilities(60))
    some = np.array([7, 3])
    np.testing.assert_allclose(first.predict(some), found[:, some], rtol=1e-4)


@pytest.mark.parametrize("method", WITH_VECTORS, ids=names(WITH_VECTORS))
def test_vectors_say_what_the_method_says(method: Method, small: Planted) -> None:
    fit = method.fit(small.problem)
    assert fit.factors is not None
    logits = fit.factors.models @ fit.factors.items.T + fit.factors.offsets
    predicted = 1 / (1 + np.exp(-logits))
    found = fit.probabilities(60)
    # A variational prediction is nearer to a half where it is not sure.
    assert np.corrcoef(predicted.ravel(), found.ravel())[0, 1] > 0.98
    if fit.serving is not None:
        assert small.problem.texts is not None
        text = np.column_stack([small.problem.texts.vectors, np.ones(60, np.float32)])
        np.testing.assert_allclose(fit.serving @ text.T, logits, atol=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        ItemResponse(rank=2, sweeps=40),
        FreeFactorization(dimension=2, epochs=400, decay=1e-5, rate=2e-2, block=500),
    ],
    ids=["irt", "mf"],
)
def test_graded_outcomes_of_known_factors_are_recovered(method: Method) -> None:
    """Outcomes are the probabilities themselves, so that nothing is left to chance."""
    made = planted(300, 500, rank=2, graded=True)
    hidden = np.isnan(made.problem.outcomes)
    assert error(made, method.fit(made.problem), hidden) <= 0.02


def test_item_response_beats_means_and_rank_zero_on_what_was_drawn() -> None:
    made = planted(300, 300, rank=2, seed=3)
    hidden = np.isnan(made.problem.outcomes)
    methods: dict[str, Method] = {
        "irt": ItemResponse(rank=2, sweeps=30),
        "rasch": ItemResponse(rank=0, sweeps=20),
        "mean": MeanScore("items"),
    }
    errors = {
        name: error(made, method.fit(made.problem), hidden) for name, method in methods.items()
    }
    assert errors["irt"] < 0.6 * errors["rasch"] < 0.6 * errors["mean"]
    # Each model's two abilities are estimated from some 240 drawings of one bit.
    assert errors["irt"] < 0.1


def test_an_item_response_model_is_not_surer_than_it_should_be() -> None:
    """With few outcomes a prediction goes back to the means, rather than to 0 or 1."""
    made = planted(30, 40, rank=2, seen=0.3)
    hidden = np.isnan(made.problem.outcomes)
    predicted = ItemResponse(rank=8, sweeps=30).fit(made.problem).probabilities(40)
    means = MeanScore("items").fit(made.problem).probabilities(40)
    outcomes = made.outcomes[hidden]
    assert log_loss(outcomes, predicted[hidden]) < log_loss(outcomes, means[hidden])


def test_texts_tell_of_items_that_have_no_outcomes() -> None:
    made = planted(30, 600, rank=2, text=1.0, seen=1.0)
    new = np.zeros((30, 600), bool)
    new[:, 500:] = True
    problem = made.problem.without(new)
    base = error(made, MeanScore("models").fit(problem), new)
    for method in (
        Neighbours(k=20, sharpness=8.0),
        TextRegression(words=0.0, traits=0.0),
        TextFactorization(dimension=16, epochs=60, rate=3e-3, block=64),
    ):
        assert error(made, method.fit(problem), new) < 0.8 * base, method.name


def test_serving_vectors_predict_new_items_linearly() -> None:
    made = planted(30, 600, rank=2, text=1.0, seen=1.0)
    new = np.zeros((30, 600), bool)
    new[:, 500:] = True
    problem = made.problem.without(new)
    assert problem.texts is not None
    fit = ItemResponse(rank=2, sweeps=20).fit(problem)
    assert fit.factors is not None
    found = text_map(fit.factors, problem.texts, problem.outcomes)
    assert found is not None
    served = serving_vectors(fit.factors, found)
    text = np.column_stack([problem.texts.vectors, np.ones(600, np.float32)])
    predicted = 1 / (1 + np.exp(-(served @ text.T)))
    rmse = float(np.sqrt(((predicted - made.probabilities)[new] ** 2).mean()))
    assert rmse < 0.5 * error(made, MeanScore("models").fit(problem), new)


@pytest.mark.parametrize(("share", "open_"), [(0.2, 1.0), (0.6, 0.1)])
def test_what_texts_leave_open_is_as_much_as_left_out_outcomes_say(
    share: float, open_: float
) -> None:
    """Where texts say little of items; and where outcomes say that errors hardly matter."""
    made = planted(40, 900, rank=2, text=share, seen=1.0)
    new = np.zeros((40, 900), bool)
    new[:, 600:] = True
    problem = made.problem.without(new)
    assert problem.texts is not None
    factors = ItemResponse(rank=2, sweeps=20).fit(problem).factors
    assert factors is not None
    found = text_map(factors, problem.texts, problem.outcomes)
    assert found is not None
    known = np.column_stack([factors.items[:600], factors.offsets[:600]])
    errors = known - found.items(problem.texts.vectors[:600])
    assert np.trace(found.residual) / np.trace(errors.T @ errors / 600) == pytest.approx(
        open_, rel=0.15
    )
    sides = found.items(problem.texts.vectors[600:])
    logits = factors.models @ sides[:, :-1].T + sides[:, -1]
    truth = made.problem.outcomes[:, 600:]
    spread = found.variances(factors.models)[:, None] + np.zeros_like(logits)
    ours, sure = (calibration_error(truth, expected(logits, s)) for s in (spread, 0 * spread))
    assert ours < 0.03
    assert found.calibration_error < 0.03
    if open_ == 1:
        assert ours < 0.6 * sure
    few = problem.part(np.arange(40), np.arange(19))
    assert few.texts is not None
    part = replace(factors, items=factors.items[:19], offsets=factors.offsets[:19])
    assert text_map(part, few.texts, few.outcomes) is None


def test_items_without_text_or_outcomes_get_the_models_mean() -> None:
    made = planted(20, 80, text=0.5, seen=1.0)
    assert made.problem.texts is not None
    vectors = made.problem.texts.vectors.copy()
    vectors[70:] = np.nan
    bare = np.zeros((20, 80), bool)
    bare[:, 75:] = True
    texts = ItemTexts(vectors, made.problem.texts.traits, made.problem.texts.words)
    problem = Problem(made.problem.outcomes, texts).without(bare)
    means = MeanScore("models").fit(problem).probabilities(80)[:, 75:]
    for method in (Neighbours(k=5), TextRegression(), TextFactorization(dimension=4, epochs=2)):
        np.testing.assert_allclose(method.fit(problem).probabilities(80)[:, 75:], means, atol=1e-6)


def test_a_blend_weighs_known_and_new_items_apart() -> None:
    made = planted(60, 400, rank=2, text=0.9, seen=1.0)
    parts = (
        ItemResponse(rank=2, sweeps=20),
        TextRegression(words=0.0, traits=0.0),
        MeanScore("models"),
    )
    check = np.full(made.outcomes.shape, np.nan, np.float32)
    check[:, :60] = made.outcomes[:, :60]
    cells = np.random.default_rng(0).random(check.shape) < 0.1
    check[cells] = made.outcomes[cells]
    fit = Blend(parts).fit(made.problem.without(~np.isnan(check)), check)
    assert isinstance(fit.method, Blend)
    known, new = fit.method.known, fit.method.new
    assert known is not None
    assert new is not None
    assert known[0] > 0.5
    assert new[1] > new[0]
    assert min(known[:-1]) >= 0
    # Fitted again, it keeps its weights.
    again = fit.method.fit(made.problem)
    assert isinstance(again.method, Blend)
    assert (again.method.known, again.method.new) == (known, new)


@pytest.mark.parametrize("weights", [((0.7, 0.3), (0.2, 0.8)), (None, (0.2, 0.8)), (None, None)])
def test_a_method_is_the_same_after_its_settings_were_json(
    weights: tuple[tuple[float, ...] | None, tuple[float, ...] | None],
) -> None:
    known, new = weights
    blend = Blend((ItemResponse(rank=2, sweeps=20), Neighbours(k=10)), known, new)
    assert selection.method_of(json.loads(json.dumps(selection.settings(blend)))) == blend


def test_early_stopping_keeps_the_best_step() -> None:
    made = planted(12, 40, rank=1, seen=0.9)
    cells = np.random.default_rng(2).random(made.outcomes.shape) < 0.3
    check = np.where(cells, made.outcomes, np.float32(np.nan))
    problem = made.problem.without(cells)
    fit = FreeFactorization(dimension=8, epochs=200, rate=0.05).fit(problem, check)
    history = fit.notes["log_loss"]
    assert isinstance(history, list)
    assert isinstance(fit.method, FreeFactorization)
    assert fit.method.epochs == 1 + int(np.argmin(history)) < 200
    found = fit.probabilities(40)[cells]
    assert log_loss(made.outcomes[cells], found) == pytest.approx(min(history), rel=1e-3)


def test_models_with_few_outcomes_are_not_validated_on() -> None:
    outcomes = np.tile(np.array([0, 1], np.float32), (80, 50))
    outcomes[:40, 9:] = np.nan
    outcomes[40:, 10:] = np.nan
    hidden = selection.validation_mask(Problem(outcomes), seed=0)
    assert not hidden[:40].any(), "nine outcomes each"
    assert hidden[40:].any(), "ten outcomes each"


def test_the_search_turns_down_what_noise_does_not_bear_out() -> None:
    """Where models and items have levels only, the Rasch model has its say."""
    made = planted(60, 200, rank=0, seen=1.0, seed=4)
    learned = selection.learn(made.problem)
    method = learned.fit.method
    assert isinstance(method, Blend)
    response, level = method.parts
    assert isinstance(response, ItemResponse)
    assert isinstance(level, ItemResponse)
    # The rank of the first follows from the sizes alone; its priors shrink what is not needed.
    assert (response.rank, level.rank) == (selection.rank_for(60, 200), 0)
    everywhere = np.ones((60, 200), bool)
    plain = ItemResponse(rank=0, sweeps=20).fit(made.problem)
    assert error(made, learned.fit, everywhere) < 1.1 * error(made, plain, everywhere)


def test_the_search_finds_rank_and_weights() -> None:
    made = planted(120, 300, rank=3, text=0.6, seen=1.0)
    learned = selection.learn(made.problem)
    assert isinstance(learned.fit.method, Blend)
    assert learned.fit.factors is not None
    assert learned.fit.serving is not None
    assert learned.fit.serving.shape == (120, 17)
    assert learned.fit.factors.models.shape[1] >= 5
    validation = learned.validation
    assert validation["known"]["auc"] > validation["new"]["auc"] > 0.6
    best = min(
        trial["log_loss"]["known"]  # type: ignore[index]
        for trial in learned.trials
    )
    assert validation["known"]["log_loss"] <= best + 1e-3


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (np.zeros((0, 0)), "no outcomes"),
        (np.full((3, 3), np.nan), "no outcomes"),
        (np.array([[1.0, 0.0, 1.0]]), "one model only"),
        (np.array([[1.0], [0.0]]), "one item only"),
        (np.ones((3, 4)), "Every outcome is 1"),
        (np.zeros((3, 4)), "Every outcome is 0"),
    ],
)
def test_what_cannot_be_learned_from_is_said(outcomes: Matrix, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        selection.learn(Problem(outcomes.astype(np.float32)))


def test_what_cannot_be_asked_for_is_said() -> None:
    problem = planted(5, 10).problem
    with pytest.raises(UsageError, match="no method 'magic'"):
        selection.learn(problem, "magic")
    with pytest.raises(UsageError, match="items with texts"):
        selection.learn(problem, "mf-text")
    with pytest.raises(UsageError, match="within 0 and 1"):
        replace(problem, outcomes=problem.outcomes * 3)
    with pytest.raises(UsageError, match="is no device"):
        devices.choose("quantum")
    with pytest.raises(UsageError, match=r"cpu or cuda|GPU"):
        devices.choose("meta")


def test_a_gpu_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match="torch finds none"):
        devices.choose("cuda")
    assert devices.choose(None) == "cpu"


def test_a_benchmark_all_right_and_a_model_all_wrong_are_no_trouble() -> None:
    made = planted(20, 50, text=0.5)
    outcomes = made.outcomes.copy()
    outcomes[:, :20] = 1
    outcomes[3] = 0
    outcomes[4] = np.nan
    for method in ALL:
        fit = method.fit(Problem(outcomes, made.problem.texts))
        assert np.isfinite(fit.probabilities(50)).all(), method.name
