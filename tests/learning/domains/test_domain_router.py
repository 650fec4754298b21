import numpy as np
import pytest

from registry.learning.domains.domain_router import DomainRouter
from registry.learning.domains.model_scores import model_scores
from registry.learning.factorization.problem import Context
from registry.learning.routing.routing_problem import RoutingProblem


def problem(seed: int, count: int = 300, models: int = 4) -> RoutingProblem:
    rng = np.random.default_rng(seed)
    groups = np.arange(count) % 3
    vectors = np.eye(8)[groups] + 0.2 * rng.normal(size=(count, 8))
    rates = np.array([[0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9], [0.5, 0.5, 0.5]])
    outcomes = (rng.random((models, count)) < rates[:models, groups]).astype(np.float32)
    return RoutingProblem(
        outcomes,
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        groups,
        np.full((models, count), np.nan),
    )


def test_the_expert_of_the_domain_is_expected_to_be_right() -> None:
    of = problem(0)
    router = DomainRouter().fit(of, Context(seed=1))
    held = problem(1)
    found = router.predict(held.vectors)
    assert (found.probabilities.argmax(axis=1) == held.groups).mean() > 0.98
    assert router.classifier is not None
    chances = router.classifier.predict(held.vectors).probabilities
    for model in range(4):
        shares = [
            (of.outcomes[model, of.groups == each].sum() + 10 * of.outcomes[model].mean())
            / ((of.groups == each).sum() + 10)
            for each in range(3)
        ]
        np.testing.assert_allclose(found.probabilities[:, model], chances @ shares, atol=1e-5)
        variances = [each * (1 - each) / 110 for each in shares]
        np.testing.assert_allclose(
            found.deviations[:, model], np.sqrt(chances**2 @ variances), atol=1e-5
        )
    assert DomainRouter().name == "domain-mixture"


def test_models_without_outcomes_in_a_domain_have_their_mean_there() -> None:
    of = problem(2)
    outcomes = of.outcomes.copy()
    outcomes[0, of.groups == 2] = np.nan
    outcomes[1] = np.nan
    partly = RoutingProblem(outcomes, of.vectors, of.groups, of.costs)
    router = DomainRouter().fit(partly)
    known = outcomes[0, of.groups != 2]
    assert router.accuracies[2, 0] == pytest.approx(known.mean(), abs=1e-6)
    assert router.accuracies[:, 1] == pytest.approx([np.nanmean(outcomes)] * 3, abs=1e-6)
    assert np.isfinite(router.predict(of.vectors).probabilities).all()


def test_small_groups_are_one_domain() -> None:
    of = problem(3)
    groups = of.groups.copy()
    groups[:6] = [3, 3, 3, 4, 4, 4]
    router = DomainRouter().fit(RoutingProblem(of.outcomes, of.vectors, groups, of.costs))
    assert router.accuracies.shape == (4, 4)
    groups = of.groups.copy()
    groups[:3] = 7
    router = DomainRouter().fit(RoutingProblem(of.outcomes, of.vectors, groups, of.costs))
    assert router.accuracies.shape == (3, 4)
    one = RoutingProblem(of.outcomes, of.vectors, np.zeros(300, np.intp), of.costs)
    found = DomainRouter().fit(one).predict(of.vectors[:2]).probabilities
    np.testing.assert_allclose(found, np.tile(of.outcomes.mean(axis=1), (2, 1)), atol=1e-5)


def test_scores_of_complete_models_are_their_means() -> None:
    outcomes = (np.random.default_rng(4).random((5, 80)) < 0.6).astype(np.float32)
    found = model_scores(outcomes)
    np.testing.assert_allclose(found.scores, outcomes.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.errors, outcomes.std(axis=1, ddof=1) / 80**0.5, rtol=1e-6)
    assert found.counts.tolist() == [80] * 5
    residuals = outcomes - outcomes.mean(axis=0) - outcomes.mean(axis=1)[:, None] + outcomes.mean()
    np.testing.assert_allclose(
        found.residuals, np.sqrt((residuals**2).sum(axis=1) / 79 / 80), rtol=1e-4
    )


def test_a_model_that_was_given_the_easy_items_is_not_better() -> None:
    rng = np.random.default_rng(5)
    easy = np.arange(400) < 200
    chances = np.where(easy, 0.9, 0.3) + np.array([[0.0], [0.0], [-0.1], [0.1]])
    outcomes = (rng.random((4, 400)) < np.clip(chances, 0, 1)).astype(np.float32)
    outcomes[0, ~easy] = np.nan
    outcomes[1, easy] = np.nan
    found = model_scores(outcomes)
    assert np.nanmean(outcomes[0]) - np.nanmean(outcomes[1]) > 0.5
    assert abs(found.scores[0] - found.scores[1]) < 0.12
    assert found.scores[3] > found.scores[0] > found.scores[2]
    assert found.counts.tolist() == [200, 200, 400, 400]


def test_scores_of_sums_of_model_and_item_are_exact() -> None:
    models, items = np.array([0.1, 0.3, 0.5]), np.array([0.0, 0.1, 0.2, 0.3])
    outcomes = models[:, None] + items
    outcomes[0, 2:] = np.nan
    outcomes[2, :2] = np.nan
    found = model_scores(outcomes)
    np.testing.assert_allclose(found.scores, models + items.mean(), atol=1e-3)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-3)


def test_models_that_were_not_observed_have_no_score() -> None:
    outcomes = np.array([[1, 0, 1], [np.nan] * 3, [np.nan, 1, np.nan]], np.float32)
    found = model_scores(outcomes)
    assert np.isnan(found.scores).tolist() == [False, True, False]
    assert np.isnan(found.errors).tolist() == [False, True, True]
    assert np.isnan(model_scores(np.full((1, 0), np.nan)).scores).all()
