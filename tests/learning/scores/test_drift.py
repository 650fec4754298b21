"""Drift: models later than all with scores are predicted with wider intervals, by measurement."""

from dataclasses import replace

import numpy as np
import pytest

from registry.learning.scores.drift import (
    DATES,
    LATEST,
    LEAST_LATER,
    MOST,
    Drift,
    dates_of,
    latest_scores,
)
from registry.learning.scores.fit import fit
from registry.learning.scores.observations import ScoreObservations

MODELS, BENCHMARKS, LATER = 90, 8, 15


def table(*, jump: float, dated: bool = True, seed: int = 0) -> ScoreObservations:
    """Models by date, of eras that features tell apart and whose abilities differ by `jump`."""
    rng = np.random.default_rng(seed)
    dates = (np.arange(MODELS) - MODELS / 2) / (MODELS / 4) + 0.01
    era = np.arange(MODELS) // LATER
    level = rng.normal(size=MODELS // LATER)[era] * jump + 0.1 * rng.normal(size=MODELS)
    values = level[:, None] + rng.normal(size=BENCHMARKS) + 0.1 * rng.normal(size=(MODELS, 8))
    similar = np.eye(MODELS // LATER)[era]
    features = np.column_stack([similar - similar.mean(axis=0), dates if dated else 0 * dates])
    rows, columns = np.nonzero(np.ones((MODELS - LATER, BENCHMARKS), bool))
    return ScoreObservations(
        rows,
        columns,
        values[rows, columns],
        np.zeros(len(rows)),
        MODELS,
        BENCHMARKS,
        features,
        [f"{place:02d}" for place in range(BENCHMARKS)],
        groups=np.array([0] * (MODELS // LATER) + [DATES]),
    )


def test_later_models_get_the_factor() -> None:
    observations = table(jump=0)
    drift = Drift.of(observations, 1.7)
    dates = dates_of(observations.features, observations.groups)
    assert drift.latest == dates[MODELS - LATER - 1]
    assert observations.groups is not None
    factors = drift.factors(observations.features, observations.groups)
    assert factors.tolist() == [1.0] * (MODELS - LATER) + [1.7] * LATER


@pytest.mark.parametrize(("measured", "factor"), [(0.4, 1), (2.5, 2.5), (50, MOST)])
def test_intervals_are_never_narrowed_nor_without_bound(measured: float, factor: float) -> None:
    assert Drift.of(table(jump=0), measured).factor == factor


def test_without_dates_nobody_is_later() -> None:
    observations = table(jump=0, dated=False)
    assert latest_scores(observations) is None
    assert Drift.of(observations, 3.0).latest == np.inf
    without = replace(observations, groups=None)
    assert latest_scores(without) is None
    assert not dates_of(without.features, without.groups).any()


def test_the_latest_fifth_of_the_models_with_dates_is_hidden() -> None:
    observations = table(jump=0)
    later = latest_scores(observations)
    assert later is not None
    models = np.unique(observations.rows[later])
    assert models.tolist() == list(range(round((MODELS - LATER) * (1 - LATEST)), MODELS - LATER))
    features = observations.features.copy()
    # Unknown dates are neither early nor late.
    features[60:70, -1] = 0
    known = replace(observations, features=features)
    later = latest_scores(known)
    assert later is not None
    assert np.unique(known.rows[later]).tolist() == [*range(52, 60), *range(70, 75)]
    few = replace(observations, features=np.where(np.arange(MODELS)[:, None] < 27, features, 0))
    assert 27 * LATEST < LEAST_LATER
    assert latest_scores(few) is None


def test_models_of_a_new_era_are_predicted_with_wider_intervals() -> None:
    same, other = (fit(table(jump=jump)).error_scales.drift.factor for jump in (0.0, 1.5))
    assert other > 1.3
    assert same < other


def test_the_factor_is_on_predictions_of_later_models_without_scores_alone() -> None:
    observations = table(jump=1.5)
    fitted = fit(observations)
    factor = fitted.error_scales.drift.factor
    assert factor > 1
    plain = replace(fitted.error_scales, drift=Drift()).scales(observations.features)
    later = np.arange(MODELS) >= MODELS - LATER
    assert np.allclose(fitted.scales[later, 0], plain[later, 0] * factor)
    assert np.allclose(fitted.scales[~later, 0], plain[~later, 0])
    assert np.allclose(fitted.scales[:, 1], plain[:, 1])
    assert np.allclose(fitted.place(observations.features[later]).scales, fitted.scales[later])
