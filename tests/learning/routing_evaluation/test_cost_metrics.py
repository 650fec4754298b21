"""Metrics of quality against cost, on curves whose figures can be read off."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from registry.learning.routing_evaluation import cost_metrics as metrics
from registry.learning.routing_evaluation.cost_metrics import Curve


def curve(*points: tuple[float, float]) -> Curve:
    return Curve(*(np.array(each, np.float64) for each in zip(*points, strict=True)))


STAIRS = curve((1, 0.4), (2, 0.4), (3, 0.7), (2.5, 0.5), (5, 0.8), (6, 0.75))


def test_the_hull_rises_and_is_above_every_point() -> None:
    found = metrics.hull(STAIRS)
    assert found.costs.tolist() == [1, 3, 5]
    assert found.qualities.tolist() == [0.4, 0.7, 0.8]
    assert metrics.hull(curve((1, 0.5), (2, 0.5), (1, 0.4))).costs.tolist() == [1]
    rng = np.random.default_rng(0)
    points = Curve(rng.random(200), rng.random(200))
    found = metrics.hull(points)
    assert (np.diff(found.costs) > 0).all()
    assert (np.diff(found.qualities) > 0).all()
    inside = points.costs >= found.costs[0]
    upper = np.interp(points.costs[inside], *found)
    assert (points.qualities[inside] <= upper + 1e-12).all()
    corners = ConvexHull(np.stack(points, axis=1)).points
    assert set(zip(*found, strict=True)) <= set(map(tuple, corners.tolist()))


def test_aiq_is_the_mean_height_of_the_hull() -> None:
    assert metrics.aiq(STAIRS, 1, 5) == pytest.approx((0.55 * 2 + 0.75 * 2) / 4)
    assert metrics.aiq(STAIRS, 3, 7) == pytest.approx((0.75 * 2 + 0.8 * 2) / 4)
    assert metrics.aiq(STAIRS, 2, 3) == pytest.approx(0.625)
    assert np.isnan(metrics.aiq(STAIRS, 0.5, 5))
    assert np.isnan(metrics.aiq(STAIRS, 5, 5))


def test_gains_and_savings_are_against_the_best_single_model() -> None:
    assert metrics.perf_gain(STAIRS, 0.5) == pytest.approx(0.6)
    assert metrics.cost_save(STAIRS, 0.7, 6) == pytest.approx(0.5)
    assert metrics.cost_save(STAIRS, 0.71, 6) == pytest.approx(1 / 6)
    assert metrics.cost_save(STAIRS, 0.7, 2) == 0
    assert metrics.cost_save(STAIRS, 0.9, 6) == 0
    assert np.isnan(metrics.cost_save(STAIRS, 0.7, 0))
    assert metrics.quality_gain(STAIRS, 0.6, 3) == pytest.approx(0.1)
    assert metrics.quality_gain(STAIRS, 0.6, 2.9) == pytest.approx(-0.1)
    assert np.isnan(metrics.quality_gain(STAIRS, 0.6, 0.9))


@pytest.mark.parametrize(
    ("cost", "quality", "dominated"),
    [
        (2, 0.54, True),  # by a mixture of two points
        (2, 0.56, False),
        (3, 0.7, False),  # a point of the hull itself
        (3 + 1e-12, 0.7 - 1e-15, False),  # the same, rounded
        (3.5, 0.7, True),
        (0.9, 0.1, False),
        (9, 0.8, True),
        (9, 0.81, False),
    ],
)
def test_models_are_dominated_by_mixtures_too(
    cost: float, quality: float, *, dominated: bool
) -> None:
    assert metrics.is_dominated(STAIRS, cost, quality) == dominated


def test_the_distance_to_the_frontier_is_scaled() -> None:
    everything = curve((0, 0), (10, 1), (10, 0.5), (5, 0))
    assert metrics.pareto_distance(curve((0, 0), (10, 1)), everything) == 0
    assert metrics.pareto_distance(curve((10, 0.5)), everything) == pytest.approx(0.5)
    assert metrics.pareto_distance(curve((5, 0), (0, 0)), everything) == pytest.approx(0.25)


def test_strong_and_weak() -> None:
    weak, strong = np.array([0, 0, 1, 1.0]), np.array([1, 1, 1, 0.0])
    found = metrics.strong_weak(np.array([0.9, 0.8, 0.1, 0.0]), weak, strong)
    # Recovered after 0 to 4 calls: 0, 1, 2, 2, 1.
    assert list(found) == pytest.approx([(0 / 2 + 1 + 2 + 2 + 1 / 2) / 4, 0.25, 0.25])
    worst = metrics.strong_weak(np.array([0.0, 0.1, 0.8, 0.9]), weak, strong)
    assert list(worst) == pytest.approx([(0 / 2 - 1 - 1 + 0 + 1 / 2) / 4, 1, 1])
    tied = metrics.strong_weak(np.zeros(4), weak, strong)
    assert list(tied) == pytest.approx([0.5, 0.5, 1])
    assert np.isnan(metrics.strong_weak(np.zeros(4), strong, weak)).all()


def test_arena_score() -> None:
    # haiku of RouterArena's open tenth: $0.176 per 1,000 prompts, 0.523 right.
    scaled = np.log(200 / 0.176) / np.log(200 / 0.0044)
    assert metrics.arena_score(0.523, 0.176) == pytest.approx(
        1.1 * 0.523 * scaled / (0.0523 + scaled)
    )
    assert metrics.arena_score(0.8, 1e-6) == metrics.arena_score(0.8, 0.0044)
    assert metrics.arena_score(0.8, 200) == 0
    assert metrics.arena_score(0, 500) == 0


def test_optimality_is_over_the_prompts_that_a_model_gets_right() -> None:
    outcomes = np.array([[1, 1, 0], [0, 1, 0.6], [0, 0, 0.2], [1, 0, 1]], np.float32)
    costs = np.array([[2, 1, 3], [1, 3, 3], [1, 1, 1], [4, 1, 2.0]])
    found = metrics.optimality(outcomes, costs, np.array([0, 1, 0, 1]))
    assert found.selection == pytest.approx(1 / 3)
    assert found.cost == pytest.approx((0.5 + 1 + 1) / 3)
    assert found.accuracy == pytest.approx(2 / 3.2)
    none = metrics.optimality(np.zeros((2, 2)), np.ones((2, 2)), np.array([0, 1]))
    assert np.isnan(none).all()
