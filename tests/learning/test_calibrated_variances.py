"""Factors on variances, learned from held-out outcomes of generated models."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from registry.learning.axes import Axes
from registry.learning.calibrated_variances import (
    LEAST_CELLS,
    LEAST_ITEMS,
    LEAST_MEANS,
    Cells,
    IntervalFigures,
    factor_of,
    learn_intervals,
)
from registry.learning.coldstart.fold_in import ItemParameters, fold
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.variance_scales import (
    LEAST_FOLDED,
    ROUNDS,
    Placing,
    VarianceScales,
    learn_scales,
)
from registry.learning.factorization.problem import Factors
from registry.learning.intervals import expected, mean_outcome
from registry.learning.metrics import calibration_error

MODELS, ITEMS, D = 300, 160, 3
PRIOR = np.array([[1.0, 0.4, 0.0], [0.4, 0.6, 0.1], [0.0, 0.1, 0.3]])


class Generated(NamedTuple):
    factors: Factors
    truth: NDArray[np.float64]
    cells: Cells
    axes: Axes


def generated(*, spread: float = 0.3, own: float = 0.0) -> Generated:
    """Vectors off by `spread` prior standard deviations; logits of items off by variance `own`."""
    rng = np.random.default_rng(5)
    root = np.linalg.cholesky(PRIOR)
    true = rng.normal(size=(MODELS, D)) @ root.T
    # All items are of one kind on the whole, so that errors of their logits go together.
    items = np.array([1.0, 0.7, 0.0]) + 0.5 * rng.normal(size=(ITEMS, D))
    offsets = rng.normal(size=ITEMS)
    logits = true @ items.T + offsets + np.sqrt(own) * rng.normal(size=(MODELS, ITEMS))
    outcomes = (rng.random(logits.shape) < expit(logits)).astype(np.float64)
    served = true + spread * rng.normal(size=(MODELS, D)) @ root.T
    axes = Axes.of(PRIOR, items.T @ items / ITEMS / 6)
    factors = Factors(
        served.astype(np.float32),
        items.astype(np.float32),
        offsets.astype(np.float32),
        axes=axes.directions,
        variances=np.full((MODELS, D), spread**2, np.float32),
    )
    rows, columns = np.nonzero(rng.random(logits.shape) < 0.3)
    groups = np.arange(ITEMS) % 2
    return Generated(factors, outcomes, Cells(rows, columns, outcomes[rows, columns], groups), axes)


def shrunk(factors: Factors, divisor: float) -> Factors:
    assert factors.variances is not None
    return replace(factors, variances=(factors.variances / divisor).astype(np.float32))


def test_right_variances_are_left_as_they_are() -> None:
    made = generated()
    figures = learn_intervals(made.factors, made.cells)
    assert figures is not None
    assert figures.item_variance <= 0.2
    assert 1 <= figures.scale < 1.3
    assert figures.coverage == pytest.approx(0.9, abs=0.045)
    assert figures.calibration_error < 0.02
    assert (figures.means, figures.cells) == (2 * MODELS, len(made.cells.outcomes))


def test_variances_that_are_too_small_are_scaled_up() -> None:
    made = generated(spread=0.6)
    figures = learn_intervals(shrunk(made.factors, 3), made.cells)
    assert figures is not None
    assert figures.scale > 1.7
    assert figures.coverage == pytest.approx(0.9, abs=0.04)
    within = learn_intervals(shrunk(made.factors, 300), made.cells)
    assert within is not None
    assert within.scale == 4


def test_variances_are_stored_as_scaled() -> None:
    figures = IntervalFigures(0.0, 2.5, 0.9, 0.01, 40, 400)
    assert figures.scaled(np.array([[2.0, 4.0]], np.float32)).tolist() == [[5, 10]]


def test_each_half_is_measured_by_what_the_other_says() -> None:
    """Models in even rows are too sure, so that the halves say different things."""
    made = generated()
    vectors = made.factors.models.copy()
    vectors[::2] *= 2
    factors, cells = replace(made.factors, models=vectors), made.cells
    assert factors.variances is not None
    figures = learn_intervals(factors, cells)
    assert figures is not None
    logits = vectors.astype(np.float64) @ factors.items.T + factors.offsets
    spread = factors.variances @ made.axes.squares(factors.items.astype(np.float64)).T
    found, own = [], []
    for half in (0, 1):
        ours, theirs = cells.models % 2 == half, cells.models % 2 != half
        other = learn_intervals(factors, subset(cells, theirs))
        assert other is not None
        own.append(other.item_variance)
        total = other.scale * spread + other.item_variance
        found.append(expected(logits, total)[cells.models[ours], cells.items[ours]])
    assert own[1] > own[0] + 0.5
    outcomes = [cells.outcomes[cells.models % 2 == half] for half in (0, 1)]
    error = calibration_error(np.concatenate(outcomes), np.concatenate(found))
    assert figures.calibration_error == pytest.approx(error, abs=1e-4)


def subset(cells: Cells, chosen: NDArray[np.bool_]) -> Cells:
    return Cells(cells.models[chosen], cells.items[chosen], cells.outcomes[chosen], cells.groups)


def test_means_of_few_outcomes_and_other_benchmarks_are_kept_apart() -> None:
    made = generated()
    chosen = made.cells.models < 4
    rows, columns = made.cells.models[chosen], made.cells.items[chosen]
    # Model 0 has four outcomes of the first benchmark, one fewer than a mean takes.
    first = made.cells.groups[columns] == 0
    drop = np.flatnonzero((rows == 0) & first)[LEAST_ITEMS - 1 :]
    keep = np.setdiff1d(np.arange(len(rows)), drop)
    cells = Cells(rows[keep], columns[keep], made.cells.outcomes[chosen][keep], made.cells.groups)
    figures = learn_intervals(made.factors, cells)
    assert figures is not None
    assert figures.means == 4 * 2 - 1
    keep = np.append(keep, drop[0])
    more = Cells(rows[keep], columns[keep], made.cells.outcomes[chosen][keep], made.cells.groups)
    figures = learn_intervals(made.factors, more)
    assert figures is not None
    assert figures.means == 4 * 2


def test_what_items_leave_open_is_their_own_variance() -> None:
    made = generated(own=1.7)
    figures = learn_intervals(made.factors, made.cells)
    assert figures is not None
    assert 0.9 <= figures.item_variance <= 2.5
    assert figures.calibration_error < 0.02
    count = LEAST_CELLS // 2
    cells = made.cells
    few = Cells(cells.models[:count], cells.items[:count], cells.outcomes[:count], cells.groups)
    sure = replace(made.factors, models=made.factors.models * np.float32(4))
    every = np.arange(len(cells.models))
    for number, known in ((LEAST_CELLS, True), (LEAST_CELLS - 1, False)):
        found = learn_intervals(sure, subset(cells, every < number))
        assert found is not None
        assert (found.item_variance > 0) is known
    unknown = learn_intervals(made.factors, few)
    assert unknown is not None
    assert (unknown.item_variance, unknown.scale) == (0.0, 1.0)


def test_vectors_without_variances_have_no_figures_and_no_cells_no_coverage() -> None:
    made = generated()
    assert learn_intervals(replace(made.factors, variances=None), made.cells) is None
    none = Cells(*(np.zeros(0, np.intp),) * 2, np.zeros(0), made.cells.groups)
    figures = learn_intervals(made.factors, none)
    assert figures is not None
    assert np.isnan(figures.coverage)
    assert np.isnan(figures.calibration_error)


def test_the_factor_is_the_conformal_quantile_within_its_range() -> None:
    excesses = np.arange(1, 41) / 10
    assert factor_of(excesses) == 3.7
    assert factor_of(excesses[:LEAST_MEANS]) == 2.8
    assert factor_of(excesses[: LEAST_MEANS - 1]) == 1
    assert factor_of(excesses * 10) == 10
    assert factor_of(excesses * 0 - np.inf) == 0.1


def left_out(made: Generated, factor: float) -> VectorEstimate:
    """Predictions that know nothing, and give `factor` times their errors' variances."""
    variance = np.tile(factor * PRIOR.diagonal(), (MODELS, 1))
    along = made.axes.of_prior(variance, PRIOR)
    return VectorEstimate(np.zeros((MODELS, D)), variance, np.ones(MODELS), along)


