"""Estimates of whole scores: exact at the end, and intervals that hold what they say."""

from dataclasses import astuple

import numpy as np
import pytest
from banks import planted

from registry.learning.adaptive_testing import estimation, neighbourhood
from registry.learning.adaptive_testing.estimation import (
    estimate,
    estimate_alike,
    expected_width,
    weighted_quantile,
)
from registry.learning.adaptive_testing.item_selection import fixed_order
from registry.learning.adaptive_testing.known import KnownOutcomes, known_outcomes
from registry.learning.adaptive_testing.neighbourhood import (
    NO_ANSWERS,
    Answers,
    Regressors,
    effective,
    regress,
    uniform,
)


def of(model: np.ndarray, places: np.ndarray) -> Answers:
    return Answers(np.asarray(places, np.intp), model[places].astype(np.float64))


@pytest.fixture(scope="module")
def split() -> tuple[KnownOutcomes, np.ndarray]:
    outcomes = planted(1100, 80)
    return known_outcomes(outcomes[:800]), outcomes[800:]


def test_without_answers_it_is_the_mean_of_the_known_models(
    split: tuple[KnownOutcomes, np.ndarray],
) -> None:
    bank, _ = split
    [found] = estimate(bank, NO_ANSWERS)
    assert found.mean == pytest.approx(bank.scores.mean(), abs=1e-5)
    assert found.lower < np.quantile(bank.scores, 0.2)
    assert found.upper > np.quantile(bank.scores, 0.8)


def test_with_all_answers_it_is_the_score(split: tuple[KnownOutcomes, np.ndarray]) -> None:
    bank, held = split
    [found] = estimate(bank, of(held[0], np.random.default_rng(0).permutation(80)))
    assert found.mean == pytest.approx(held[0].mean())
    assert (found.lower, found.upper, found.deviation) == (found.mean, found.mean, 0.0)


@pytest.mark.parametrize("count", [1, 10, 40])
def test_intervals_are_possible_and_hold_nine_in_ten(
    split: tuple[KnownOutcomes, np.ndarray], count: int
) -> None:
    bank, held = split
    rng = np.random.default_rng(count)
    inside, widths, deviations, errors = [], [], [], []
    for model in held:
        places = rng.permutation(80)[:count]
        [found] = estimate(bank, of(model, places))
        answered = float(model[places].sum()) / 80
        assert answered - 1e-9 <= found.lower <= found.mean <= found.upper
        assert found.upper <= answered + (80 - count) / 80 + 1e-9
        inside.append(found.lower - 1e-9 <= model.mean() <= found.upper + 1e-9)
        widths.append(found.width)
        deviations.append(found.deviation)
        errors.append(found.mean - model.mean())
    assert 0.86 <= np.mean(inside) <= 0.97
    assert np.std(errors) == pytest.approx(np.mean(deviations), rel=0.25)


def test_a_lower_level_is_narrower(split: tuple[KnownOutcomes, np.ndarray]) -> None:
    bank, held = split
    answers = of(held[0], np.arange(10))
    widths = [estimate(bank, answers, level)[0].width for level in (0.5, 0.8, 0.95)]
    assert widths[0] < widths[1] < widths[2]
    held_by_half = np.mean(
        [
            found.lower <= model.mean() <= found.upper
            for model in held
            for [found] in [estimate(bank, of(model, np.arange(10)), 0.5)]
        ]
    )
    assert 0.42 <= held_by_half <= 0.6


def test_chosen_items_keep_their_intervals(split: tuple[KnownOutcomes, np.ndarray]) -> None:
    bank, held = split
    order = fixed_order(bank, 15)
    found = [estimate(bank, of(model, order))[0] for model in held]
    inside = [each.lower <= model.mean() <= each.upper
              for each, model in zip(found, held, strict=True)]  # fmt: skip
    assert 0.85 <= np.mean(inside) <= 0.96
    expected = expected_width(bank, order)
    assert expected == pytest.approx(np.mean([each.width for each in found]), rel=0.15)
    assert expected_width(bank, np.arange(80)) == 0
    assert expected_width(bank, order[:3]) > expected > expected_width(bank, order[:0]) * 0.1


