"""Scorecards: every metric of a router, against the functions that they are made of."""

from dataclasses import replace

import numpy as np
import pytest

from registry.learning import metrics
from registry.learning.routing.picks import at, cost_weights, pick_at
from registry.learning.routing_evaluation import cost_metrics, pick_metrics
from registry.learning.routing_evaluation.scorecard import METRICS, HeldOutPrompts, score_router

NAN = float("nan")


def held_out(models: int = 4) -> tuple[HeldOutPrompts, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, (150, models))
    expected = np.linspace(1e-3, 9e-3, models)
    held = HeldOutPrompts(
        items=rng.permutation(np.repeat(np.arange(75), 2)),
        clusters=np.repeat(np.arange(15), 10),
        splits=np.repeat([0, 1, 2], 50),
        outcomes=(rng.random((150, models)) < truth).astype(np.float32),
        costs=expected * rng.uniform(0.5, 1.5, (150, models)),
        expected_costs=np.tile(expected, (150, 1)),
        best_single=np.repeat([1, 1, 0], 50),
    )
    return held, truth.astype(np.float32)


def test_every_metric_is_that_of_its_function() -> None:
    held, p = held_out()
    card = score_router(held, p, replicates=20)
    y, c = np.asarray(held.outcomes, np.float64), held.costs
    picks = p.argmax(axis=1)
    routed, best = float(at(y, picks).mean()), float(at(y, held.best_single).mean())
    oracle, random = float(y.max(axis=1).mean()), float(y.mean())
    chosen = [pick_at(p, held.expected_costs, w) for w in cost_weights(held.expected_costs)]
    curve = cost_metrics.Curve(
        np.array([at(c, each).mean() for each in chosen]),
        np.array([at(y, each).mean() for each in chosen]),
    )
    paid, paid_best = float(at(c, picks).mean()), float(at(c, held.best_single).mean())
    optimal = cost_metrics.optimality(y, c, picks)
    frequencies = np.bincount(picks, minlength=4) / 150
    split = [slice(0, 50), slice(50, 100), slice(100, 150)]
    of_models = [
        metrics.calibration_error(y[:, model], p[:, model].astype(np.float64)) for model in range(4)
    ]
    expected = {
        "avg_acc": routed,
        "over_best_single": routed - best,
        "over_same_frequencies": routed - float((y @ frequencies).mean()),
        "gain_at_r": routed / random - 1,
        "gain_at_b": routed / best - 1,
        "gap_at_o": 1 - routed / oracle,
        "gap_closed": (routed - best) / (oracle - best),
        "spearman": float(np.nanmean(pick_metrics.spearman_by_prompt(p, y))),
        "ndcg_5": float(np.nanmean(pick_metrics.ndcg_by_prompt(p, y))),
        "within_prompt_auc": float(np.nanmean(pick_metrics.auc_by_prompt(p, y))),
        "auc": float(np.mean([metrics.auc(y[s].ravel(), p[s].ravel()) for s in split])),
        "log_loss": metrics.log_loss(y.ravel(), p.ravel().astype(np.float64)),
        "calibration_error": float(
            np.mean([metrics.calibration_error(y[s].ravel(), p[s].ravel()) for s in split])
        ),
        "model_calibration_error": float(np.median(of_models)),
        "worst_calibration_error": max(of_models),
        "cost_per_1000": 1000 * paid,
        "perf_gain": cost_metrics.perf_gain(curve, best),
        "cost_save": cost_metrics.cost_save(curve, best, paid_best),
        "quality_gain": cost_metrics.quality_gain(curve, best, paid_best),
        "aiq": cost_metrics.aiq(curve, float(c[:, 0].mean()), float(c[:, 3].mean())),
        "arena_score": cost_metrics.arena_score(routed, 1000 * paid),
        "optimal_selection": optimal.selection,
        "optimal_cost": optimal.cost,
        "optimal_accuracy": optimal.accuracy,
    }
    assert {name: each.value for name, each in card.estimates.items()} == pytest.approx(expected)
    assert card.calibration == pytest.approx(of_models)
    assert set(expected) == set(METRICS) - {
        "pareto_dist",
        "models_dominated",
        "robustness",
        "apgr",
        "cpt_50",
        "cpt_80",
    }
    for name, each in card.estimates.items():
        if name in {"model_calibration_error", "worst_calibration_error"}:
            continue  # of all splits together
        assert each.lower <= each.upper, name
        assert np.isfinite([each.lower, each.upper]).all(), name
    assert card.curve is not None
    assert np.allclose(card.curve.costs, curve.costs)
    assert card.pick_rates == pick_metrics.pick_rates(held.outcomes, picks)
    assert (card.confusion == pick_metrics.confusion(held.outcomes, picks)).all()


def test_a_router_of_some_models_has_no_rankings() -> None:
    held, p = held_out()
    some = np.where(np.arange(4) == 2, p, np.float32(NAN))
    names = score_router(held, some, replicates=5).estimates
    assert "avg_acc" in names
    assert "cost_per_1000" in names
    assert {"spearman", "auc", "log_loss"}.isdisjoint(names)
    # It never gets as cheap as the cheapest model.
    assert "aiq" not in names


def test_without_all_prices_costs_are_not_compared() -> None:
    held, p = held_out()
    costs = held.costs.copy()
    costs[7, 1] = NAN
    card = score_router(replace(held, costs=costs), p, replicates=5)
    assert card.curve is None
    assert "cost_save" not in card.estimates
    assert "avg_acc" in card.estimates


def test_two_models_are_strong_and_weak() -> None:
    held, p = held_out(2)
    card = score_router(held, p, replicates=5)
    each = []
    for split in range(3):
        rows = np.flatnonzero(held.splits == split)
        strong = int(held.best_single[rows[0]])
        y, q = held.outcomes[rows], p[rows]
        each.append(
            cost_metrics.strong_weak(
                q[:, strong] - q[:, 1 - strong], y[:, 1 - strong], y[:, strong]
            )
        )
    for name in ("apgr", "cpt_50", "cpt_80"):
        values = [getattr(one, name) for one in each]
        if np.isfinite(values).all():
            assert card.estimates[name].value == pytest.approx(np.mean(values))
        else:
            assert name not in card.estimates
    assert np.isfinite([one.apgr for one in each[:2]]).any()


def test_splits_are_joined() -> None:
    held, _ = held_out()
    parts = [
        HeldOutPrompts(*(getattr(held, name)[rows] for name in HeldOutPrompts.__slots__))
        for rows in (slice(0, 90), slice(90, 150))
    ]
    joined = HeldOutPrompts.joined(parts)
    for name in HeldOutPrompts.__slots__:
        assert (getattr(joined, name) == getattr(held, name)).all()
