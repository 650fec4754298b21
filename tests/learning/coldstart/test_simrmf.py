"""The paper's method on graphs that are planted: it gains where they tell, and only there."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted import planted, planted_graph
from scipy.sparse import csr_array

from registry.errors import UsageError
from registry.learning.coldstart import predictors, protocol, similarity_graph, simrmf
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.lineage_kernel import ParentLink
from registry.learning.coldstart.trial import Trial, by_time, draw
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
from registry.learning.factorization.problem import Fit, Problem

BASE = FreeFactorization(dimension=4, epochs=30, block=64, rate=3e-2)


def kinds(models: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(models) % 4


def grouped(models: int, items: int) -> Problem:
    """Outcomes of which models of a kind have the same probabilities."""
    made = planted(4, items, rank=3, seed=3).probabilities[kinds(models)]
    drawn = np.random.default_rng(4).random(made.shape) < made
    return Problem(drawn.astype(np.float32))


def test_a_graph_that_tells_helps_new_models() -> None:
    problem = grouped(120, 100)
    similar = planted_graph((kinds(120)[:, None] == kinds(120)).astype(float))
    hidden = np.zeros(problem.outcomes.shape, bool)
    hidden[90:] = True
    rest = problem.without(hidden)
    fit, chosen = simrmf.learn(rest, similar, BASE)
    plain, _ = simrmf.learn(rest, csr_array((120, 120)), BASE)
    assert chosen.graphed

    def error(predicted: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return float(((predicted - problem.outcomes)[90:] ** 2).mean())

    assert error(fit.probabilities(100)) < 0.9 * error(plain.probabilities(100))


def planted_trial(similar: csr_array) -> Trial:
    """Models of a kind have the same probabilities, which depend on the items' texts."""
    made = planted(4, 100, rank=3, text=1.0, seed=5)
    probabilities = made.probabilities[kinds(100)]
    drawn = np.random.default_rng(6).random(probabilities.shape) < probabilities
    descriptions = [Description(f"m{n}") for n in range(100)]
    blocks = Featurizer.of([descriptions]).blocks(descriptions)
    models, items = np.arange(100) >= 75, np.arange(100) >= 75
    cells = np.zeros(drawn.shape, bool)
    return Trial(
        drawn.astype(np.float32), models, items, cells, blocks, similar, made.problem.texts
    )


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictors, "FREE", replace(BASE, epochs=15))
    reading = TextFactorization(dimension=8, epochs=15, block=32, rate=2e-2)
    monkeypatch.setattr(predictors, "READING", reading)


PAIR = {name: predictors.METHODS[name] for name in ("mf-stopped", "simrmf-stopped")}


@pytest.mark.usefixtures("briefly")
def test_a_planted_graph_gains_on_new_models_and_on_both_new() -> None:
    same = (kinds(100)[:, None] == kinds(100)).astype(float)
    found = protocol.measure(planted_trial(planted_graph(same)), PAIR)
    for test in "CD":
        assert found["simrmf-stopped", test].rmse < 0.95 * found["mf-stopped", test].rmse, test


@pytest.mark.usefixtures("briefly")
def test_with_a_graph_of_noise_it_is_as_good_as_plain_factorization() -> None:
    noise = np.triu(np.random.default_rng(1).random((100, 100)), 1)
    found = protocol.measure(planted_trial(planted_graph(noise + noise.T)), PAIR)
    for test in "BCD":
        same = pytest.approx(found["mf-stopped", test].rmse, rel=0.01)
        assert found["simrmf-stopped", test].rmse == same