def test_answers_on_one_benchmark_count_for_another() -> None:
    outcomes = planted(900, 80)
    groups = np.repeat([0, 1], 40)
    bank, held = known_outcomes(outcomes[:800], groups), outcomes[800:]
    found = [estimate(bank, of(model, np.arange(40))) for model in held]
    assert [each[0].mean for each in found] == pytest.approx(held[:, :40].mean(axis=1), abs=1e-6)
    guessed = np.array([each[1].mean for each in found])
    truth = held[:, 40:].mean(axis=1)
    assert np.abs(guessed - truth).mean() < 0.7 * np.abs(truth - bank.scores[:, 1].mean()).mean()


def test_of_many_answers_some_count_by_their_mean(
    monkeypatch: pytest.MonkeyPatch, split: tuple[KnownOutcomes, np.ndarray]
) -> None:
    bank, held = split
    places = np.arange(60)
    whole = [estimate(bank, of(model, places))[0].mean for model in held[:20]]
    monkeypatch.setattr(neighbourhood, "MOST_REGRESSORS", 12)
    reduced = Regressors.of_known(bank, places).known
    assert reduced.shape == (800, 13)
    # Items of even number say more.
    evens = [any((column == bank.values[:, each]).all() for each in range(0, 60, 2))
             for column in reduced.T]  # fmt: skip
    assert sum(evens) >= 11
    ours = [estimate(bank, of(model, places))[0].mean for model in held[:20]]
    assert np.abs(np.array(ours) - whole).max() < 0.05
    assert ours != whole


def test_errors_left_out_are_those_of_fits_without_the_model() -> None:
    outcomes = planted(40, 30)
    targets = outcomes.mean(axis=1)
    known = outcomes[:, :8]
    weights = np.random.default_rng(0).uniform(0.5, 1, 40)
    fitted = regress(known, targets, weights)
    left_out, residuals = [], targets - fitted.predict(known.astype(float))
    for row in range(40):
        without = weights.copy()
        without[row] = 0
        alone = regress(known, targets, without)
        left_out.append(targets[row] - alone.predict(known[row : row + 1].astype(float))[0])
    # The penalty differs a little without the model.
    off = np.abs(fitted.left_out - left_out).mean()
    assert off < 0.15 * np.abs(np.array(left_out) - residuals).mean()
    assert effective(uniform(50)) == pytest.approx(50)


def test_few_models_give_an_answer_too() -> None:
    outcomes = planted(12, 30)
    [found] = estimate(known_outcomes(outcomes[:10]), of(outcomes[11], np.arange(20)))
    assert 0 <= found.lower < found.mean < found.upper <= 1


@pytest.mark.parametrize("chosen", [True, False])
def test_of_few_models_intervals_hold_for_chosen_and_random_items(chosen: bool) -> None:  # noqa: FBT001
    """Errors of the models by which items are chosen are a third of those of others."""
    outcomes = planted(24, 300, seed=3, graded=True)
    rng = np.random.default_rng(0)
    inside = []
    for row in range(24):
        bank = known_outcomes(np.delete(outcomes, row, axis=0))
        places = fixed_order(bank, 15) if chosen else rng.permutation(300)[:15]
        [found] = estimate(bank, of(outcomes[row], places))
        inside.append(found.lower <= outcomes[row].mean() <= found.upper)
    assert sum(inside) >= 20


def test_answers_share_a_slope_where_little_is_known() -> None:
    """Models that answer all alike, as no known model does, have a score about that answer."""
    outcomes = planted(10, 60)
    bank = known_outcomes(outcomes)
    rows = np.full(60, 1, np.float32)
    places = np.random.default_rng(1).permutation(60)[:30]
    high, low = (estimate(bank, of(value * rows, places))[0].mean for value in (1, 0))
    assert high > 0.95
    assert low < 0.05


