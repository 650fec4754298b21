"""Values of items as the outcomes of a score that is stated as their mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from registry.evaluations.records import Measure, Outcomes

_CLOSE = 1e-6  # of the score: values have 7 digits


def outcomes_of(
    measure: Measure, score: float, values: Sequence[float], *, is_part: bool = False
) -> Outcomes | None:
    """Return values as outcomes in [0, 1], higher being better.

    Without bounds, values that all are in [0, 1] are outcomes, unless lower ones are better.

    Args:
        measure: of the score and of the values.
        score: as stated.
        values: one an item, NaN where it was not observed.
        is_part: whether the score is of more items, and so may be another than their mean.

    Returns:
        None unless the score is their mean, and all are within the bounds.
    """
    raw = np.array(values, np.float64)
    if not len(raw) or np.isnan(raw).all():
        return None
    if not is_part and not abs(float(np.nanmean(raw)) - score) <= _CLOSE * max(1.0, abs(score)):
        return None
    if measure.width is None:
        if measure.higher_is_better is False:
            return None
        scale = Measure(metric=measure.metric)
    else:
        scale = replace(measure, higher_is_better=measure.higher_is_better is not False)
    shares = [np.nan if np.isnan(each) else scale.normalised(each) for each in raw.tolist()]
    if any(share is None for share in shares):
        return None
    return np.array(shares, np.float32)
