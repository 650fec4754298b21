"""Intervals of outcomes and of mean outcomes, given the uncertainty of a model's vector.

A logit is normal, with the variance that `registry.learning.axes` gives, plus a variance that is
the item's own. The mean of a logistic function of it is by the probit approximation (MacKay, The
evidence framework applied to classification networks, 1992). Errors of one model's logits on
several items are correlated, so the variance of its mean outcome is that of a projection of its
vector; outcomes vary about their probabilities as well.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from registry.learning.arrays import Reals

LEVEL = 0.9
"""Coverage of the intervals."""

PROBIT = np.pi / 8
"""Factor of a logit's variance in the probit approximation."""


def half_width(level: float = LEVEL) -> float:
    """Return half the width of an interval of a normal distribution, in standard deviations."""
    return float(ndtri((1 + level) / 2))


def expected(logits: Reals, variances: Reals) -> Reals:
    """Return the probabilities of normal logits, any shape."""
    return np.asarray(expit(logits / np.sqrt(1 + PROBIT * variances)), np.float64)


def ends(logits: Reals, variances: Reals, level: float = LEVEL) -> tuple[Reals, Reals]:
    """Return the ends of intervals of the probabilities of normal logits, any shape."""
    reach = half_width(level) * np.sqrt(variances)
    return expit(logits - reach), expit(logits + reach)


@dataclass(frozen=True, slots=True, eq=False)
class MeanOutcome:
    """Predicted mean outcome of a model on n items, and how far it may be off.

    Attributes:
        mean: in [0, 1].
        below: reach of the interval below it by the vector's uncertainty alone, as if there were
            infinitely many such items.
        above: its reach above.
        noise: half width by which outcomes vary about their probabilities.
    """

    mean: float
    below: float
    above: float
    noise: float

    def interval(self) -> tuple[float, float]:
        """Return the ends of the interval of the mean of observed outcomes, in [0, 1]."""
        low = self.mean - np.hypot(self.below, self.noise)
        return max(float(low), 0.0), min(float(self.mean + np.hypot(self.above, self.noise)), 1.0)

    def excess(self, observed: float) -> float:
        """Return the factor on the vector's variance with which the interval ends at a mean.

        Negative where the noise alone covers it, infinite where there is no variance to scale.

        Args:
            observed: mean outcome.
        """
        error = observed - self.mean
        reach = self.above if error > 0 else self.below
        missing = error**2 - self.noise**2
        return missing / reach**2 if reach > 0 else float(np.copysign(np.inf, missing))


def mean_outcome(
    logits: Reals,
    sides: Reals,
    variances: Reals,
    item_variance: float = 0.0,
    level: float = LEVEL,
) -> MeanOutcome:
    """Predict the mean outcome of one model on n items.

    The ends of the interval are those of the mean along the direction in which the vector's error
    changes it most, other errors integrated out: means near 0 and 1 have shorter sides.

    Args:
        logits: n, at the mean of the vector.
        sides: n x k, items' vectors along the axes: `items @ directions`.
        variances: k, of the model along the axes.
        item_variance: of each logit, apart from the vector's error.
        level: of the interval.
    """
    total = np.square(sides) @ variances + item_variance
    p = expected(logits, total)
    slopes = p * (1 - p) / np.sqrt(1 + PROBIT * total)
    gradient = slopes @ sides / len(p)
    deviation = float(np.sqrt(variances @ gradient**2))
    reach = half_width(level)
    noise = reach * float(np.sqrt((p * (1 - p)).sum())) / len(p)
    mean = float(p.mean())
    if deviation <= 0:
        return MeanOutcome(mean, 0.0, 0.0, noise)
    along = sides @ (variances * gradient) / deviation
    beyond = np.maximum(total - along**2, 0)
    low, high = (float(expected(logits + sign * reach * along, beyond).mean()) for sign in (-1, 1))
    return MeanOutcome(mean, max(mean - low, 0.0), max(high - mean, 0.0), noise)