@pytest.mark.parametrize(("factor", "low", "high"), [(1, 0.75, 1.3), (4, 0.1, 0.4)])
def test_scales_of_models_without_outcomes_are_learned(
    factor: float, low: float, high: float
) -> None:
    made = generated()
    deviation = np.sqrt(PRIOR.diagonal())
    correlation = PRIOR / np.outer(deviation, deviation)
    items = ItemParameters(made.factors.items, made.factors.offsets)
    placing = Placing(items, correlation, None, made.axes)
    scales = learn_scales(left_out(made, factor), made.truth, np.arange(ITEMS) % 2, placing)
    # With 160 items, a hundred outcomes leave too few to predict.
    assert scales.counts == (0, 10, 50)
    assert low <= scales.factors[0] <= high
    assert min(scales.factors[1:]) >= LEAST_FOLDED
    middle = scales.of(np.array([0, 10, 22, 1_000]))
    assert middle[:2] == pytest.approx(scales.factors[:2])
    assert middle[3] == scales.factors[2]
    assert min(scales.factors[1:]) <= middle[2] <= max(scales.factors[1:])


def test_factors_are_of_hidden_outcomes_after_a_fold_in_of_flattened_items() -> None:
    """The first round again, by hand, for models that are predicted as if nearly known."""
    made = generated(own=1.0)
    items = ItemParameters(made.factors.items, made.factors.offsets)
    deviation = np.sqrt(PRIOR.diagonal())
    placing = Placing(items, PRIOR / np.outer(deviation, deviation), 4.0, made.axes, 1.0)
    groups = np.arange(ITEMS) % 2
    prior = left_out(made, 0.2)
    scales = learn_scales(prior, made.truth, groups, placing, seed=3)
    assert scales.counts == (0, 10, 50)
    ranks = np.random.default_rng(3).random(made.truth.shape).argsort(1).argsort(1)
    shown = np.where(ranks < 50, made.truth, np.nan)
    folded = fold(
        prior,
        items.flattened(1.0),
        shown,
        placing.correlation,
        degrees=4.0,
        axes=made.axes,
    )
    assert folded.along is not None
    logits = folded.mean @ items.vectors.T + items.offsets
    sides = items.vectors @ made.axes.directions
    factor = 1.0
    for _ in range(ROUNDS):
        excesses = []
        for row, outcomes in enumerate(made.truth):
            for group in (0, 1):
                rest = np.flatnonzero((groups == group) & np.isnan(shown[row]))
                mean = mean_outcome(logits[row, rest], sides[rest], factor * folded.along[row], 1.0)
                excesses.append(mean.excess(float(outcomes[rest].mean())))
        factor *= factor_of(np.array(excesses))
    assert factor > LEAST_FOLDED
    assert scales.factors[2] == pytest.approx(factor)


def test_too_few_models_leave_variances_as_they_are() -> None:
    assert VarianceScales().of(np.array([0, 5])).tolist() == [1, 1]
    made = generated()
    items = ItemParameters(made.factors.items, made.factors.offsets)
    placing = Placing(items, np.eye(D), None, made.axes)
    whole = left_out(made, 1)
    assert whole.along is not None
    few = VectorEstimate(whole.mean[:5], whole.variance[:5], whole.support[:5], whole.along[:5])
    assert learn_scales(few, made.truth[:5], np.zeros(ITEMS, np.intp), placing) == VarianceScales()
