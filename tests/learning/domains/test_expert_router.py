"""Router by experts of domains."""

from dataclasses import replace

import numpy as np
import pytest

from registry.learning.domains.expert_router import ExpertRouter, expert_of
from registry.learning.domains.model_scores import ModelScores, model_scores
from registry.learning.factorization.problem import Context
from registry.learning.routing.routing_problem import RoutingProblem

RATES = np.array([[0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9], [0.6, 0.6, 0.6]])


def problem(seed: int, count: int = 300) -> RoutingProblem:
    """Return outcomes of three models that are good at one group each, and a middling one."""
    rng = np.random.default_rng(seed)
    groups = np.arange(count) % 3
    vectors = np.eye(8)[groups] + 0.2 * rng.normal(size=(count, 8))
    return RoutingProblem(
        (rng.random((4, count)) < RATES[:, groups]).astype(np.float32),
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        groups.astype(np.intp),
        np.full((4, count), np.nan),
    )


def test_a_prompt_goes_to_the_expert_of_its_domain() -> None:
    of, held = problem(0), problem(1)
    fitted = ExpertRouter().fit(of, Context(seed=1))
    assert fitted.experts.tolist() == [3, 0, 1, 2]
    rows = fitted.rows(held.vectors)
    sure = rows > 0
    assert sure.mean() > 0.9
    assert (rows[sure] - 1 == held.groups[sure]).mean() > 0.99
    found = fitted.predict(held.vectors)
    picks = found.probabilities.argmax(axis=1)
    assert (picks[sure] == rows[sure] - 1).all()
    # Prompts like none of the training go to the best general model.
    assert (picks[~sure] == 3).all()
    scores = model_scores(of.outcomes[:, of.groups == 1])
    first = np.flatnonzero(rows == 2)[0]
    assert found.probabilities[first] == pytest.approx(scores.scores, abs=1e-6)
    assert found.deviations[first] == pytest.approx(scores.errors, abs=1e-6)


def test_an_uncertain_domain_and_the_fallback_go_to_the_best_general_model() -> None:
    of, held = problem(0), problem(1)
    shy = ExpertRouter(least_probability=1.1).fit(of)
    assert set(shy.predict(held.vectors).probabilities.argmax(axis=1)) == {3}
    last = ExpertRouter(domains={0: 0, 1: 1, 2: 2}, fallback=2).fit(of)
    assert last.experts.tolist() == [3, 0, 1, 3]
    picks = last.predict(held.vectors).probabilities.argmax(axis=1)
    assert set(picks[held.groups == 2]) == {3}
    assert set(picks[held.groups == 0]) == {0, 3}


def test_groups_are_of_the_domains_of_the_set() -> None:
    of = problem(0)
    joined = ExpertRouter(domains={0: 1, 1: 1}).fit(of)
    # One domain tells nothing apart.
    assert joined.classifier is None
    assert joined.experts.tolist() == [3, 3]
    assert (joined.rows(of.vectors) == 0).all()
    some = ExpertRouter(domains={0: 5, 2: 7}).fit(of)
    assert some.experts.tolist() == [3, 0, 2]


def test_an_expert_is_better_beyond_the_noise() -> None:
    scores = ModelScores(
        np.array([0.60, 0.66, 0.64]), np.full(3, 0.05), np.array([0.03, 0.06, 0.02]),
        np.full(3, 100),
    )  # fmt: skip
    assert expert_of(scores, 0) == 2
    assert expert_of(replace(scores, residuals=np.full(3, 0.03)), 0) == 1
    assert expert_of(replace(scores, residuals=np.full(3, 0.2)), 0) == 0
    unknown = replace(scores, scores=np.array([np.nan, 0.1, 0.2]))
    assert expert_of(unknown, 0) == 2
    assert expert_of(replace(scores, scores=np.full(3, np.nan)), 1) == 1


def test_a_model_that_is_better_within_the_noise_is_not_chosen() -> None:
    of = problem(0)
    outcomes = of.outcomes.copy()
    # One item more of the group than the middling model, which is the best of all.
    outcomes[1, of.groups == 1] = outcomes[3, of.groups == 1]
    outcomes[1, np.flatnonzero((of.groups == 1) & (outcomes[1] == 0))[0]] = 1
    fitted = ExpertRouter().fit(replace(of, outcomes=outcomes))
    assert fitted.experts.tolist() == [3, 0, 3, 2]
    assert fitted.scores[2].argmax() == 3
    assert fitted.scores[2, 1] < fitted.scores[2, 3]


def test_models_on_few_items_have_no_score_there() -> None:
    of = problem(0)
    outcomes = of.outcomes.copy()
    seldom = np.flatnonzero(of.groups == 0)[19:]
    outcomes[0, seldom] = np.nan
    fitted = ExpertRouter().fit(replace(of, outcomes=outcomes))
    assert fitted.experts[1] == 3
    outcomes[0, seldom[0]] = 1
    assert ExpertRouter().fit(replace(of, outcomes=outcomes)).experts[1] == 0
