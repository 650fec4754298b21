"""Scales of scores and outcomes in lm-eval's files, and conversion to and from them."""

from dataclasses import replace

from registry.evaluations.records import Measure
from registry.evaluations.scales import LM_EVAL, known_measure


def in_samples(measure: Measure) -> Measure:
    """Return the scale of a measure's outcomes in files of samples: the metric's usual one, if any.

    Most samples are shares, also of tasks that state percentages. Where a metric has no usual
    scale, the source's own is used.
    """
    own = known_measure(measure.metric, measure.filter, higher_is_better=measure.higher_is_better)
    return measure if own.width is None else own


def in_results(measure: Measure, task: str) -> Measure:
    """Return the scale of a task's scores in results files; without bounds it stays as it is."""
    if measure.width is None:
        return measure
    own = known_measure(
        measure.metric,
        measure.filter,
        task=task,
        harness=LM_EVAL,
        higher_is_better=measure.higher_is_better,
    )
    return measure if own.width is None else own


def rescaled(
    score: float, error: float | None, stated: Measure, target: Measure
) -> tuple[float, float | None]:
    """Return a score and its standard error, converted from one scale to another."""
    if stated.higher_is_better is None:
        stated = replace(stated, higher_is_better=True)
        target = replace(target, higher_is_better=True)
    share = stated.normalised(score)
    if share is None or stated.width is None or target.width is None:
        return score, error
    if (stated.lower, stated.upper) == (target.lower, target.upper):
        return score, error
    return target.raw(share), None if error is None else error * target.width / stated.width
