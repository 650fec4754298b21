"""Cascades: cheap models are asked first, and dearer ones where their answers are likely wrong.

Two kinds: by the probabilities alone, where answers cannot be compared; and by agreement, where an
answer that several models give becomes likelier (FrugalGPT, arXiv 2305.05176, and AutoMix have a
scorer of answers in its place). Whoever is asked is paid.
"""

from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.routing.picks import at
from registry.learning.routing_evaluation.answer_odds import answer_probabilities
from registry.learning.routing_evaluation.voting import Ballot


@dataclass(frozen=True, slots=True, eq=False)
class CascadeResult:
    """What a cascade did with P prompts.

    Attributes:
        outcomes: float64, P, of the answers that it ended with.
        costs: float64, P, of all models that it asked, dollars.
        asked: int, P: how many it asked.
    """

    outcomes: Reals
    costs: Reals
    asked: Places


def chain(probabilities: Floats, costs: Reals, most: int = 4) -> Places:
    """Return the models of a cascade, the cheapest first.

    Those are models to which no other is preferable at its cost or below, by mean probability: of
    more than `most`, the cheapest, the best and those between whose means are the most evenly
    spaced.

    Args:
        probabilities: n x M, of prompts that may be learned from.
        costs: M, mean dollars an answer; a model without (NaN) is left out.
        most: most models; at least 2.

    Returns:
        int: numbers of models.

    Raises:
        ValueError: when no model has both.
    """
    known = ~np.isnan(probabilities) & ~np.isnan(costs)
    sums = np.where(known, probabilities, 0).sum(axis=0, dtype=np.float64)
    counts = known.sum(axis=0)
    means = np.divide(sums, counts, out=np.full(len(costs), np.nan), where=counts > 0)
    order = np.lexsort((-means, costs))
    frontier: list[int] = []
    for model in order[~np.isnan(means[order])]:
        if not frontier or means[model] > means[frontier[-1]]:
            frontier.append(int(model))
    if not frontier:
        raise ValueError("no model has both a prediction and a cost")
    if len(frontier) > most:
        reached = means[frontier]
        wanted = np.linspace(reached[0], reached[-1], most)
        places = {int(np.abs(reached - value).argmin()) for value in wanted}
        frontier = [frontier[place] for place in sorted(places)]
    return np.array(frontier, np.intp)


def by_probability(ballot: Ballot, costs: Reals, models: Places, threshold: float) -> CascadeResult:
    """Ask one model after another until one is likely enough to be right.

    A model that is not likely enough is not asked: nothing would be learned from its answer. Where
    none is, the likeliest of the chain is asked.

    Args:
        ballot: of all M models; answers are not read.
        costs: P x M, dollars.
        models: of the chain, in order.
        threshold: least probability, in [0, 1].
    """
    likely = np.asarray(ballot.probabilities[:, models], np.float64)
    reached = likely >= threshold
    place = np.where(reached.any(axis=1), reached.argmax(axis=1), likely.argmax(axis=1))
    picks = models[place]
    return CascadeResult(at(ballot.outcomes, picks), at(costs, picks), np.ones(len(picks), np.intp))


def by_agreement(
    ballot: Ballot,
    costs: Reals,
    models: Places,
    threshold: float,
    *,
    choices: Reals,
    overlap: float = 1.0,
) -> CascadeResult:
    """Ask one model after another until an answer is likely enough to be right.

    After each, the most probable answer so far is the result; see
    `answer_odds.answer_probabilities`.

    Args:
        ballot: of all M models, with their answers.
        costs: P x M, dollars.
        models: of the chain, in order.
        threshold: least probability of an answer to stop at.
        choices: P, number of possible answers.
        overlap: as of `voting.support`; learned by `answer_odds.learn_overlap`.
    """
    prompts = len(ballot.answers)
    running = np.ones(prompts, np.bool_)
    outcomes, paid = np.zeros(prompts), np.zeros(prompts)
    asked = np.zeros(prompts, np.intp)
    for step, model in enumerate(models):
        so_far = models[: step + 1]
        paid += np.where(running, costs[:, model], 0)
        asked += running
        found = answer_probabilities(
            ballot.answers[:, so_far], ballot.probabilities[:, so_far], choices, overlap
        )
        leader = found.argmax(axis=1)
        outcomes = np.where(running, at(ballot.outcomes, so_far[leader]), outcomes)
        running &= found.max(axis=1) < threshold
    return CascadeResult(outcomes, paid, asked)
