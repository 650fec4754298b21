"""Studentized range: the distribution of the largest difference of k means, by its standard error.

scipy's integrates adaptively, one value at a time: a twentieth of a second for a probability, half
a second for a quantile. Here the probability that the range of k normal values is wider is
interpolated, once for each k, and integrated over the estimated standard deviation for all values
at once (the integrals of Lund and Lund 1983, Algorithm AS 190). Both integrals are by the
trapezoidal rule, which for such integrands converges as fast as any (Trefethen and Weideman 2014,
section 5).
"""

from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev

from registry.learning.arrays import Reals

WIDEST = 17.0
"""Range of normal values in standard deviations; of a thousand, none is wider with a probability
that counts beside 1e-16."""

COEFFICIENTS = 160
"""Degree of the interpolation over it."""

FARTHEST, NORMAL_STEP = 9.0, 0.05
"""Largest value and step of the integral over normal values; 1e-19 lie beyond."""

NEGLIGIBLE = 37.0
"""Negative logarithm of the density, by its maximum, at which the integral over the deviation ends:
1e-16."""

DEVIATION_STEP, LEAST_STEPS = 0.075, 64
"""Step of that integral at most, and steps at least."""

MOST_FREEDOM = 1e10
"""Degrees of freedom from which on more make no difference."""


def studentized_range_sf(range_: Reals, number: int, df: Reals) -> Reals:
    """Return the probability of a wider studentized range, exact to 1e-12 for 200 means or fewer.

    Args:
        range_: P, 0 or more, in standard errors.
        number: of means, 2 or more.
        df: P, degrees of freedom of the standard errors, above 0.

    Returns:
        P, in [0, 1].
    """
    deviations, weights = _deviations(df)
    wider = _wider(number, np.asarray(range_, np.float64)[:, None] * deviations)
    return np.asarray(np.clip((wider * weights).sum(axis=1), 0, 1), np.float64)


def studentized_range_isf(above: float, number: int, df: Reals) -> Reals:
    """Return the studentized ranges that are exceeded with a probability.

    Args:
        above: probability, in (0, 1).
        number: of means, 2 or more.
        df: P, degrees of freedom of the standard errors, above 0.

    Returns:
        P, in standard errors.
    """
    # Slow to import.
    from scipy.optimize import elementwise  # noqa: PLC0415
    from scipy.special import stdtrit  # noqa: PLC0415

    # Of two means it is Student's t by a factor; of more at least as much, and by Bonferroni's
    # inequality at most that of as many pairs.
    pairs = number * (number - 1) / 2
    ends = [
        np.log(-np.sqrt(2) * stdtrit(df, above / (2 * count))) + shift
        for count, shift in ((1, -1e-6), (pairs, 1e-6))
    ]
    found = elementwise.find_root(
        lambda logarithm, freedom: studentized_range_sf(np.exp(logarithm), number, freedom) - above,
        tuple(ends),
        args=(df,),
        tolerances={"xrtol": 1e-13, "xatol": 1e-13},
    )
    return np.exp(np.asarray(found.x, np.float64))


def _deviations(df: Reals) -> tuple[Reals, Reals]:
    """Return estimates of a standard deviation of 1, and their weights, P x N each.

    The rule is over the logarithm u, of which the density is that of exp(df (u - exp(2 u) / 2)),
    from where it is negligible to where it is again.
    """
    from scipy.special import lambertw  # noqa: PLC0415 - slow to import

    df = np.minimum(df, MOST_FREEDOM)[:, None]
    ends = [
        np.log(-lambertw(-np.exp(-1 - 2 * NEGLIGIBLE / df), branch).real) / 2 for branch in (0, -1)
    ]
    steps = max(LEAST_STEPS, int(np.ceil((ends[1] - ends[0]).max(initial=0) / DEVIATION_STEP)))
    at = ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, steps + 1)
    weights = np.exp(df * (at - np.expm1(2 * at) / 2))
    return np.exp(at), weights / weights.sum(axis=1, keepdims=True)


def _wider(number: int, width: Reals) -> Reals:
    """Return the probability that the range of normal values is wider."""
    return np.asarray(_interpolated(number)(np.minimum(width, WIDEST)), np.float64)


@cache
def _interpolated(number: int) -> Chebyshev:
    """Return the probability that the range of `number` normal values is wider, by its width."""
    return Chebyshev.interpolate(
        lambda width: _exceeded(number, width), COEFFICIENTS, domain=[0, WIDEST]
    )


def _exceeded(number: int, width: Reals) -> Reals:
    """Integrate it over the largest value: all others are below, and not all within the width."""
    from scipy.special import ndtr  # noqa: PLC0415 - slow to import

    largest = np.arange(-FARTHEST, FARTHEST + NORMAL_STEP, NORMAL_STEP)
    density = np.exp(-(largest**2) / 2) / np.sqrt(2 * np.pi)
    below = ndtr(largest)
    within = below - ndtr(largest - width[:, None])
    missed = below ** (number - 1) - within ** (number - 1)
    return np.asarray(number * NORMAL_STEP * (density * missed).sum(axis=1), np.float64)