def test_models_that_answered_alike_are_estimated_together(
    monkeypatch: pytest.MonkeyPatch, split: tuple[KnownOutcomes, np.ndarray]
) -> None:
    bank, held = split
    places = np.arange(0, 40, 2)
    together = estimate_alike(bank, places, held[:30, places].astype(float))
    for found, model in zip(together, held, strict=False):
        for ours, alone in zip(found, estimate(bank, of(model, places)), strict=True):
            assert astuple(ours) == pytest.approx(astuple(alone))
    monkeypatch.setattr(estimation, "MOST_CENTRES", 10)
    shared = estimate_alike(bank, places, held[:30, places].astype(float))
    off = [abs(a.mean - b.mean) for [a], [b] in zip(shared, together, strict=True)]
    assert 0 < max(off) < 0.03


def test_the_quantile_counts_the_new_error() -> None:
    errors = np.array([0.3, 0.1, 0.2, 0.4, 0.0, 0.5, 0.6, 0.7, 0.8])
    equal = np.full(9, 1 / 9)
    for level, wanted in ((0.9, 0.8), (0.8, 0.7), (0.85, 0.75), (0.1, 0.0), (0.99, 0.8)):
        assert weighted_quantile(errors, equal, level) == pytest.approx(wanted)
    weights = np.array([0, 0, 0.5, 0.5, 0, 0, 0, 0, 0])
    assert weighted_quantile(errors, weights, 1 / 3) == pytest.approx(0.2)
    assert weighted_quantile(errors, weights, 2 / 3) == pytest.approx(0.4)


def test_errors_are_those_of_models_that_calibrate() -> None:
    outcomes = planted(200, 40)
    fitted = regress(outcomes[:, :5], outcomes.mean(axis=1), uniform(200))
    errors = np.abs(fitted.left_out)
    large = np.zeros(200, bool)
    large[fitted.rows] = errors > np.median(errors)
    [above, spread], [below, less] = (
        estimation._error(fitted, chosen, 0.9) for chosen in (large, ~large)
    )
    assert below < above
    assert less < spread
    assert below <= np.median(errors)


def test_both_kinds_of_error_grow_with_the_spread() -> None:
    half, deviation = estimation.widened((0.2, 0.1), np.array([1.0, 1.5, 3.0]))
    assert half == pytest.approx([0.2, 0.3, 0.6])
    assert deviation == pytest.approx([0.1, 0.15, 0.3])


def test_intervals_are_wider_where_slopes_are_uncertain() -> None:
    outcomes = planted(750, 150)
    bank, held = known_outcomes(outcomes[:300]), outcomes[300:]
    assert bank.is_honest
    places = np.random.default_rng(0).permutation(150)[:60]
    found = [each for [each] in estimate_alike(bank, places, held[:, places].astype(float))]
    inside = [
        each.lower <= model.mean() <= each.upper for each, model in zip(found, held, strict=True)
    ]
    assert 0.88 <= np.mean(inside) <= 0.97
    fitted = regress(bank.values[:, places], bank.scores[:, 0], uniform(300))
    usual, odd = fitted.spread(np.stack([bank.values[:, places].mean(axis=0), np.ones(60)]))
    assert 1 < usual < odd
    # In one neighbourhood, intervals and deviations differ by the spread alone.
    regressors = Regressors.of(bank, places, held[:, places].astype(float))
    _, half, deviation = estimation._rest(bank, 0, regressors, places, 0.9)
    compared = 0
    for rows, weights in estimation._neighbourhoods(bank.scores[:, 0], regressors):
        there = estimation._of_the_rest(bank, 0, places, regressors, weights)
        spread = there.spread(regressors.own[rows])
        assert half[rows] / half[rows[0]] == pytest.approx(spread / spread[0])
        assert deviation[rows] / deviation[rows[0]] == pytest.approx(spread / spread[0])
        compared += int(np.ptp(spread) > 0.01)
    assert compared > 10
    narrow = [
        each.deviation == pytest.approx(own) for each, own in zip(found, deviation, strict=True)
    ]
    assert np.mean(narrow) > 0.9


def test_models_that_are_all_alike_say_nothing_for_sure() -> None:
    bank = known_outcomes(np.tile(planted(1, 30), (50, 1)))
    [found] = estimate(bank, Answers(np.array([0, 1]), np.array([1.0, 0.0])))
    assert found.width > 0.02
    assert found.deviation > 0.005
