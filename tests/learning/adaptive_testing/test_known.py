"""Known outcomes: which models are known, how holes are filled, and who chooses."""

import numpy as np
import pytest
from banks import planted

from registry.errors import UsageError
from registry.learning.adaptive_testing import known
from registry.learning.adaptive_testing.item_selection import fixed_order, next_items
from registry.learning.adaptive_testing.known import imputed, known_outcomes
from registry.learning.adaptive_testing.neighbourhood import Answers


def with_holes(seed: int = 1, share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    whole = planted(200, 60)
    holes = np.random.default_rng(seed).random(whole.shape) < share
    return whole, np.where(holes, np.nan, whole).astype(np.float32)


def test_scores_are_means_by_benchmark() -> None:
    outcomes = planted(30, 10)
    groups = np.repeat([0, 1], [4, 6])
    bank = known_outcomes(outcomes, groups)
    assert bank.sizes.tolist() == [4, 6]
    np.testing.assert_allclose(bank.scores[:, 0], outcomes[:, :4].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(bank.scores[:, 1], outcomes[:, 4:].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(bank.values, outcomes)


def test_what_was_observed_is_kept_and_holes_are_filled_better_than_by_means() -> None:
    whole, outcomes = with_holes()
    filled = imputed(outcomes)
    holes = np.isnan(outcomes)
    np.testing.assert_array_equal(filled[~holes], whole[~holes])
    assert filled.min() >= 0
    assert filled.max() <= 1
    means = np.broadcast_to(np.nanmean(outcomes, axis=0), whole.shape)
    errors = [np.abs(each - whole)[holes].mean() for each in (filled, means)]
    assert errors[0] < 0.8 * errors[1]


def test_outcomes_are_drawn_with_the_variance_of_outcomes() -> None:
    whole, outcomes = with_holes(share=0.3)
    bank = known_outcomes(outcomes)
    holes = np.isnan(outcomes[bank.rows])
    values, truth = bank.values[holes], whole[bank.rows][holes]
    assert set(np.unique(values.round(6))) == {0, 1}
    assert values.mean() == pytest.approx(truth.mean(), abs=0.03)
    assert values.var() == pytest.approx(truth.var(), rel=0.05)
    expected = imputed(outcomes[bank.rows])
    np.testing.assert_allclose(bank.scores[:, 0], expected.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(bank.values, known_outcomes(outcomes).values)
    graded = planted(400, 20, graded=True)
    holes = np.random.default_rng(0).random(graded.shape) < 0.2
    bank = known_outcomes(np.where(holes, np.nan, graded))
    kept = holes[bank.rows]
    binary = (bank.scores.mean() * (1 - bank.scores.mean())).item()
    assert bank.values[kept].var() == pytest.approx(graded[bank.rows][kept].var(), rel=0.3)
    assert bank.values[kept].var() < 0.8 * binary


def test_an_item_of_few_models_is_not_chosen() -> None:
    outcomes = planted(60, 20)
    outcomes[:, 3] = np.nan
    outcomes[5:40, 4] = np.nan
    outcomes[30:, 5] = np.nan
    bank = known_outcomes(outcomes)
    assert np.flatnonzero(~bank.askable).tolist() == [3, 4]
    assert sorted(fixed_order(bank, 20).tolist()) == [0, 1, 2, *range(5, 20)]
    given = Answers(np.array([3, 7], np.intp), np.array([1.0, 0.0]))
    assert not set(next_items(bank, given, 20).tolist()) & {3, 4, 7}


@pytest.mark.parametrize("shape", [(40, 120), (120, 40)])
def test_wide_and_tall_matrices_are_filled_alike(shape: tuple[int, int]) -> None:
    """The axes of either side give the same approximation."""
    centred = np.random.default_rng(0).normal(size=shape)
    ours = known._projected(centred)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    rank = min(shape) // 3
    np.testing.assert_allclose(ours, (u[:, :rank] * s[:rank]) @ v[:rank], atol=1e-8)


def test_models_with_few_outcomes_are_not_known() -> None:
    outcomes = planted(20, 10)
    outcomes[3, :3] = np.nan
    outcomes[7, :4] = np.nan
    assert known_outcomes(outcomes).rows.tolist() == [each for each in range(20) if each != 7]
    outcomes[8:] = np.nan
    with pytest.raises(UsageError, match="Only 7 models have outcomes on at least 70%"):
        known_outcomes(outcomes)


@pytest.mark.parametrize("outcome", [-0.01, 1.01])
def test_outcomes_out_of_range_are_refused(outcome: float) -> None:
    outcomes = planted(20, 10)
    outcomes[0, 0] = outcome
    with pytest.raises(UsageError, match="within 0 and 1"):
        known_outcomes(outcomes)


def test_a_quarter_calibrates_whatever_the_order() -> None:
    outcomes = planted(600, 10)
    keys = np.arange(600, dtype=np.uint64) + 1000
    bank = known_outcomes(outcomes, keys=keys)
    assert keys[0] == 1000
    assert bank.is_honest
    assert 0.2 < bank.calibrating.mean() < 0.3
    np.testing.assert_array_equal(bank.choosing, ~bank.calibrating)
    order = np.random.default_rng(0).permutation(600)
    again = known_outcomes(outcomes[order], keys=keys[order])
    np.testing.assert_array_equal(again.calibrating, bank.calibrating[order])


def test_few_models_choose_and_calibrate() -> None:
    bank = known_outcomes(planted(40, 10))
    assert bank.choosing.all()
    assert bank.calibrating.all()
    assert not bank.is_honest
