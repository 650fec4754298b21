"""Values of items as outcomes of a stated score."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.evaluations.formats.means import outcomes_of
from registry.evaluations.records import Measure

SHARE = Measure(metric="acc")
PERCENT = Measure(metric="acc", upper=100.0)
ERRORS = Measure(metric="ece", higher_is_better=False)
UNKNOWN = Measure(metric="x", lower=None, upper=None, higher_is_better=None)
LOSS = Measure(metric="loss", lower=None, upper=None, higher_is_better=False)


@pytest.mark.parametrize(
    ("measure", "score", "values", "expected"),
    [
        (SHARE, 0.5, [1, 0], [1, 0]),
        (SHARE, 0.5, [1, math.nan, 0], [1, math.nan, 0]),
        (SHARE, 0.4, [1, 0], None),
        (SHARE, 1.0, [2, 0], None),
        (SHARE, math.nan, [1, 0], None),
        (SHARE, 0.5, [math.nan], None),
        (SHARE, 0.5, [], None),
        (SHARE, math.inf, [math.inf], None),
        (PERCENT, 50, [100, 0], [1, 0]),
        (ERRORS, 0.25, [0.5, 0], [0.5, 1]),
        (UNKNOWN, 0.5, [1, 0], [1, 0]),
        (UNKNOWN, 1.5, [1, 2], None),
        (LOSS, 0.5, [1, 0], None),
    ],
)
def test_outcomes(
    measure: Measure, score: float, values: list[float], expected: list[float] | None
) -> None:
    found = outcomes_of(measure, score, values)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_equal(found, np.array(expected, np.float32))


@given(values=st.lists(st.floats(0, 100), min_size=1), measure=st.sampled_from([PERCENT, UNKNOWN]))
def test_the_mean_of_outcomes_is_the_score(values: list[float], measure: Measure) -> None:
    score = sum(values) / len(values)
    found = outcomes_of(measure, score, values)
    if found is not None:
        assert measure.raw(float(found.astype(np.float64).mean())) == pytest.approx(score, abs=1e-4)
    else:
        assert measure is UNKNOWN
        assert max(values) > 1
