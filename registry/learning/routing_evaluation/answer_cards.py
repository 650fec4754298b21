"""Scorecards of what reads answers: votes by the number of models asked, and cascades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Codes, Floats, Places, Reals
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing_evaluation.answer_odds import learn_overlap
from registry.learning.routing_evaluation.cascade import CascadeResult, by_agreement, by_probability
from registry.learning.routing_evaluation.contest import ContestResult
from registry.learning.routing_evaluation.cost_metrics import Curve
from registry.learning.routing_evaluation.prompt_means import MeanMetric, PromptMeans
from registry.learning.routing_evaluation.routing_intervals import REPLICATES, Estimate
from registry.learning.routing_evaluation.scorecard import (
    HeldOutPrompts,
    mean_metrics,
    outcome_columns,
)
from registry.learning.routing_evaluation.voting import Ballot, random_votes, routed_votes

WIDTHS = (1, 2, 3, 4, 5, 7, 9)
"""Numbers of models that vote, as far as there are as many."""

THRESHOLDS = np.concatenate([np.linspace(0, 0.9, 19), [0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 1.01]])
"""Probabilities from which a cascade is content with an answer; at the last it asks all."""

CONTENT = 0.9
"""The threshold of which accuracy and cost of a cascade are stated."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemAnswers:
    """Answers of M models to N items.

    Attributes:
        codes: int64, N x M; equal codes on an item are the same answer, -1 is none.
        choices: float64, N: number of possible answers.
    """

    codes: Codes
    choices: Reals

    def only(self, items: Places) -> "ItemAnswers":
        """Return the answers to some items."""
        return ItemAnswers(self.codes[items], self.choices[items])


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """How far the answers of models go together, learned for each split.

    Attributes:
        votes: by the number of models that vote, one for each split.
        chains: of the models of each split's cascade.
    """

    votes: Mapping[int, Sequence[float]]
    chains: Sequence[float]


def learn_overlaps(
    problem: RoutingProblem, contest: ContestResult, answers: ItemAnswers
) -> Overlaps:
    """Learn from each split's known items what a further vote for the same answer is worth.

    Models are those with the highest mean outcomes, which stand for the probabilities.
    """
    votes: dict[int, list[float]] = {}
    chains = []
    for split, means in enumerate(contest.means):
        held = contest.held.items[contest.held.splits == split]
        known = np.setdiff1d(np.arange(len(answers.choices)), held)
        ballot = Ballot(
            np.broadcast_to(means, (len(known), len(means))),
            answers.codes[known],
            problem.outcomes.T[known],
        )
        choices = answers.choices[known]
        order = np.argsort(-means, kind="stable")
        for w in widths(len(means)):
            votes.setdefault(w, []).append(_overlap(ballot, order[:w], choices))
        chains.append(_overlap(ballot, contest.chains[split], choices))
    return Overlaps(votes, chains)


def _overlap(ballot: Ballot, models: Places, choices: Reals) -> float:
    if len(models) < 2:  # noqa: PLR2004 - one vote has none to overlap with
        return 1.0
    return learn_overlap(ballot.part(np.tile(models, (len(choices), 1))), choices)


def widths(models: int) -> list[int]:
    """Return the numbers of models that vote, of a pool."""
    return [w for w in WIDTHS if w <= models]


