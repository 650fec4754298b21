"""Corrections of p-values for many tests."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from registry.learning.statistics.corrections import Method, corrected


def test_holm_multiplies_by_the_tests_that_are_left() -> None:
    found = corrected(np.array([0.03, 0.01, np.nan, 0.5]), "holm")
    assert found[[0, 1, 3]] == pytest.approx([0.06, 0.03, 0.5])
    assert np.isnan(found[2])


def test_the_rate_of_false_findings_is_by_rank() -> None:
    found = corrected(np.array([0.03, 0.01, np.nan, 0.5]), "fdr_bh")
    assert found[[0, 1, 3]] == pytest.approx([0.045, 0.03, 0.5])


def test_without_tests_there_is_nothing() -> None:
    assert np.isnan(corrected(np.array([np.nan]), "holm")).all()
    assert len(corrected(np.zeros(0), "holm")) == 0


@pytest.mark.parametrize("method", ["holm", "fdr_bh"])
def test_corrections_are_those_of_statsmodels(method: Method) -> None:
    rng = np.random.default_rng(5)
    for p in (rng.random(40) ** 4, rng.integers(0, 5, 30) / 40, np.ones(3), np.zeros(2)):
        expected = multipletests(p, method=method)[1]
        assert corrected(p, method) == pytest.approx(list(expected), rel=1e-12)
