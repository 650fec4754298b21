"""On which scales lm-eval's files hold scores and outcomes, and how to get there and back."""

from registry.evaluations.records import Measure
from registry.evaluations.scales import known_measure


def in_samples(measure: Measure) -> Measure:
    """Return the scale on which a measure's outcomes stand: that which is commonly meant, if any.

    lm-eval knows no percent. Where nothing is commonly meant, the source's own scale serves.
    """
    own = known_measure(measure.metric, measure.filter, higher_is_better=measure.higher_is_better)
    return measure if own.width is None else own


def in_results(measure: Measure) -> Measure:
    """Return the scale on which a measure's scores stand; what has no bounds stays as it is."""
    return measure if measure.width is None else in_samples(measure)


def rescaled(
    score: float, error: float | None, stated: Measure, wanted: Measure
) -> tuple[float, float | None]:
    """Return a score and its standard error, stated on one scale, on another with bounds."""
    share = stated.normalised(score)
    if share is None or stated.width is None or wanted.width is None:
        return score, error
    if (stated.lower, stated.upper) == (wanted.lower, wanted.upper):
        return score, error
    return wanted.raw(share), None if error is None else error * wanted.width / stated.width