def test_the_recipe_as_written_takes_its_pairs_all_its_epochs_and_the_last_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = TextFactorization(
        dimension=232, epochs=50, rate=1e-4, decay=1e-5, noise=0.05, averaged=0
    )
    assert recipe == predictors.WRITTEN
    trial = planted_trial(csr_array((100, 100)))
    monkeypatch.setattr(predictors, "WRITTEN", replace(predictors.WRITTEN, rate=1e-2, epochs=12))
    fitted: list[tuple[TextFactorization, int]] = []
    plain = TextFactorization.fit

    def watched(self: TextFactorization, problem: Problem, *args: Any, **options: Any) -> Fit:
        fit = plain(self, problem, *args, **options)
        fitted.append((self, len(problem.outcomes)))
        assert fit.method == self
        return fit

    monkeypatch.setattr(TextFactorization, "fit", watched)
    found = protocol.measure(trial, {"mf": predictors.METHODS["mf"]})
    # 75 known models have 2,048 outcomes on 27 items; nobody stops it, and new models take no part.
    assert fitted == [(replace(predictors.WRITTEN, block=27), 75)]
    assert found["mf", "B"].rmse < 0.97 * found["means", "B"].rmse


def test_new_models_have_the_mean_vector_of_the_recipe_as_written() -> None:
    trial = planted_trial(csr_array((100, 100)))
    base = replace(predictors.WRITTEN, rate=1e-2, epochs=5)
    fit, _ = simrmf.learn(trial.problem, csr_array((100, 100)), base)
    assert fit.factors is not None
    assert fit.factors.models[75:] == pytest.approx(
        np.tile(fit.factors.models[:75].mean(axis=0), (25, 1)), abs=1e-5
    )


def test_the_last_step_is_not_averaged() -> None:
    problem = planted_trial(csr_array((100, 100))).problem
    base = TextFactorization(dimension=8, epochs=1, block=100, rate=1e-2)
    both = [replace(base, averaged=count).fit(problem).probabilities(100) for count in (0, 2)]
    # The first epoch is one step: there is nothing to average but that.
    assert both[0] == pytest.approx(both[1], abs=1e-6)
    both = [
        replace(base, epochs=4, averaged=count).fit(problem).probabilities(100) for count in (0, 2)
    ]
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_a_graph_of_noise_is_turned_off() -> None:
    problem = grouped(80, 80)
    noise = np.triu(np.random.default_rng(1).random((80, 80)), 1)
    hidden = np.zeros(problem.outcomes.shape, bool)
    hidden[60:] = True
    rest = problem.without(hidden)
    fit, chosen = simrmf.learn(rest, planted_graph(noise + noise.T), BASE)
    plain, _ = simrmf.learn(rest, csr_array((80, 80)), BASE)
    assert not chosen.graphed
    assert (fit.probabilities(80) == plain.probabilities(80)).all()


def test_cold_start_is_the_papers_formula() -> None:
    vectors = np.array([[1.0], [3.0], [9.0], [9.0]], np.float32)
    similar = csr_array(np.array([[0, 0, 1, 0], [0, 0, 2, 0], [1, 2, 0, 1], [0, 0, 1, 0]], float))
    found = simrmf.cold_start(vectors, similar, np.array([True, True, False, False]))
    assert found[2, 0] == pytest.approx((1 + 6 + 0.1 * 2) / 3.1)
    assert found[3, 0] == pytest.approx(2)


def test_a_graph_of_other_models_is_an_error() -> None:
    with pytest.raises(ValueError, match="not one of these models"):
        simrmf.SimilarityFactorization(BASE).fit(grouped(10, 10), csr_array((9, 9)))
    empty = Problem(np.full((4, 4), np.nan, np.float32))
    with pytest.raises(UsageError, match="3 evaluated models"):
        simrmf.choose(empty, csr_array((4, 4)))


def models(count: int) -> list[Description]:
    return [
        Description(
            f"lab/{'ab'[n % 2]}-{n}",
            (7 if n % 3 else 70) * 10**9,
            ("alpha", "beta")[n % 2],
            parents=(ParentLink("lab/a-0"),) if n % 5 == 0 else (),
        )
        for n in range(count)
    ]


