"""The blend of routers: against plain loops over generated data, and against its own parts."""

import numpy as np
import pytest
from routed import SETTINGS, subjects_problem, unit

from registry.learning.factorization.problem import Matrix
from registry.learning.metrics import log_loss
from registry.learning.routing import router_blend
from registry.learning.routing.kernel_regression import fit_kernel, kernel
from registry.learning.routing.router_blend import (
    EVEN,
    RouterBlend,
    expected_outcomes,
    learn_blend,
    mean_outcomes,
    stacked,
)
from registry.learning.routing.router_figures import routing_figures
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing.served_blend import (
    BlendWeights,
    ServedBlend,
    blended,
    nearest_items,
)
from registry.learning.routing.subjects import Subjects, extended, kept_groups, learn_subjects


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max())
    return np.asarray(raised / raised.sum())


def plain(served: ServedBlend, prompt: Matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities by neighbours, by the blend, and deviations of the second: by loops."""
    settings = served.settings
    found = softmax(served.subjects.weights.astype(float) @ np.append(prompt, 1))
    ours, kernel_vector = (
        np.append(prompt, weight * np.sqrt(found)) / np.sqrt(1 + weight**2)
        for weight in (settings.subject_weight, settings.kernel_subject_weight)
    )
    similar = sorted(range(len(served.items)), key=lambda item: -float(served.items[item] @ ours))[
        : settings.k
    ]
    weights = softmax(np.array([settings.sharpness * served.items[i] @ ours for i in similar]))
    weights = weights / (weights**2).sum()
    seen = np.ones_like(served.outcomes) if served.seen is None else served.seen
    pairs = list(zip(weights, similar, strict=True))
    near = sum(w * served.outcomes[i] for w, i in pairs) / sum(weights)
    counts = sum(w * seen[i] for w, i in pairs)
    features = [np.exp(-settings.width * ((kernel_vector - each) ** 2).sum())
                for each in served.landmarks]  # fmt: skip
    regressed = served.levels + served.kernel_weights @ np.array(features)
    total = served.levels.astype(float)
    for part, common, apart in (
        (near, served.weights.common_neighbours, served.weights.apart_neighbours),
        (regressed, served.weights.common_regression, served.weights.apart_regression),
    ):
        shift = part - served.levels
        total = total + common * shift.mean() + apart * (shift - shift.mean())
    total = np.clip(total, 0.01, 0.99)
    return near, total, np.sqrt(total * (1 - total) / (1 + counts))


def test_predictions_are_those_of_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    served = learn_blend(subjects_problem(), settings=SETTINGS).served
    assert served.weights != EVEN
    assert min(served.weights) >= 0
    prompts = unit(np.random.default_rng(5), 7, 8)
    expected = [plain(served, each) for each in prompts]
    monkeypatch.setattr("registry.learning.routing.served_blend._AT_ONCE", 3 * len(served.items))
    found, near = served.predict(prompts), served.neighbours(prompts)
    assert np.allclose(near.probabilities, [each[0] for each in expected], atol=2e-5)
    assert np.allclose(found.probabilities, [each[1] for each in expected], atol=2e-5)
    assert np.allclose(found.deviations, [each[2] for each in expected], atol=2e-5)
    assert served.predict(prompts[:0]).probabilities.shape == (0, 5)


def test_it_routes_better_than_the_best_single_model() -> None:
    problem = subjects_problem(600, seed=1)
    held = np.arange(600) % 3 == 0
    fitted = RouterBlend().fit(problem.only(np.flatnonzero(~held)))
    probabilities = fitted.predict(problem.vectors[held]).probabilities
    outcomes = problem.outcomes[:, held].T
    level = np.nanmean(problem.outcomes[:, ~held], axis=1)
    routed = outcomes[np.arange(len(outcomes)), probabilities.argmax(axis=1)]
    assert np.nanmean(routed) > np.nanmean(outcomes[:, level.argmax()]) + 0.1
    seen = ~np.isnan(outcomes)
    assert abs(probabilities[seen].mean() - outcomes[seen].mean()) < 0.03


def test_subjects_are_chosen_where_they_help() -> None:
    rng = np.random.default_rng(3)
    problem = subjects_problem(400, seed=3)
    # Vectors whose nearest neighbours are of any subject, and whose classes are plain all the same.
    noise = unit(rng, 400, 40)
    vectors = np.concatenate([0.9 * noise, 0.436 * np.eye(3)[problem.groups]], axis=1)
    hard = RoutingProblem(
        problem.outcomes, vectors.astype(np.float32), problem.groups, problem.costs
    )
    assert learn_blend(hard).served.settings.subject_weight > 0


def test_weights_are_least_squares_of_two_parts_each() -> None:
    rng = np.random.default_rng(0)
    near, regressed = rng.normal(size=(2, 500, 4)).astype(np.float32)
    weights = BlendWeights(0.3, 0.2, 0.6, 0.1)
    level = np.zeros(4, np.float32)

    def unclipped(a: Matrix, b: Matrix) -> Matrix:
        # Small enough that nothing is clipped, then scaled back.
        moved = blended(a * 0.01 + 0.5, b * 0.01 + 0.5, level + 0.5, weights)
        return (moved - 0.5) * 100

    outcomes = unclipped(near, regressed)
    found, error = stacked(outcomes, near, regressed)
    assert np.allclose(found, weights, atol=1e-3)
    assert error < 1e-6
    outcomes[rng.random(outcomes.shape) < 0.2] = np.nan
    assert np.isfinite(stacked(outcomes, near, regressed)[1])
    flipped, _ = stacked(-unclipped(near, regressed), near, regressed)
    assert flipped == BlendWeights(0, 0, 0, 0)


def test_figures_are_of_items_that_were_left_out() -> None:
    problem = subjects_problem(600, seed=1)
    learned = learn_blend(problem)
    assert set(learned.figures) == {"best", "knn"}
    seen = ~np.isnan(problem.outcomes.T)
    fitted = learned.served.predict(problem.vectors).probabilities[seen]
    best = learned.figures["best"]
    assert best["log_loss"] > log_loss(problem.outcomes.T[seen], fitted)
    assert best["routed"] > best["best_single"] + 0.1
    assert best["prompts"] == 600


def test_figures_are_by_weights_of_other_items() -> None:
    rng = np.random.default_rng(0)
    levels = np.full((40, 3), 0.5, np.float32)
    checks = []
    # Neighbours are right on half of the items, and wrong by as much on the others.
    for sign in (0.4, -0.4):
        outcomes = rng.integers(0, 2, (40, 3)).astype(np.float32)
        near = (0.5 + sign * (2 * outcomes - 1)).astype(np.float32)
        checks.append(router_blend._Check(outcomes, levels, [near], levels))
    figures = router_blend._figures(checks)["best"]
    # By the others' weights the right ones count for nothing, and the wrong ones fully.
    assert figures["auc"] < 0.5
    everything = router_blend._best(checks)[1]
    assert everything.apart_neighbours < 0.1
    assert router_blend._best(checks[:1])[1].apart_neighbours == pytest.approx(1.25, abs=1e-3)


def test_figures_are_of_the_settings_that_other_items_choose() -> None:
    rng = np.random.default_rng(0)
    levels = np.full((40, 3), 0.5, np.float32)
    checks = []
    for _ in range(2):
        outcomes = rng.integers(0, 2, (40, 3)).astype(np.float32)
        good = (0.5 + 0.3 * (2 * outcomes - 1)).astype(np.float32)
        checks.append(router_blend._Check(outcomes, levels, [levels, good], levels))
    assert router_blend._figures(checks)["knn"]["auc"] == 1


def test_of_many_models_fewer_items_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = subjects_problem()
    monkeypatch.setattr("registry.learning.routing.router_blend.LEAST_CHECKED", 60)
    monkeypatch.setattr("registry.learning.routing.router_blend.MOST_CELLS", 5 * 100)
    figures = learn_blend(problem, settings=SETTINGS).figures
    assert figures["best"]["prompts"] == 100
    monkeypatch.setattr("registry.learning.routing.router_blend.MOST_CELLS", 5)
    assert learn_blend(problem, settings=SETTINGS).figures["knn"]["prompts"] == 60


def test_figures_of_a_router_by_hand() -> None:
    nan = np.nan
    outcomes = np.array([[1, 0, nan], [0, 1, 1], [nan, nan, nan]], np.float32)
    predicted = np.array([[0.6, 0.7, 0.9], [0.2, 0.1, 0.8], [0.5, 0.5, 0.5]], np.float32)
    figures = routing_figures(outcomes, predicted, np.array([[0.5, 0.4, 0.9]] * 3, np.float32))
    assert figures["prompts"] == 2
    assert figures["within_prompt_auc"] == pytest.approx((0 + 0.5) / 2)
    assert (figures["routed"], figures["best_single"]) == (0.5, 1)
    logs = np.log([0.6, 0.3, 0.8, 0.1, 0.8])
    assert figures["log_loss"] == pytest.approx(-logs.mean(), abs=1e-6)
    assert "auc" not in routing_figures(np.ones_like(outcomes), predicted, predicted)


def test_few_items_have_even_weights() -> None:
    served = learn_blend(subjects_problem(30)).served
    assert served.weights == EVEN
    assert np.isfinite(served.predict(subjects_problem(5).vectors).probabilities).all()


def test_what_stands_for_unobserved_outcomes_is_known_to_be_no_observation() -> None:
    problem = subjects_problem(200)
    hidden = (problem.groups == 0) & (np.arange(5)[:, None] == 0)
    outcomes = np.where(hidden, np.float32(np.nan), problem.outcomes)
    kept = RoutingProblem(outcomes, problem.vectors, problem.groups, problem.costs)
    expected = np.full_like(outcomes, 0.125)
    settings = SETTINGS._replace(k=3, subject_weight=3.0)
    served = learn_blend(kept, settings=settings, expected=expected).served
    center = problem.vectors[problem.groups == 0].mean(axis=0, keepdims=True)
    near = served.neighbours((center / np.linalg.norm(center)).astype(np.float32))
    assert near.probabilities[0, 0] == pytest.approx(0.125)
    assert near.deviations[0, 0] == pytest.approx(np.sqrt(0.125 * 0.875))
    certain = near.probabilities[0, 1:] * (1 - near.probabilities[0, 1:])
    assert (near.deviations[0, 1:] < 0.8 * np.sqrt(certain) + 1e-9).all()


def test_outcomes_that_were_not_observed_are_expected_by_model_and_item() -> None:
    nan = np.nan
    outcomes = np.array([[1, 0, nan], [nan, 0, 1], [0.5, 0.5, nan]], np.float32)
    # Means 0.5, 0.5, 0.5; the items' outcomes are 0.25 above, 0.333 below and 0.5 above them.
    assert expected_outcomes(outcomes)[[0, 1, 2], [2, 0, 2]] == pytest.approx([1, 0.75, 1])


def test_means_are_of_what_is_observed() -> None:
    nan = np.nan
    outcomes = np.array([[1, nan, 0.5], [nan, nan, nan], [0, 0, 1]], np.float32)
    assert mean_outcomes(outcomes).tolist() == pytest.approx([0.75, 0.5, 1 / 3])


def test_the_kernel_regression_interpolates_a_smooth_function() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng, 300, 3)
    truth = np.stack([0.5 + 0.4 * np.tanh(3 * vectors[:, 0]), 0.5 + 0.3 * vectors[:, 1]])
    outcomes = truth.astype(np.float32)
    fitted = fit_kernel(vectors, outcomes, outcomes.mean(axis=1))
    fresh = unit(rng, 100, 3)
    expected = np.stack([0.5 + 0.4 * np.tanh(3 * fresh[:, 0]), 0.5 + 0.3 * fresh[:, 1]], axis=1)
    assert np.abs(fitted.predict(fresh) - expected).mean() < 0.02
    squared = ((fresh[:4, None] - vectors[None, :6]) ** 2).sum(axis=2)
    assert np.allclose(kernel(fresh[:4], vectors[:6], 0.8), np.exp(-0.8 * squared), atol=1e-5)


def test_neighbours_weigh_as_their_effective_number() -> None:
    similarities = np.array([[0.9, 0.1, 0.8, -1]], np.float32)
    even = nearest_items(similarities, 2, 0.0)
    assert sorted(even.places[0].tolist()) == [0, 2]
    assert even.weights.tolist() == [[1, 1]]
    raised = np.exp(5 * np.array([0.9, 0.8]))
    sharp = nearest_items(similarities, 2, 5.0)
    assert sharp.weights.sum() == pytest.approx(raised.sum() ** 2 / (raised**2).sum(), rel=1e-4)
    assert nearest_items(similarities, 9, 1.0).places.shape == (1, 4)


def test_the_classifier_knows_subjects_and_how_sure_it_is() -> None:
    problem = subjects_problem(900, seed=2)
    subjects, left_out = learn_subjects(problem.vectors, problem.groups)
    right = left_out.argmax(axis=1) == problem.groups
    assert right.mean() > 0.75
    assert abs(left_out.max(axis=1).mean() - right.mean()) < 0.05
    assert np.allclose(left_out.sum(axis=1), 1, atol=1e-5)
    known = subjects.probabilities(problem.vectors)
    assert (known.argmax(axis=1) == problem.groups).mean() > 0.75
    # Items are classified by others: theirs are not the probabilities of the classifier of all.
    assert not np.allclose(known, left_out, atol=1e-3)
    one, _ = learn_subjects(problem.vectors, np.zeros(900, np.intp))
    assert (one.probabilities(problem.vectors) == 1).all()


def test_the_classifier_is_as_sure_as_it_is_right_on_new_vectors() -> None:
    # Of few items with many dimensions, discriminant analysis alone is far too sure.
    rng = np.random.default_rng(6)
    groups = rng.integers(0, 3, 620)
    vectors = unit(rng, 620, 60) + np.float32(0.25) * np.eye(60, dtype=np.float32)[groups]
    subjects, _ = learn_subjects(vectors[:120], groups[:120])
    found = subjects.probabilities(vectors[120:])
    right = (found.argmax(axis=1) == groups[120:]).mean()
    # Without a temperature it is 0.22 too sure.
    assert abs(found.max(axis=1).mean() - right) < 0.17


def test_extended_vectors_multiply_as_stated() -> None:
    rng = np.random.default_rng(0)
    vectors, found = unit(rng, 2, 5), rng.dirichlet(np.ones(3), 2).astype(np.float32)
    product = np.prod([extended(vectors[[i]], found[[i]], 0.5)[0] for i in (0, 1)], axis=0).sum()
    overlap = np.sqrt(found[0] * found[1]).sum()
    assert product == pytest.approx((vectors[0] @ vectors[1] + 0.25 * overlap) / 1.25, abs=1e-5)
    weights = rng.normal(size=(3, 6)).astype(np.float32)
    assert np.allclose(
        Subjects(weights).extended(vectors, 2.0),
        extended(vectors, Subjects(weights).probabilities(vectors), 2.0),
    )


def test_small_and_surplus_groups_are_one_subject() -> None:
    groups = np.repeat([7, 3, 5, 9], [30, 12, 4, 2])
    assert np.unique(kept_groups(groups), return_counts=True)[1].tolist() == [12, 30, 6]
    assert kept_groups(np.repeat([1, 2], [20, 30])).tolist() == [0] * 20 + [1] * 30
    assert kept_groups(np.repeat([1, 2, 3], [10, 30, 9])).max() == 2
    assert kept_groups(np.repeat([1, 2], [9, 30])).tolist() == [1] * 9 + [0] * 30
    many = np.repeat(np.arange(80), np.arange(10, 90))
    found = kept_groups(many)
    assert found.max() == 63
    assert (found == 63).sum() == np.arange(10, 27).sum()
    assert len(kept_groups(groups[:0])) == 0
