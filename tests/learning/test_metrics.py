"""Metrics are those of scikit-learn or of a naive version, whatever the numbers."""

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from registry.learning import metrics
from registry.learning.arrays import Floats
from registry.learning.metrics import holdout_metrics

# Few values, so that ties come up; and any.
CHANCES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))
GRADES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@st.composite
def measured(draw: st.DrawFn, outcomes: st.SearchStrategy[float]) -> tuple[Floats, Floats]:
    pairs = draw(st.lists(st.tuples(outcomes, CHANCES), min_size=1, max_size=40))
    y, p = np.array(pairs, np.float64).T
    return y, p


@pytest.fixture(scope="module")
def sklearn() -> Any:
    return pytest.importorskip("sklearn.metrics")


BINARY = measured(st.sampled_from([0.0, 1.0]))
GRADED = measured(GRADES)


@given(BINARY)
def test_binary_outcomes_give_what_scikit_learn_gives(
    sklearn: Any, given_: tuple[Floats, Floats]
) -> None:
    y, p = given_
    assert metrics.accuracy(y, p) == pytest.approx(sklearn.accuracy_score(y, p >= 0.5))
    assert metrics.log_loss(y, p) == pytest.approx(sklearn.log_loss(y, p, labels=[0, 1]))
    assert metrics.rmse(y, p) == pytest.approx(math.sqrt(sklearn.brier_score_loss(y, p)))
    if len(set(y)) == 1:
        assert math.isnan(metrics.auc(y, p))
    else:
        assert metrics.auc(y, p) == pytest.approx(sklearn.roc_auc_score(y, p))


@given(GRADED)
def test_graded_outcomes_are_right_and_wrong_by_weight(
    sklearn: Any, given_: tuple[Floats, Floats]
) -> None:
    y, p = given_
    labels = np.concatenate([np.ones_like(y), np.zeros_like(y)])
    weights, twice = np.concatenate([y, 1 - y]), np.concatenate([p, p])
    loss = sklearn.log_loss(labels, twice, sample_weight=weights, labels=[0, 1])
    assert metrics.log_loss(y, p) == pytest.approx(loss)
    mass = y.sum() * (1 - y).sum()
    if mass > 1e-6:  # below, nothing but rounding is left
        pairs = sum(
            right * (1 - wrong) * (1.0 if high > low else 0.5 if high == low else 0.0)
            for right, high in zip(y, p, strict=True)
            for wrong, low in zip(y, p, strict=True)
        )
        assert metrics.auc(y, p) == pytest.approx(pairs / mass)


@given(GRADED, st.integers(1, 20), st.randoms(use_true_random=False))
def test_order_does_not_count(given_: tuple[Floats, Floats], bins: int, random: object) -> None:
    y, p = given_
    order = np.random.default_rng(hash(random) % 2**32).permutation(y.size)
    error = metrics.calibration_error(y, p, bins)
    assert metrics.calibration_error(y[order], p[order], bins) == pytest.approx(error, abs=1e-12)
    assert 0 <= error <= 1
    assert error <= np.abs(y - p).mean() + 1e-12
    assert error >= abs((y - p).mean()) - 1e-12


@given(GRADED)
def test_a_right_prediction_has_no_error(given_: tuple[Floats, Floats]) -> None:
    y, _ = given_
    assert metrics.accuracy(y, y) == 1
    assert metrics.rmse(y, y) == 0
    assert metrics.calibration_error(y, y) == pytest.approx(0, abs=1e-12)


def test_calibration_error_by_hand() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.6, 0.8, 1.0])
    y = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    # Bins of three: |1/3 - 0.2| and |2/3 - 0.8|.
    assert metrics.calibration_error(y, p, bins=2) == pytest.approx(2 / 15)
    assert metrics.calibration_error(y, p, bins=1) == pytest.approx(0)
    assert metrics.calibration_error(y, p, bins=6) == pytest.approx(metrics.calibration_error(y, p))


def test_one_prediction_for_all_is_off_by_the_base_rate() -> None:
    y = np.array([1.0, 0.0, 0.0, 0.0] * 50)
    assert metrics.calibration_error(y, np.full(200, 0.4)) == pytest.approx(0.15)