def vote_metrics(
    held: HeldOutPrompts,
    probabilities: Floats,
    answers: ItemAnswers,
    overlaps: Overlaps,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return the accuracy of votes by w, the number of models asked (METHODS.md section 3).

    Args:
        held: n prompts and outcomes.
        probabilities: n x M.
        answers: to all items.
        overlaps: by `learn_overlaps`.
        replicates: resamples of the items.
        seed: of the resampling.

    Returns:
        For each w: `vote_w` of the likeliest models, `vote_w_weighted` by log-odds, `vote_w_random`
        of models at random; and the paired differences from the likeliest model alone,
        `vote_w_over_top_1` and `vote_w_weighted_over_top_1`.
    """
    given = answers.only(held.items)
    ballot = Ballot(probabilities, given.codes, held.outcomes)
    columns: dict[str, Reals] = {}
    for w in widths(probabilities.shape[1]):
        columns[f"vote_{w}"] = routed_votes(ballot, w)
        overlap = np.array(overlaps.votes[w])[held.splits]
        columns[f"vote_{w}_weighted"] = routed_votes(ballot, w, given.choices, overlap)
        columns[f"vote_{w}_random"] = random_votes(ballot, w, seed=seed)
    metrics = {name: _difference(name) for name in columns} | {
        f"{name}_over_top_1": _difference(name, "vote_1")
        for name in columns
        if not name.startswith("vote_1") and not name.endswith("random")
    }
    return PromptMeans(held.clusters, columns).estimates(metrics, replicates=replicates, seed=seed)


def _difference(name: str, reference: str | None = None) -> MeanMetric:
    return lambda means: means[name] - (means[reference] if reference else 0)


@dataclass(frozen=True, slots=True, eq=False)
class CascadeCard:
    """Result of a cascade.

    Attributes:
        estimates: by metric of `scorecard.METRICS`; accuracy and cost at the threshold `CONTENT`.
        curve: operating points, one for each of `THRESHOLDS`.
        asked: mean number of models asked at the threshold `CONTENT`.
    """

    estimates: Mapping[str, Estimate]
    curve: Curve
    asked: float


def score_cascade(
    contest: ContestResult,
    probabilities: Floats,
    answers: ItemAnswers | None,
    overlaps: Overlaps | None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> CascadeCard:
    """Return the metrics of a cascade, as of a router.

    Args:
        contest: prompts and outcomes, with all costs known, and chains of models.
        probabilities: n x M.
        answers: to all items: an answer on which models agree becomes likelier; None goes by the
            probabilities alone.
        overlaps: by `learn_overlaps`; None as the answers.
        replicates: resamples of the items.
        seed: of the resampling.
    """
    held = contest.held
    run = _Cascade(contest, probabilities, answers, overlaps)
    points = [run.at(float(each)) for each in THRESHOLDS]
    stated = run.at(CONTENT)
    table = PromptMeans(
        held.clusters,
        {"routed": stated.outcomes, "paid": stated.costs, **outcome_columns(held)},
        (
            np.stack([each.costs for each in points], axis=1),
            np.stack([each.outcomes for each in points], axis=1),
        ),
    )
    estimates = table.estimates(mean_metrics(table), replicates=replicates, seed=seed)
    return CascadeCard(estimates, table.means.curve, float(stated.asked.mean()))


@dataclass(frozen=True, slots=True, eq=False)
class _Cascade:
    """A cascade on held-out prompts, with each split's own chain of models."""

    contest: ContestResult
    probabilities: Floats
    answers: ItemAnswers | None
    overlaps: Overlaps | None

    def at(self, threshold: float) -> CascadeResult:
        """Return what it does at a threshold."""
        held = self.contest.held
        count = len(held.items)
        found = CascadeResult(np.zeros(count), np.zeros(count), np.zeros(count, np.intp))
        for split in range(len(self.contest.chains)):
            rows = np.flatnonzero(held.splits == split)
            one = self._of(split, rows, threshold)
            found.outcomes[rows], found.costs[rows] = one.outcomes, one.costs
            found.asked[rows] = one.asked
        return found

    def _of(self, split: int, rows: Places, threshold: float) -> CascadeResult:
        held, models = self.contest.held, self.contest.chains[split]
        p, outcomes, costs = self.probabilities[rows], held.outcomes[rows], held.costs[rows]
        if self.answers is None or self.overlaps is None:
            unread = Ballot(p, np.zeros(p.shape, np.int64), outcomes)
            by_cost = np.argsort(held.expected_costs[rows[0]], kind="stable")
            return by_probability(unread, costs, by_cost, threshold)
        given = self.answers.only(held.items[rows])
        ballot, overlap = Ballot(p, given.codes, outcomes), self.overlaps.chains[split]
        return by_agreement(
            ballot, costs, models, threshold, choices=given.choices, overlap=overlap
        )
