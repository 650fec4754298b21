"""Choice of items: beside a naive computation, and beside random items."""

import numpy as np
import pytest
from banks import planted

from registry.learning.adaptive_testing import item_selection
from registry.learning.adaptive_testing.estimation import estimate
from registry.learning.adaptive_testing.item_selection import View, fixed_order, next_items
from registry.learning.adaptive_testing.known import KnownOutcomes, known_outcomes
from registry.learning.adaptive_testing.neighbourhood import (
    NO_ANSWERS,
    Answers,
    Regressors,
    uniform,
)


def answers(places: list[int], outcomes: list[float]) -> Answers:
    return Answers(np.array(places, np.intp), np.array(outcomes, np.float64))


def view(bank: KnownOutcomes, given: Answers = NO_ANSWERS) -> View:
    count = bank.values.shape[1]
    weights = uniform(len(bank.values))
    return View(
        bank, bank.scores[:, 0], weights, Regressors.of_known(bank, given.places), np.arange(count)
    )


def naive_gains(outcomes: np.ndarray, given: list[int]) -> np.ndarray:
    """Return the share of the score's variance that each item removes, by a least-squares fit."""
    values, score = outcomes.astype(np.float64), outcomes.mean(axis=1).astype(np.float64)
    ones = np.ones((len(values), 1))
    before = np.column_stack([ones, values[:, given]])
    kept = np.eye(len(values)) - before @ np.linalg.pinv(before)
    left, items = kept @ score, kept @ values
    covariances, variances = left @ items / len(left), (items**2).mean(axis=0)
    gains: np.ndarray = covariances**2 / (variances + item_selection.NOISE) / score.var()
    return gains


@pytest.mark.parametrize("given", [[], [3], [3, 8, 20]])
def test_gains_are_those_of_a_least_squares_fit(
    monkeypatch: pytest.MonkeyPatch, given: list[int]
) -> None:
    monkeypatch.setattr(item_selection, "RIDGE", 0.0)
    outcomes = planted(50, 30)
    bank = known_outcomes(outcomes)
    wanted = naive_gains(outcomes, given)
    at_once = view(bank, answers(given, [0.0] * len(given)))
    one_by_one = view(bank)
    for place in given:
        one_by_one.take(place)
    others = [each for each in range(30) if each not in given]
    for ours in (at_once.gains(), one_by_one.gains()):
        np.testing.assert_allclose(ours[others], wanted[others], rtol=2e-3, atol=1e-5)


def test_items_that_say_much_are_chosen_and_the_order_is_nested() -> None:
    bank = known_outcomes(planted(400, 60))
    order = fixed_order(bank, 20)
    assert len(set(order.tolist())) == 20
    assert (order[:5] % 2 == 0).all()
    np.testing.assert_array_equal(fixed_order(bank, 6), order[:6])


def test_all_items_are_chosen_once_and_no_more() -> None:
    bank = known_outcomes(planted(60, 12))
    assert sorted(fixed_order(bank, 100).tolist()) == list(range(12))
    given = answers([2, 5], [1, 0])
    chosen = next_items(bank, given, 100)
    assert sorted(chosen.tolist()) == [each for each in range(12) if each not in {2, 5}]
    assert not len(next_items(bank, given, 0))


def test_the_next_items_depend_on_the_answers() -> None:
    bank = known_outcomes(planted(600, 80))
    first = next_items(bank, NO_ANSWERS, 4).tolist()
    right = next_items(bank, answers(first, [1.0] * 4), 5)
    wrong = next_items(bank, answers(first, [0.0] * 4), 5)
    assert set(right.tolist()) != set(wrong.tolist())
    means = bank.values.mean(axis=0)
    # Hard items tell good models apart, easy ones bad models.
    assert means[right].mean() < means[wrong].mean() - 0.1


