"""Contests of routers, and scorecards of votes and cascades on their predictions."""

import numpy as np
import pytest

from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.picks import at, pick
from registry.learning.routing.route_baselines import BestSingle, ModelMeans, mean_costs
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem
from registry.learning.routing.similar_items import SimilarItems
from registry.learning.routing_evaluation import answer_cards, answer_odds, voting
from registry.learning.routing_evaluation.answer_cards import ItemAnswers
from registry.learning.routing_evaluation.contest import contender, oracles, run_contest, singles
from registry.learning.routing_evaluation.routing_splits import hold_out_items
from registry.learning.routing_evaluation.voting import Ballot


def planted(items: int = 240, seed: int = 0) -> tuple[RoutingProblem, ItemAnswers]:
    """Return three tasks, each with a model that is good at it; the last one is good at all."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, items)
    vectors = np.eye(3, dtype=np.float32)[groups] + rng.normal(0, 0.2, (items, 3))
    right = np.full((4, items), 0.35)
    right[groups, np.arange(items)] = 0.8
    right[3] = 0.6
    outcomes = (rng.random((4, items)) < right).astype(np.float32)
    wrong = rng.integers(1, 5, (items, 4))
    codes = np.where(outcomes.T == 1, 0, wrong)
    costs = np.array([[1.0], [2], [3], [12]]) / 1000 * rng.uniform(0.8, 1.2, (4, items))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return (
        RoutingProblem(outcomes, vectors, groups, costs),
        ItemAnswers(codes, np.full(items, 5.0)),
    )


class Spy:
    """A method that notes what it is given."""

    name = "spy"

    def __init__(self) -> None:
        self.seen: list[tuple[RoutingProblem, int]] = []

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "Spy":
        self.seen.append((problem, context.seed))
        return self

    def predict(self, vectors: Matrix) -> RoutePredictions:
        p = np.tile(vectors[:, :1], (1, 4)) * np.array([1, 2, 3, 4]) / 9
        return RoutePredictions(p.astype(np.float32), p.astype(np.float32))


def test_each_split_learns_from_the_rest() -> None:
    problem, _ = planted()
    folds = [hold_out_items(problem.groups, problem.vectors, 0.2, seed) for seed in (3, 4)]
    spy, steps = Spy(), []
    result = run_contest(
        problem,
        folds,
        [contender(spy), contender(BestSingle()), *oracles(priced=True)],
        seed=3,
        on_progress=lambda what, done, total: steps.append((what, done, total)),
    )
    held = result.held
    assert held.items.tolist() == np.concatenate(folds).tolist()
    assert held.splits.tolist() == [0] * len(folds[0]) + [1] * len(folds[1])
    assert [seed for _, seed in spy.seen] == [3, 4]
    assert steps[0] == ("fitting routers", 0, 10)
    assert steps[-1][1:] == (10, 10)
    start = 0
    for (known, _), fold, chain, means in zip(
        spy.seen, folds, result.chains, result.means, strict=True
    ):
        rest = np.setdiff1d(np.arange(240), fold)
        assert (known.outcomes == problem.outcomes[:, rest]).all()
        rows = slice(start, start + len(fold))
        start += len(fold)
        best = int(known.outcomes.mean(axis=1).argmax())
        assert set(held.best_single[rows]) == {best}
        assert (held.outcomes[rows] == problem.outcomes[:, fold].T).all()
        assert (held.costs[rows] == problem.costs[:, fold].T).all()
        assert np.allclose(held.expected_costs[rows], mean_costs(known.costs))
        assert np.allclose(means, known.outcomes.mean(axis=1))
        assert chain[-1] == best
        assert np.allclose(result.probabilities["spy"][rows, 0] * 9, problem.vectors[fold, 0])
        single = result.probabilities["best-single"][rows]
        assert set(pick(single)) == {best}
    instance = pick(result.probabilities["oracle-by-instance"])
    assert at(held.outcomes, instance).mean() == held.outcomes.max(axis=1).mean()
    cheapest = pick(result.probabilities["oracle-by-cost"])
    assert at(held.costs, cheapest).mean() < at(held.costs, instance).mean() + 1e-12
    names = [name for name in result.probabilities if name.startswith("oracle")]
    assert names == ["oracle-by-task", "oracle-by-instance", "oracle-by-cost"]
    assert [name for name, *_ in singles(held)] == [0, 1, 2, 3]
    assert len(oracles(priced=False)) == 2


def test_a_router_closes_the_gap_that_tasks_leave() -> None:
    problem, _ = planted()
    folds = [hold_out_items(problem.groups, problem.vectors, 0.2, seed) for seed in range(3)]
    methods = [contender(ModelMeans()), contender(SimilarItems(30))]
    result = run_contest(problem, folds, [*methods, *oracles(priced=True)])
    accuracy = {
        name: at(result.held.outcomes, pick(p)).mean() for name, p in result.probabilities.items()
    }
    assert accuracy["model-means"] < accuracy["neighbours"] <= accuracy["oracle-by-instance"]
    assert accuracy["neighbours"] == pytest.approx(accuracy["oracle-by-task"], abs=0.06)


def test_votes_by_the_number_of_models() -> None:
    problem, answers = planted()
    folds = [hold_out_items(problem.groups, problem.vectors, 0.2, seed) for seed in range(2)]
    result = run_contest(problem, folds, [contender(SimilarItems(30))])
    p, held = result.probabilities["neighbours"], result.held
    overlaps = answer_cards.learn_overlaps(problem, result, answers)
    assert set(overlaps.votes) == {1, 2, 3, 4}
    rest = np.setdiff1d(np.arange(240), folds[1])
    means = result.means[1]
    order = np.tile(np.argsort(-means)[:3], (len(rest), 1))
    known = Ballot(np.tile(means, (len(rest), 1)), answers.codes[rest], problem.outcomes.T[rest])
    learned = answer_odds.learn_overlap(known.part(order), answers.choices[rest])
    assert overlaps.votes[3][1] == learned
    other = Ballot(
        np.tile(means, (len(folds[1]), 1)),
        answers.codes[folds[1]],
        problem.outcomes.T[folds[1]],
    )
    of_held_out = answer_odds.learn_overlap(
        other.part(order[: len(folds[1])]), np.full(len(folds[1]), 5.0)
    )
    assert of_held_out != learned
    found = answer_cards.vote_metrics(held, p, answers, overlaps, replicates=20)
    ballot = Ballot(p, answers.codes[held.items], held.outcomes)
    one = voting.routed_votes(ballot, 1).mean()
    three = voting.routed_votes(ballot, 3).mean()
    assert found["vote_1"].value == pytest.approx(one)
    assert found["vote_3"].value == pytest.approx(three)
    assert found["vote_3_over_top_1"].value == pytest.approx(three - one)
    assert found["vote_1_random"].value == pytest.approx(held.outcomes.mean())
    overlap = np.array(overlaps.votes[4])[held.splits]
    weighted = voting.routed_votes(ballot, 4, answers.choices[held.items], overlap).mean()
    assert found["vote_4_weighted"].value == pytest.approx(weighted)
    assert "vote_4_random_over_top_1" not in found
    assert "vote_1_weighted_over_top_1" not in found
    assert "vote_5" not in found


def test_cascades_are_scored_like_routers() -> None:
    problem, answers = planted()
    folds = [hold_out_items(problem.groups, problem.vectors, 0.2, seed) for seed in range(2)]
    result = run_contest(problem, folds, [contender(SimilarItems(30))])
    p, held = result.probabilities["neighbours"], result.held
    overlaps = answer_cards.learn_overlaps(problem, result, answers)
    plain = answer_cards.score_cascade(result, p, None, None, replicates=10)
    assert plain.asked == 1
    # At no threshold the cheapest is asked, at the last the likeliest.
    assert plain.curve.costs[0] == pytest.approx(held.costs[:, 0].mean())
    assert plain.curve.qualities[-1] == pytest.approx(at(held.outcomes, pick(p)).mean())
    assert plain.estimates["cost_save"].value > 0.3
    agreeing = answer_cards.score_cascade(result, p, answers, overlaps, replicates=10)
    assert 1 < agreeing.asked <= 4
    longest = np.concatenate(
        [held.costs[held.splits == split][:, chain].sum(axis=1)
         for split, chain in enumerate(result.chains)]
    )  # fmt: skip
    assert agreeing.curve.costs[-1] == pytest.approx(longest.mean())
    assert (np.diff(agreeing.curve.costs) >= -1e-12).all()
    assert {"avg_acc", "cost_per_1000", "aiq", "gap_closed"} <= set(agreeing.estimates)
    assert "spearman" not in agreeing.estimates


def test_overlaps_tell_independent_errors_from_common_ones() -> None:
    rng = np.random.default_rng(2)
    right = rng.random((4000, 3)) < 0.5
    codes = np.where(right, 0, rng.integers(1, 6, (4000, 3)))
    p = np.full((4000, 3), 0.5)
    choices = np.full(4000, 6.0)
    independent = Ballot(p, codes, right.astype(np.float64))
    assert answer_odds.learn_overlap(independent, choices) >= 0.9
    same = np.repeat(codes[:, :1], 3, axis=1)
    copies = Ballot(p, same, np.repeat(right[:, :1], 3, axis=1).astype(np.float64))
    assert answer_odds.learn_overlap(copies, choices) == 0
    silent = Ballot(p, codes * 0 - 1, right.astype(np.float64))
    assert answer_odds.learn_overlap(silent, choices) == 1


def test_probabilities_of_answers_sum_to_one_over_all_possible() -> None:
    answers = np.array([[0, 0, 1], [2, -1, -1], [-1, -1, -1], [0, 1, 2]])
    p = np.full((4, 3), 0.6)
    found = answer_odds.answer_probabilities(answers, p, np.full(4, 3.0), 0.5)
    odds = 0.6 / 0.4 * 2
    both = odds**1.5
    assert found[0] == pytest.approx(np.array([both, both, odds]) / (both + odds + 1))
    assert found[1] == pytest.approx([odds / (odds + 2), 0, 0])
    assert found[2].tolist() == [0, 0, 0]
    assert found[3].sum() == pytest.approx(1)