def test_the_graph_in_parts_keeps_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptions = models(60)
    featurizer = Featurizer.of([descriptions])
    blocks = featurizer.blocks(descriptions)
    found = similarity_graph.similarity_graph(
        descriptions, blocks, featurizer.ancestry, neighbours=5
    )
    assert (found != found.T).nnz == 0
    assert not found.diagonal().any()
    features = (blocks.metadata @ blocks.metadata.T).toarray()
    for model in range(60):
        best = np.sort(0.5 * np.delete(features[model], model))[-1]
        assert found[[model]].max() >= best - 1e-9
    assert found[5, 0] == pytest.approx(0.5 * features[5, 0] + 0.5 * 0.8)
    monkeypatch.setattr(similarity_graph, "TOGETHER", 16)
    parts = similarity_graph.similarity_graph(
        descriptions, blocks, featurizer.ancestry, neighbours=5
    )
    assert np.isclose(parts.max(axis=1).toarray(), found.max(axis=1).toarray()).mean() > 0.9


def test_a_graph_of_stubs_and_cycles() -> None:
    descriptions = [
        Description("stub"),
        Description("a", parents=(ParentLink("b"), ParentLink("a"))),
        Description("b", parents=(ParentLink("a"),)),
        Description("lost", parents=(ParentLink("unknown"),)),
    ]
    featurizer = Featurizer.of([descriptions])
    blocks = featurizer.blocks(descriptions)
    found = similarity_graph.similarity_graph(descriptions, blocks, featurizer.ancestry)
    assert found[1, 2] == pytest.approx(0.4)
    assert found[[0, 3]].nnz == 0
    with pytest.raises(ValueError, match="within 0 and 1"):
        similarity_graph.similarity_graph(descriptions, blocks, featurizer.ancestry, alpha=2)


def test_the_protocol_measures_all_tests() -> None:
    descriptions = models(80)
    featurizer = Featurizer.of([descriptions])
    blocks = featurizer.blocks(descriptions)
    similar = similarity_graph.similarity_graph(descriptions, blocks, featurizer.ancestry)
    made = planted(2, 80, seed=3).probabilities[np.arange(80) % 2]
    truth = (np.random.default_rng(0).random(made.shape) < made).astype(np.float32)
    trial = draw(truth, blocks, similar, held=20, new_items=0.2)
    cheap = {name: predictors.METHODS[name] for name in ("average", "kernel-ridge", "default")}
    found = protocol.measure(trial, cheap | {"nearest": predictors.nearest_relative})
    assert {test for _, test in found} == set("ABCD")
    assert found["default", "C"].share > 0.4
    assert found["means", "C"].share == 0
    assert found["oracle", "C"].share == 1
    with pytest.raises(UsageError, match="cannot be drawn"):
        draw(truth, blocks, similar, held=79, train=10)


def test_new_items_are_told_by_their_group() -> None:
    descriptions = [Description(f"m{n}") for n in range(60)]
    blocks = Featurizer.of([descriptions]).blocks(descriptions)
    groups = np.arange(100) % 2
    random = np.random.default_rng(2)
    strong = random.random((60, 2))[:, groups]
    truth = (random.random(strong.shape) < strong).astype(np.float32)
    trial = draw(truth, blocks, csr_array((60, 60)), held=10, new_items=0.3)
    alone = protocol.measure(trial, {"default": predictors.default})["default", "B"]
    grouped = replace(trial, groups=groups)
    found = protocol.measure(grouped, {"default": predictors.default})["default", "B"]
    assert found.rmse < 0.95 * alone.rmse
    assert found.rmse_m < alone.rmse_m
    one = replace(trial, groups=np.zeros(100, np.int64))
    found = protocol.measure(one, {"default": predictors.default})["default", "B"]
    assert found.rmse == alone.rmse


def test_later_models_are_new() -> None:
    descriptions = models(40)
    featurizer = Featurizer.of([descriptions])
    blocks = featurizer.blocks(descriptions)
    truth = np.ones((40, 5), np.float32)
    trial = draw(truth, blocks, csr_array((40, 40)), held=10)
    dates = np.append(np.arange(39.0), np.nan)
    assert by_time(trial, dates, 30).models.sum() == 9
