"""Scales of known measures: their bounds, and whether higher is better.

A scale is a fact of the metric, or of the task that states it, or the file's own statement for all
of it; it is never read off a single value. A metric that is in no table has neither bounds nor a
direction.
"""

from dataclasses import replace

from registry.evaluations.records import Measure
from registry.evaluations.scales.metrics import percentages, scale_of, states_percent
from registry.evaluations.scales.tasks import scale_by_task

LM_EVAL = "lm-eval"


def known_measure(
    metric: str,
    filter: str = "",  # noqa: A002 - as Measure calls it
    *,
    task: str = "",
    harness: str | None = None,
    higher_is_better: bool | None = None,
) -> Measure:
    """Return the measure of a metric, with the scale of its task, or the usual one of its name.

    Names keep their spelling; case, spaces and signs do not count in the look-up.

    Args:
        metric: such as acc, exact_match, word_perplexity.
        filter: how answers were extracted; empty for none.
        task: name of the benchmark, whose own scale comes before the metric's usual one.
        harness: the program that states the score, for scales that only it uses.
        higher_is_better: as the source states it, before the table; None where it does not. A
            harness that states the other direction of a perplexity or an error is not followed.

    Returns:
        A measure with bounds where they are known, and a direction where it is.
    """
    scale = (scale_by_task(task, metric, harness) if task else None) or scale_of(metric)
    by_name = states_percent(metric) or states_percent(task)
    if by_name and scale.lower is not None:
        scale = percentages(scale)
    follows = higher_is_better is not None and not (scale.by_definition and harness == LM_EVAL)
    return Measure(
        metric=metric,
        filter=filter,
        lower=scale.lower,
        upper=scale.upper,
        higher_is_better=higher_is_better if follows else scale.higher_is_better,
        unit=scale.unit,
        assumed=not by_name,
    )


def in_percent(measure: Measure) -> Measure:
    """Return a measure in percent: its bounds times 100; without bounds, itself."""
    if measure.lower is None or measure.upper is None:
        return measure
    return replace(measure, lower=100 * measure.lower, upper=100 * measure.upper, unit="%")