@st.composite
def matrices(
    draw: st.DrawFn,
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = random.random((rows, columns)) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    y, p = random.random((rows, columns)), random.random((rows, columns))
    y[~mask] = np.nan  # what is not observed may be anything
    p[~mask] = -7
    return y, p, mask


@given(matrices())
def test_errors_of_means(
    given_: tuple[Floats, Floats, NDArray[np.bool_]],
) -> None:
    y, p, mask = given_
    for measured, (outcomes, chances, seen) in (
        (metrics.rmse_of_models(y, p, mask), (y, p, mask)),
        (metrics.rmse_of_items(y, p, mask), (y.T, p.T, mask.T)),
    ):
        errors = [
            outcomes[row, seen[row]].mean() - chances[row, seen[row]].mean()
            for row in range(len(seen))
            if seen[row].any()
        ]
        if errors:
            assert measured == pytest.approx(math.sqrt(np.mean(np.square(errors))), abs=1e-12)
        else:
            assert math.isnan(measured)


@given(matrices())
def test_all_at_once_is_each_alone(
    given_: tuple[Floats, Floats, NDArray[np.bool_]],
) -> None:
    y, p, mask = given_
    found = holdout_metrics(y, p, mask)
    seen, told_ = y[mask], p[mask]
    there = mask.any(axis=1)
    means = [
        np.where(mask, each, 0)[there].sum(axis=1) / mask[there].sum(axis=1) for each in (y, p)
    ]
    expected = {
        "accuracy": metrics.accuracy(seen, told_),
        "auc": metrics.auc(seen, told_),
        "log_loss": metrics.log_loss(seen, told_),
        "rmse": metrics.rmse(seen, told_),
        "rmse_m": metrics.rmse_of_models(y, p, mask),
        "rmse_q": metrics.rmse_of_items(y, p, mask),
        "calibration_error": metrics.calibration_error(seen, told_),
        "kendall_tau": metrics.kendall_tau(means[0], means[1]),
    }
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, nan_ok=True)


def test_nothing_to_measure_on_is_nan() -> None:
    found = holdout_metrics(np.ones((2, 3)), np.ones((2, 3)), np.zeros((2, 3), bool))
    assert all(math.isnan(value) for value in found.values())
    assert math.isnan(metrics.kendall_tau(np.array([1.0, 1.0]), np.array([1.0, 2.0])))


def test_orders() -> None:
    rising = np.arange(5.0)
    assert metrics.kendall_tau(rising, rising * 3 + 1) == pytest.approx(1)
    assert metrics.kendall_tau(rising, -rising) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0.0, 1.0], [0.5], "outcomes (2,), but predictions (1,)"),
        ([0.0, math.nan], [0.5, 0.5], "All outcomes must be in [0, 1]"),
        ([0.0, 2.0], [0.5, 0.5], "All outcomes must be in [0, 1]"),
        ([0.0, 1.0], [0.5, math.nan], "All predictions must be in [0, 1]"),
        ([0.0, 1.0], [0.5, -0.1], "All predictions must be in [0, 1]"),
    ],
)
def test_what_cannot_be_measured_is_said(y: list[float], p: list[float], message: str) -> None:
    for metric in (metrics.accuracy, metrics.auc, metrics.log_loss, metrics.rmse):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
            metric(np.array(y), np.array(p))
        assert message in str(error.value)


def test_other_bad_input() -> None:
    flat, square = np.ones(3), np.ones((2, 2))
    with pytest.raises(ValueError, match="matrices of the same models by the same items"):
        holdout_metrics(square, square, np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="matrices of the same models"):
        holdout_metrics(flat, flat, np.ones(3, bool))
    with pytest.raises(ValueError, match="at least one bin"):
        metrics.calibration_error(flat, flat, bins=0)
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.kendall_tau(flat, np.ones(2))
    with pytest.raises(ValueError, match="has no rank"):
        metrics.kendall_tau(flat, np.array([1, 2, math.nan]))


def test_single_precision_is_sure_of_nothing() -> None:
    y, p = np.zeros(1, np.float32), np.ones(1, np.float32)
    assert metrics.log_loss(y, p) == pytest.approx(-math.log(np.finfo(np.float32).eps), rel=1e-6)


def test_summary() -> None:
    found = metrics.summary([0.1, 0.2, 0.3])
    # t(0.975, 2) = 4.303, s = 0.1, n = 3
    assert found.mean == pytest.approx(0.2)
    assert found.seeds == 3
    assert found.upper - found.mean == pytest.approx(4.3026527 * 0.1 / math.sqrt(3))
    assert found.mean - found.lower == pytest.approx(found.upper - found.mean)
    one = metrics.summary([0.5])
    assert one.mean == 0.5
    assert one.seeds == 1
    assert math.isnan(one.lower)
    assert math.isnan(one.upper)
    assert math.isnan(metrics.summary([0.5, math.nan]).mean)
    with pytest.raises(ValueError, match="at least one seed"):
        metrics.summary([])


def test_600_000_cells_take_no_time() -> None:
    random = np.random.default_rng(0)
    p = random.random((300, 2000), np.float32)
    y = (random.random(p.shape) < p).astype(np.float32)
    mask = np.ones(p.shape, bool)
    holdout_metrics(y[:2, :2], p[:2, :2], mask[:2, :2])  # scipy is imported
    spent = []
    for _ in range(3):
        start = time.process_time()
        found = holdout_metrics(y, p, mask)
        spent.append(time.process_time() - start)
    assert min(spent) < 1.0  # of the processor; 0.2 s where nothing else runs
    assert found["calibration_error"] < 0.01
    assert found["auc"] == pytest.approx(5 / 6, abs=0.01)
