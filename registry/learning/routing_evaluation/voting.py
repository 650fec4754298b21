"""Voting: the answer of most of the likeliest models (METHODS.md section 3).

Arrays are of P prompts by M models. ItemAnswers are codes: on one prompt, equal codes are the same
answer; -1 is none.
"""

from dataclasses import dataclass

import numpy as np

from registry.errors import UsageError
from registry.learning.arrays import Codes, Floats, Places, Reals
from registry.learning.metrics import RIGHT_FROM
from registry.learning.routing.picks import at

NONE = -1

LEAST_AGREEING = 0.05
"""Least share of pairs of right models, on a prompt, with the same answer: below, answers are texts
that say the same in other words."""

MOST_CONTRADICTED = 0.02
"""Most answers whose outcome differs from that of the same answer of another model."""

_AT_ONCE = 1 << 23
"""Pairs of answers in memory at a time: 64 MB of votes."""


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """Answers of the models, and what is known of them before an answer is given.

    Attributes:
        probabilities: P x M, that each is right; NaN for a model that is not asked.
        answers: int64, P x M, codes; -1 for none, which votes for nothing.
        outcomes: P x M, of the answers, without a NaN.
    """

    probabilities: Floats
    answers: Codes
    outcomes: Floats

    def only(self, prompts: Places) -> "Ballot":
        """Return the ballot of these prompts alone, int, n."""
        return Ballot(self.probabilities[prompts], self.answers[prompts], self.outcomes[prompts])

    def part(self, models: Places) -> "Ballot":
        """Return the ballot with these models alone, int, P x w."""
        return Ballot(
            np.take_along_axis(self.probabilities, models, axis=1),
            np.take_along_axis(self.answers, models, axis=1),
            np.take_along_axis(self.outcomes, models, axis=1),
        )


def check_comparable(answers: Codes, outcomes: Floats) -> None:
    """Refuse answers of which it cannot be said which are the same.

    Raises:
        UsageError: when models that are right rarely have the same answer, as free texts, or the
            same answer is right of one model and wrong of another.
    """
    right = (outcomes >= RIGHT_FROM) & (answers != NONE)
    pairs = agreeing = contradicted = given = 0
    for row, is_right in zip(answers, right, strict=True):
        present = row != NONE
        _, places = np.unique(row[present], return_inverse=True)
        votes = np.bincount(places)
        hits = np.bincount(places, is_right[present])
        total = int(hits.sum())
        pairs += total * (total - 1)
        agreeing += int((hits * (hits - 1)).sum())
        contradicted += int(np.minimum(hits, votes - hits).sum())
        given += int(present.sum())
    if not given:
        raise UsageError("No model has an answer stored, so none can be compared.")
    if contradicted > MOST_CONTRADICTED * given:
        raise UsageError(
            f"The answers cannot be compared: {contradicted:,} of {given:,} are right of one model "
            "and wrong of another that answers the same. Were they cut off, or graded differently?"
        )
    if agreeing < LEAST_AGREEING * pairs:
        raise UsageError(
            "The answers cannot be compared: right ones of the same prompt are hardly ever equal, "
            "as texts are. Votes need answers such as letters or numbers."
        )


