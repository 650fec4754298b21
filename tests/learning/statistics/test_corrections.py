"""Corrections of p-values for many tests."""

import numpy as np
import pytest

from registry.learning.statistics.corrections import corrected


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