def errors(bank: KnownOutcomes, held: np.ndarray, chosen: list[np.ndarray]) -> float:
    found = [
        estimate(bank, Answers(places, model[places].astype(np.float64)))[0].mean
        for model, places in zip(held, chosen, strict=True)
    ]
    return float(np.abs(np.array(found) - held.mean(axis=1)).mean())


def test_chosen_items_predict_better_than_random_ones() -> None:
    outcomes = planted(1500, 100, slope=6.0)
    bank, held = known_outcomes(outcomes[:1400]), outcomes[1400:]
    rng = np.random.default_rng(0)
    order = fixed_order(bank, 10)
    adaptive = []
    for model in held:
        places = np.zeros(0, np.intp)
        while len(places) < 10:
            given = Answers(places, model[places].astype(np.float64))
            places = np.concatenate([places, next_items(bank, given, 2)])
        adaptive.append(places)
    random = errors(bank, held, [rng.permutation(100)[:10] for _ in held])
    fixed = errors(bank, held, [order] * 100)
    assert fixed < 0.75 * random
    assert errors(bank, held, adaptive) < 0.9 * fixed


def test_costs_count() -> None:
    bank = known_outcomes(planted(400, 60))
    costs = np.ones(60)
    first = fixed_order(bank, 5)
    costs[first] = 1000.0
    assert not set(fixed_order(bank, 5, costs).tolist()) & set(first.tolist())
    assert not set(next_items(bank, NO_ANSWERS, 5, costs).tolist()) & set(first.tolist())
    np.testing.assert_array_equal(fixed_order(bank, 5, np.full(60, 7.0)), first)


def test_a_fixed_order_is_of_the_items_that_say_most(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = known_outcomes(planted(400, 60))
    whole, gains = fixed_order(bank, 6), view(bank).gains()
    monkeypatch.setattr(item_selection, "MOST_CANDIDATES", 20)
    order = fixed_order(bank, 20)
    assert sorted(order.tolist()) == sorted(np.argsort(-gains)[:20].tolist())
    assert order[0] == whole[0]
    assert len(fixed_order(bank, 30)) == 30
    # By cost, an item that says little by itself is a candidate if it costs next to nothing.
    costs = np.where(np.arange(60) == np.argmin(gains), 1e-9, 1.0)
    assert fixed_order(bank, 1, costs).tolist() == [np.argmin(gains)]
    assert len(next_items(bank, answers([1], [1]), 59)) == 59


def test_models_that_calibrate_do_not_choose() -> None:
    bank = known_outcomes(planted(600, 40))
    assert bank.is_honest
    alone = view(bank.part(np.flatnonzero(bank.choosing))).gains()
    np.testing.assert_allclose(view(bank).gains(), alone, rtol=1e-4)
    assert not np.allclose(alone, view(bank.part(np.arange(600)[::2])).gains(), rtol=1e-2)


def test_each_benchmark_counts_alike() -> None:
    outcomes = np.concatenate([planted(400, 60), planted(400, 10, seed=5)], axis=1)
    bank = known_outcomes(outcomes, np.repeat([0, 1], [60, 10]))
    order = fixed_order(bank, 12)
    assert 3 <= (order >= 60).sum() <= 9


def test_of_many_benchmarks_the_mean_counts() -> None:
    outcomes = planted(400, 60)
    one = fixed_order(known_outcomes(outcomes), 6)
    many = known_outcomes(outcomes, np.repeat(np.arange(20), 3))
    np.testing.assert_array_equal(fixed_order(many, 6), one)


def test_of_very_many_items_the_last_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = known_outcomes(planted(200, 40))
    whole = fixed_order(bank, 40)
    monkeypatch.setattr(item_selection, "MOST_GREEDY", 10)
    order = fixed_order(bank, 30)
    np.testing.assert_array_equal(order[:11], whole[:11])
    assert len(set(order.tolist())) == 30
    assert sorted(fixed_order(bank, 99).tolist()) == list(range(40))
    assert not set(next_items(bank, answers([1, 2], [0, 1]), 38).tolist()) & {1, 2}