def vote(ballot: Ballot, weights: Floats | None = None, overlap: float | Reals = 1.0) -> Reals:
    """Return the outcome of the answer with most votes, for each prompt.

    Of answers with equally many, the one wins that the model with the highest probability gave; on
    a prompt that no model answered, that model's outcome counts. The outcome of an answer is that
    of the likeliest model that gave it.

    Args:
        ballot: of the models that are asked.
        weights: P x M, of their votes; None is 1 each. An answer's total may be below 0.
        overlap: as of `support`.

    Returns:
        float64, P.
    """
    prompts, models = ballot.answers.shape
    weights = np.ones((prompts, models)) if weights is None else weights
    overlaps = np.broadcast_to(np.asarray(overlap, np.float64), prompts)
    step = max(1, _AT_ONCE // max(1, models * models))
    parts = [np.arange(start, min(start + step, prompts)) for start in range(0, prompts, step)]
    counted = [_count(ballot.only(part), weights[part], overlaps[part]) for part in parts]
    return np.concatenate([np.zeros(0), *counted])


def _count(ballot: Ballot, weights: Floats, overlaps: Reals) -> Reals:
    order = np.argsort(-_known(ballot.probabilities), axis=1, kind="stable")
    ranked = ballot.part(order)
    given = np.where(np.isnan(ranked.probabilities), NONE, ranked.answers)
    totals = support(given, np.take_along_axis(weights, order, axis=1), overlaps)
    # Sums of the same votes in another order may differ in the last digits.
    leading = totals >= totals.max(axis=1, keepdims=True) - 1e-9
    winner = np.where((given != NONE).any(axis=1), leading.argmax(axis=1), 0)
    return at(ranked.outcomes, winner)


def support(answers: Codes, weights: Floats, overlap: float | Reals) -> Reals:
    """Return the votes for each model's answer: the largest, and a share of each further one.

    Models that learned from the same texts err alike, so that a second vote for an answer says less
    than the first.

    Args:
        answers: P x M, codes.
        weights: P x M, of the votes.
        overlap: share of further votes that counts, in [0, 1], of all prompts or of each (P): 1 is
            plain voting, by 0 the heaviest vote decides.

    Returns:
        float64, P x M; minus infinity for a model without an answer.
    """
    given = answers != NONE
    same = (answers[:, :, None] == answers[:, None, :]) & given[:, None, :]
    sums = (same * weights[:, None, :]).sum(axis=2)
    largest = np.where(same, weights[:, None, :], -np.inf).max(axis=2, initial=-np.inf)
    share = np.broadcast_to(np.asarray(overlap, np.float64), len(answers))[:, None]
    totals: Reals = np.full(answers.shape, -np.inf)
    mixed = np.where(given, largest, 0) + share * (sums - np.where(given, largest, 0))
    totals[given] = mixed[given]
    return totals


def top(probabilities: Floats, w: int) -> Places:
    """Return the w models of each prompt with the highest probabilities, best first: int, P x w."""
    if not 1 <= w <= probabilities.shape[1]:
        raise ValueError(f"w is from 1 to {probabilities.shape[1]}, not {w}")
    return np.argsort(-_known(probabilities), axis=1, kind="stable")[:, :w]


def log_odds(probabilities: Floats, choices: int | Reals) -> Reals:
    """Return weights of votes by which the likeliest answer wins, if errors are independent.

    An answer that a model gives with probability p when right, and otherwise each of the others
    with equal probability, has the weight ln(p / (1 - p)) + ln(choices - 1) (Nitzan and Paroush
    1982, for two choices). p is clipped to [0.01, 0.99].

    Args:
        probabilities: P x M, in [0, 1].
        choices: number of possible answers, of all prompts or of each (P); at least 2.
    """
    p = np.clip(probabilities.astype(np.float64), 0.01, 0.99)
    others = np.log(np.maximum(np.asarray(choices, np.float64), 2) - 1)
    weights: Reals = np.log(p) - np.log1p(-p) + (others[:, None] if others.ndim else others)
    return weights


def routed_votes(
    ballot: Ballot,
    w: int,
    choices: int | Reals | None = None,
    overlap: float | Reals = 1.0,
) -> Reals:
    """Return the outcome of the vote of the w likeliest models, for each prompt.

    Args:
        ballot: of all models.
        w: number of models asked.
        choices: votes are weighted by log-odds with it; None weighs all equally.
        overlap: as of `support`.
    """
    asked = ballot.part(top(ballot.probabilities, w))
    weights = None if choices is None else log_odds(asked.probabilities, choices)
    return vote(asked, weights, overlap)


def random_votes(ballot: Ballot, w: int, *, draws: int = 8, seed: int = 0) -> Reals:
    """Return the mean outcome of votes of w models at random, for each prompt.

    Ties go to the better estimate here as well, so that w = 1 is the mean model.

    Args:
        ballot: of all models.
        w: number of models asked.
        draws: sets of models per prompt; with w = 1 or all models, the mean is exact.
        seed: of the draws.
    """
    prompts, models = ballot.answers.shape
    if w == 1:
        return np.asarray(ballot.outcomes.mean(axis=1, dtype=np.float64))
    if w == models:
        return vote(ballot)
    rng = np.random.default_rng(seed)
    total = np.zeros(prompts)
    for _ in range(draws):
        chosen = np.argsort(rng.random((prompts, models)), axis=1)[:, :w]
        total += vote(ballot.part(chosen))
    means: Reals = total / draws
    return means


def _known(probabilities: Floats) -> Reals:
    return np.where(np.isnan(probabilities), -np.inf, probabilities).astype(np.float64)
