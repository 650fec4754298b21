"""Bootstrap intervals over items."""

import numpy as np
import pytest

from registry.learning.routing_evaluation import routing_intervals as intervals
from registry.learning.routing_evaluation.routing_intervals import ItemSums

NAN = float("nan")


def test_values_are_summed_by_item() -> None:
    sums = ItemSums.of(np.array([7, 2, 7]), np.array([[1, NAN], [0, 4], [0.5, 2]]))
    assert sums.sums.tolist() == [[0, 4], [1.5, 2]]
    assert sums.counts.tolist() == [[1, 1], [2, 1]]
    assert sums.means().tolist() == [0.5, 3]
    assert np.isnan(ItemSums.of(np.array([1]), np.array([[NAN]])).means()[0])


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        values = (rng.random(80) < 0.3).astype(np.float64)[:, None]
        found = intervals.estimate(
            ItemSums.of(np.arange(80), values), lambda m: float(m[0]), replicates=300, seed=trial
        )
        assert found.value == values.mean()
        held += found.lower <= 0.3 <= found.upper
    assert 0.9 <= held / 200 <= 0.98


def test_repeated_items_are_one_draw() -> None:
    values = (np.random.default_rng(1).random(50) < 0.5).astype(np.float64)[:, None]
    once = ItemSums.of(np.arange(50), values)
    often = ItemSums.of(np.repeat(np.arange(50), 5), np.repeat(values, 5, axis=0))
    assert np.allclose(once.resampled(100), often.resampled(100))


def test_resamples_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).random((40, 1))
    first = ItemSums.of(np.arange(40), values).resampled(64, 3)
    second = ItemSums.of(np.arange(40), values + 0.25).resampled(64, 3)
    assert np.allclose(second - first, 0.25)
    assert np.ptp(first) > 0
    monkeypatch.setattr(intervals, "_AT_ONCE", 400)
    assert ItemSums.of(np.arange(40), values).resampled(64, 3).shape == (64, 1)


def test_an_undefined_metric_has_no_interval() -> None:
    found = intervals.interval(0.5, np.array([NAN, 1.0]))
    assert (found.value, np.isnan(found.lower)) == (0.5, True)
    assert np.isnan(intervals.interval(NAN, np.arange(9.0)).upper)
    known = intervals.interval(0.5, np.concatenate([[NAN], np.linspace(0, 1, 41)]))
    assert [known.lower, known.upper] == pytest.approx([0.025, 0.975])
