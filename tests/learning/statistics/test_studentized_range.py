"""The studentized range: scipy's numbers, exact ones of two means, and Monte Carlo of many."""

import numpy as np
import pytest
from scipy import stats

from registry.learning.statistics.studentized_range import (
    studentized_range_isf,
    studentized_range_sf,
)

FREEDOM = np.array([0.7, 1.0, 1.9, 3.2, 7.0, 30.0, 1e3, 1e5, 1e7])


@pytest.mark.parametrize("ratio", [0.0, 1e-3, 0.5, 2.0, 4.0, 10.0, 24.0, 500.0])
def test_of_two_means_it_is_that_of_students_t(ratio: float) -> None:
    found = studentized_range_sf(np.full(len(FREEDOM), ratio), 2, FREEDOM)
    assert found == pytest.approx(2 * stats.t.sf(ratio / np.sqrt(2), FREEDOM), abs=1e-12)


@pytest.mark.parametrize("above", [0.999, 0.5, 0.05, 1e-4])
def test_quantiles_of_two_means_are_those_of_students_t(above: float) -> None:
    expected = np.sqrt(2) * stats.t.isf(above / 2, FREEDOM)
    assert studentized_range_isf(above, 2, FREEDOM) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("number", [3, 6, 12])
def test_probabilities_are_those_of_scipy(number: int) -> None:
    range_, df = map(np.ravel, np.meshgrid([0.1, 2.0, 3.5, 5.0, 9.0], [1.0, 3.3, 20.0, 900.0]))
    expected = stats.studentized_range.sf(range_, number, df)
    assert studentized_range_sf(range_, number, df) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("number", "above"), [(3, 0.05), (12, 0.2)])
def test_quantiles_are_those_of_scipy(number: int, above: float) -> None:
    df = np.array([1.2, 41.7])
    expected = stats.studentized_range.ppf(1 - above, number, df)
    assert studentized_range_isf(above, number, df) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("number", [3, 40, 200])
@pytest.mark.parametrize("above", [0.9, 0.05, 1e-8])
def test_quantiles_are_exceeded_as_often_as_they_are_to_be(number: int, above: float) -> None:
    found = studentized_range_isf(above, number, FREEDOM)
    assert (np.diff(found) < 0).all() or above > 0.5
    assert studentized_range_sf(found, number, FREEDOM) == pytest.approx(above, rel=1e-4, abs=1e-12)


def test_range_of_two_hundred_means_is_that_of_drawn_ones() -> None:
    rng, df = np.random.default_rng(0), 6.0
    means = rng.normal(size=(20_000, 200))
    drawn = np.ptp(means, axis=1) / np.sqrt(rng.chisquare(df, 20_000) / df)
    for ratio in (4.0, 6.0, 9.0):
        expected = float((drawn > ratio).mean())
        assert studentized_range_sf(np.array([ratio]), 200, np.array([df]))[0] == pytest.approx(
            expected, abs=0.01
        )


def test_probabilities_are_from_0_to_1_however_far_the_range() -> None:
    found = studentized_range_sf(np.array([0.0, 1e-9, 1e3, np.inf]), 7, np.full(4, 50.0))
    assert found == pytest.approx(np.array([1, 1, 0, 0]), abs=1e-12)
    assert ((found >= 0) & (found <= 1)).all()
