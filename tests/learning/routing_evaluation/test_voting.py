"""Votes, against loops in plain Python."""

from collections import defaultdict

import numpy as np
import pytest

from registry.errors import UsageError
from registry.learning.routing_evaluation import voting
from registry.learning.routing_evaluation.voting import Ballot

NAN = float("nan")


def drawn(prompts: int = 200, models: int = 5) -> Ballot:
    rng = np.random.default_rng(0)
    answers = rng.integers(-1, 3, (prompts, models))
    right = rng.integers(0, 3, prompts)
    outcomes = (answers == right[:, None]).astype(np.float32)
    return Ballot(rng.random((prompts, models)), answers, outcomes)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_answer_with_most_votes_wins(
    monkeypatch: pytest.MonkeyPatch, *, weighted: bool
) -> None:
    ballot = drawn()
    weights = np.random.default_rng(1).random((200, 5)) if weighted else None
    monkeypatch.setattr(voting, "_AT_ONCE", 100)
    found = voting.vote(ballot, weights)
    for row in range(200):
        votes: dict[int, float] = defaultdict(float)
        best: dict[int, float] = defaultdict(float)
        for model, answer in enumerate(ballot.answers[row]):
            if answer >= 0:
                votes[answer] += 1 if weights is None else weights[row, model]
                best[answer] = max(best[answer], ballot.probabilities[row, model])
        if votes:
            winner = max(votes, key=lambda each: (round(votes[each], 9), best[each]))
            expected = ballot.outcomes[row][ballot.answers[row] == winner][0]
        else:
            expected = ballot.outcomes[row, ballot.probabilities[row].argmax()]
        assert found[row] == expected


def test_models_that_are_not_predicted_do_not_vote() -> None:
    ballot = Ballot(np.array([[0.3, NAN, NAN]]), np.array([[0, 1, 1]]), np.array([[1.0, 0, 0]]))
    assert voting.vote(ballot).tolist() == [1]
    assert voting.vote(drawn().only(np.arange(0))).shape == (0,)


def test_a_minority_of_better_models_wins_by_log_odds() -> None:
    ballot = Ballot(np.array([[0.9, 0.4, 0.4]]), np.array([[0, 1, 1]]), np.array([[1.0, 0, 0]]))
    assert voting.routed_votes(ballot, 3).tolist() == [0]
    assert voting.routed_votes(ballot, 3, choices=2).tolist() == [1]
    weights = voting.log_odds(np.array([[0.9, 0.0]]), np.array([11.0]))
    assert weights[0] == pytest.approx([np.log(9) + np.log(10), np.log(1 / 99) + np.log(10)])
    assert voting.log_odds(np.array([[0.5]]), 1) == pytest.approx(0)


def test_the_likeliest_are_asked() -> None:
    ballot = drawn()
    one = voting.routed_votes(ballot, 1)
    picks = ballot.probabilities.argmax(axis=1)
    assert (one == ballot.outcomes[np.arange(200), picks]).all()
    assert voting.top(np.array([[0.2, NAN, 0.7, 0.2]]), 3).tolist() == [[2, 0, 3]]
    assert (voting.routed_votes(ballot, 5) == voting.vote(ballot)).all()
    with pytest.raises(ValueError, match="w is from 1 to 5, not 6"):
        voting.routed_votes(ballot, 6)


def test_random_votes_are_means_over_sets_of_models() -> None:
    ballot = drawn(20, 3)
    assert voting.random_votes(ballot, 1) == pytest.approx(ballot.outcomes.mean(axis=1))
    assert (voting.random_votes(ballot, 3) == voting.vote(ballot)).all()
    pairs = [voting.vote(ballot.part(np.tile(two, (20, 1)))) for two in ([0, 1], [0, 2], [1, 2])]
    found = voting.random_votes(ballot, 2, draws=4000, seed=1)
    assert found == pytest.approx(np.mean(pairs, axis=0), abs=0.05)


def test_answers_must_be_comparable() -> None:
    ballot = drawn()
    voting.check_comparable(ballot.answers, ballot.outcomes)
    with pytest.raises(UsageError, match="No model has an answer"):
        voting.check_comparable(ballot.answers * 0 - 1, ballot.outcomes)
    texts = np.arange(1000).reshape(200, 5)
    with pytest.raises(UsageError, match="hardly ever equal"):
        voting.check_comparable(texts, np.ones((200, 5)))
    with pytest.raises(UsageError, match="right of one model and wrong of another"):
        voting.check_comparable(ballot.answers, np.random.default_rng(2).choice([0.0, 1], (200, 5)))


def test_further_votes_for_an_answer_count_by_their_share() -> None:
    answers = np.array([[0, 0, 1, -1], [0, 0, 1, -1]])
    weights = np.array([[2.0, 1, 2.4, 9]] * 2)
    found = voting.support(answers, weights, np.array([1.0, 0.25]))
    assert found[0].tolist() == [3, 3, 2.4, -np.inf]
    assert found[1].tolist() == [2.25, 2.25, 2.4, -np.inf]
    ballot = Ballot(np.tile([0.6, 0.5, 0.7, 0.1], (2, 1)), answers, np.tile([1.0, 1, 0, 0], (2, 1)))
    assert voting.vote(ballot, weights, np.array([1.0, 0.25])).tolist() == [1, 0]
    p = Ballot(np.array([[0.7, 0.6, 0.6]]), np.array([[0, 1, 1]]), np.array([[0.0, 1, 1]]))
    assert voting.routed_votes(p, 3, 4, 1.0).tolist() == [1]
    assert voting.routed_votes(p, 3, 4, 0.0).tolist() == [0]
