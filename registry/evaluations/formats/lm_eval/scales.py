"""Scales of scores and outcomes in lm-eval's files, and conversion to and from them."""

from registry.evaluations.records import Measure
from registry.evaluations.scales import known_measure


def in_samples(measure: Measure) -> Measure:
    """Return the scale of a measure's outcomes in files of samples: the metric's usual one, if any.

    lm-eval has no percentages. Where a metric has no usual scale, the source's own is used.
    """
    own = known_measure(measure.metric, measure.filter, higher_is_better=measure.higher_is_better)
    return measure if own.width is None else own


def in_results(measure: Measure) -> Measure:
    """Return the scale of a measure's scores in results files; without bounds it stays as it is."""
    return measure if measure.width is None else in_samples(measure)


def rescaled(
    score: float, error: float | None, stated: Measure, target: Measure
) -> tuple[float, float | None]:
    """Return a score and its standard error, converted from one scale to another."""
    share = stated.normalised(score)
    if share is None or stated.width is None or target.width is None:
        return score, error
    if (stated.lower, stated.upper) == (target.lower, target.upper):
        return score, error
    return target.raw(share), None if error is None else error * target.width / stated.width
