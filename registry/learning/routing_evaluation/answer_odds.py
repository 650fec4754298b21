"""Odds of answers: how likely each is, by which models gave it, and how far models err alike."""

import numpy as np

from registry.learning.arrays import Codes, Floats, Reals
from registry.learning.metrics import RIGHT_FROM
from registry.learning.routing_evaluation.voting import NONE, Ballot, log_odds, support

OVERLAPS = np.linspace(0, 1, 21)

_PROMPTS = 2_000
"""Prompts that an overlap is learned from, at most."""


def answer_probabilities(
    answers: Codes, probabilities: Floats, choices: Reals, overlap: float | Reals
) -> Reals:
    """Return the probability of each model's answer, given the answers of all.

    Each answer's log-odds are its support in the log-odds of the models that gave it; an answer
    that nobody gave has 0. Probabilities are the softmax over all possible answers: Bayes's rule
    where models err independently (overlap 1) and all wrong answers are equally likely.

    Args:
        answers: P x M, codes; -1 for none.
        probabilities: P x M, that each model is right.
        choices: P, number of possible answers.
        overlap: as of `voting.support`.

    Returns:
        float64, P x M; 0 for a model without an answer.
    """
    totals = np.minimum(support(answers, log_odds(probabilities, choices), overlap), 700)
    odds = np.where(np.isfinite(totals), np.exp(totals), 0)
    return odds / _total(answers, odds, choices)[:, None]


def _total(answers: Codes, odds: Reals, choices: Reals) -> Reals:
    """Return the sum of odds over the distinct answers and those that nobody gave."""
    distinct = _distinct(answers)
    others = np.maximum(np.maximum(choices, 2) - distinct.sum(axis=1), 0)
    total = np.where(distinct, odds, 0).sum(axis=1) + others
    return np.where(total > 0, total, 1.0)


def _distinct(answers: Codes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return bool, P x M: the first model of each answer on a prompt."""
    same = answers[:, :, None] == answers[:, None, :]
    return np.asarray(~np.tril(same, -1).any(axis=2) & (answers != NONE))


def learn_overlap(ballot: Ballot, choices: Reals) -> float:
    """Return the overlap under which the right answers of known prompts are the likeliest.

    Args:
        ballot: of prompts whose outcomes may be learned from.
        choices: P, number of possible answers.

    Returns:
        One of `OVERLAPS`; 1 without an answer.
    """
    step = max(1, len(choices) // _PROMPTS)
    answers, outcomes = ballot.answers[::step], ballot.outcomes[::step]
    right = (outcomes >= RIGHT_FROM) & (answers != NONE)
    if not right.any():
        return 1.0
    rows, models = np.arange(len(right)), right.argmax(axis=1)
    some = right.any(axis=1)
    losses = []
    for overlap in OVERLAPS:
        found = answer_probabilities(
            answers, ballot.probabilities[::step], choices[::step], float(overlap)
        )
        # Where no model is right, the right answer is one of those that nobody gave.
        rest = 1 - np.where(_distinct(answers), found, 0).sum(axis=1)
        likelihood = np.where(some, found[rows, models], rest)
        losses.append(-np.log(np.clip(likelihood, 1e-9, 1)).mean())
    return float(OVERLAPS[int(np.argmin(losses))])
