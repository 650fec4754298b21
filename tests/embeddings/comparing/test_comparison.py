"""Figures of a comparison over its folds."""

from math import isnan, nan

import pytest

from registry.embeddings.comparing.comparison import pooled_coverage
from registry.learning.calibrated_variances import IntervalFigures


def fold(coverage: float, means: int) -> IntervalFigures:
    return IntervalFigures(
        item_variance=1, scale=1, coverage=coverage, calibration_error=0, means=means, cells=10
    )


def test_coverage_counts_each_mean_outcome_alike() -> None:
    folds = [fold(0.5, 10), fold(1.0, 30), fold(nan, 0)]
    assert pooled_coverage(folds) == pytest.approx(0.875)
    assert isnan(pooled_coverage(folds[2:]))
