"""Cascades: whom they ask, what that costs, and what they end with."""

import numpy as np
import pytest

from registry.learning.routing_evaluation import cascade
from registry.learning.routing_evaluation.voting import Ballot

NAN = float("nan")
CHAIN = np.array([0, 1, 2])
COSTS = np.tile([1.0, 3.0, 10.0], (4, 1))


def ballot(answers: list[list[int]], right: list[int], p: list[float]) -> Ballot:
    given = np.array(answers)
    outcomes = (given == np.array(right)[:, None]).astype(np.float64)
    return Ballot(np.tile(p, (len(given), 1)), given, outcomes)


def test_a_chain_has_models_to_which_no_cheaper_one_is_preferable() -> None:
    p = np.array([[0.5, 0.4, 0.7, 0.9, 0.7, 0.95]] * 2)
    costs = np.array([2.0, 1.0, 5.0, 8.0, 6.0, NAN])
    assert cascade.chain(p, costs).tolist() == [1, 0, 2, 3]
    assert cascade.chain(p, costs, most=9).tolist() == [1, 0, 2, 3]
    assert cascade.chain(p, costs, most=2).tolist() == [1, 3]
    assert cascade.chain(p, costs, most=3).tolist() == [1, 2, 3]
    # Of equally cheap models the better one.
    assert cascade.chain(p[:, :2], np.array([1.0, 1.0])).tolist() == [0]
    with pytest.raises(ValueError, match="no model has both"):
        cascade.chain(p, costs * NAN)


def test_by_probability_asks_one_model() -> None:
    voters = Ballot(
        np.array([[0.9, 0.9, 0.1], [0.2, 0.6, 0.9], [0.2, 0.4, 0.3], [0.6, 0.5, 0.4]]),
        np.zeros((4, 3), np.int64),
        np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0], [1, 0, 0]], np.float64),
    )
    found = cascade.by_probability(voters, COSTS, CHAIN, 0.6)
    assert found.outcomes.tolist() == [1, 1, 0.5, 1]
    assert found.costs.tolist() == [1, 3, 3, 1]
    assert found.asked.tolist() == [1, 1, 1, 1]
    assert cascade.by_probability(voters, COSTS, CHAIN[::-1], 0.0).costs.tolist() == [10] * 4


def test_by_agreement_stops_where_two_agree() -> None:
    voters = ballot([[0, 0, 1], [0, 1, 1], [0, 1, 2], [-1, 1, 1]], [0, 1, 2, 1], [0.6, 0.6, 0.8])
    found = cascade.by_agreement(voters, COSTS, CHAIN, 0.85, choices=np.full(4, 5.0))
    # The third prompt's answers differ: the last model is the likeliest.
    assert found.asked.tolist() == [2, 3, 3, 3]
    assert found.costs.tolist() == [4, 14, 14, 14]
    assert found.outcomes.tolist() == [1, 1, 1, 1]
    at_once = cascade.by_agreement(voters, COSTS, CHAIN, 0.6 - 1e-9, choices=np.full(4, 5.0))
    assert at_once.asked.tolist() == [1, 1, 1, 2]
    assert at_once.outcomes.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("answers", "probabilities", "expected"),
    [
        # Two agree, of 4 possible answers.
        ([2, 2, 0], [0.6, 0.7], 0.6 * 0.7 / (0.6 * 0.7 + 0.4 * 0.3 / 3)),
        # Two differ, beside two answers that nobody gave.
        ([2, 1, 0], [0.3, 0.7], 7 / (0.3 / 0.7 * 3 + 7 + 2)),
        # One gives none, which says nothing.
        ([-1, 1, 0], [0.9, 0.7], 0.7),
    ],
)
def test_probabilities_of_answers_are_bayes(
    answers: list[int], probabilities: list[float], expected: float
) -> None:
    voters = ballot([answers], [2], [*probabilities, 0.9])
    for threshold, asked in ((expected - 1e-6, 2), (expected + 1e-6, 3)):
        found = cascade.by_agreement(voters, COSTS[:1], CHAIN, threshold, choices=np.array([4.0]))
        assert found.asked.tolist() == [asked]
