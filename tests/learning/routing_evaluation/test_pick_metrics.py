"""Metrics of picks and rankings, against the obvious way to compute them."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import spearmanr

from registry.learning.routing_evaluation import pick_metrics as metrics


def drawn(prompts: int = 60, models: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions with ties, and outcomes, some graded, some rows all equal."""
    rng = np.random.default_rng(1)
    predictions = rng.integers(0, 5, (prompts, models)) / 5
    outcomes = rng.choice([0, 0, 0.25, 0.75, 1], (prompts, models))
    outcomes[:3], outcomes[3:6] = 0, 1
    predictions[7] = 0.5
    return predictions, outcomes


def test_gains_and_gaps() -> None:
    outcomes = np.array([[1, 0], [0.5, 1]])
    assert metrics.average_accuracy(outcomes, np.array([0, 0])) == 0.75
    assert metrics.gain(0.75, 0.6) == pytest.approx(0.25)
    assert metrics.oracle_gap(0.6, 0.8) == pytest.approx(0.25)
    assert metrics.gap_closed(0.7, 0.6, 0.8) == pytest.approx(0.5)
    assert np.isnan(
        [metrics.gain(1, 0), metrics.oracle_gap(0, 0), metrics.gap_closed(1, 1, 1)]
    ).all()


def test_rank_correlation_is_that_of_scipy_where_it_is_defined() -> None:
    predictions, outcomes = drawn()
    found = metrics.spearman_by_prompt(predictions, outcomes)
    for p, y, value in zip(predictions, outcomes, found, strict=True):
        if np.ptp(y) == 0:
            assert np.isnan(value)
        elif np.ptp(p) == 0:
            assert value == 0
        else:
            assert value == pytest.approx(spearmanr(p, y).statistic)


def test_ndcg_is_the_mean_over_the_orders_of_ties() -> None:
    predictions, outcomes = drawn(models=4)

    def dcg(gains: np.ndarray) -> float:
        return float(sum(gain / np.log2(place + 2) for place, gain in enumerate(gains[:3])))

    found = metrics.ndcg_by_prompt(predictions, outcomes, k=3)
    for p, y, value in zip(predictions, outcomes, found, strict=True):
        if not y.any():
            assert np.isnan(value)
            continue
        orders = [
            list(each) for each in permutations(range(4)) if (np.diff(p[list(each)]) <= 0).all()
        ]
        mean = np.mean([dcg(y[order]) for order in orders])
        assert value == pytest.approx(mean / dcg(-np.sort(-y)))


def test_within_prompt_auc_counts_pairs() -> None:
    predictions, outcomes = drawn()
    found = metrics.auc_by_prompt(predictions, outcomes)
    for p, y, value in zip(predictions, outcomes, found, strict=True):
        right, wrong = p[y >= 0.5], p[y < 0.5]
        pairs = [(a > b) + (a == b) / 2 for a, b in product(right, wrong)]
        assert np.isnan(value) if not pairs else value == pytest.approx(np.mean(pairs))


def test_log_loss_leaves_out_what_is_not_predicted() -> None:
    p = np.array([[0.5, np.nan], [1, 0.25], [np.nan, np.nan]], np.float32)
    y = np.array([[1, 1], [0, 0.5], [1, 1]])
    found = metrics.log_loss_by_prompt(p, y)
    assert found[0] == pytest.approx(np.log(2))
    half = -np.log(0.25) / 2 - np.log(0.75) / 2
    assert found[1] == pytest.approx((-np.log(1e-7) + half) / 2, rel=1e-3)
    assert np.isnan(found[2])


def test_confusion_has_good_picks_on_the_diagonal() -> None:
    outcomes = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]], np.float32)
    counts = metrics.confusion(outcomes, np.array([1, 2, 2, 0, 0]))
    assert counts.tolist() == [[0, 0, 0], [0, 1, 0], [0.5, 1.5, 0]]


def test_pick_rates_are_by_the_number_of_right_models() -> None:
    outcomes = np.array([[1, 0, 0.2], [0, 1, 0], [0.5, 1, 0], [0, 0, 0]], np.float32)
    assert metrics.pick_rates(outcomes, np.array([0, 0, 0, 0])) == [
        (0, 1, 0, 0),
        (1, 2, 0.5, pytest.approx(1 / 3)),
        (2, 1, 1, pytest.approx(2 / 3)),
    ]


def test_robustness_is_the_share_of_picks_that_stay() -> None:
    assert metrics.robustness(np.array([0, 1, 2, 1]), np.array([0, 1, 1, 1])) == 0.75
    with pytest.raises(ValueError, match="2 picks and 1"):
        metrics.robustness(np.array([0, 1]), np.array([0]))
