"""Tests of the terms of additive models: whether a smooth is flat, and groups are alike.

Smooths by Wood (2013, On p-values for smooth components of an extended generalized additive model,
Biometrika 100), random effects by Wood (2013, A simple test for random effects in regression
models, Biometrika 100). Both are of quadratic forms, which are distributed as weighted sums of
chi-squared variables; the residual variance is estimated, as in F tests.
"""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals

SMALL = 1e-6
"""p below which the saddle point is taken for the integral, whose absolute error is about 1e-10."""

ROUNDING = 1e-10
"""Eigenvalue, relative to the largest, below which it is 0."""


class TermTest(NamedTuple):
    """Test of a term; nan where it is not defined.

    Attributes:
        edf: effective degrees of freedom.
        rank: degrees of freedom that the test takes from it.
        f: statistic, divided by the rank.
        p: of no effect.
    """

    edf: float
    rank: float
    f: float
    p: float


def smooth_test(
    x: Reals, beta: Reals, covariance: Reals, *, edf: float, rank: float, residual_df: float
) -> TermTest:
    """Test whether a smooth is 0 everywhere.

    Args:
        x: n x k, the smooth's columns.
        beta: k, coefficients.
        covariance: k x k, of the coefficients, Bayesian.
        edf: effective degrees of freedom.
        rank: of the test, which need not be whole: those degrees without the bias of smoothing.
        residual_df: degrees of freedom of the residual variance.
    """
    root = np.linalg.qr(x).R
    values, vectors = np.linalg.eigh(root @ covariance @ root.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int((values > values[0] * ROUNDING).sum())
    rank = min(rank, kept)
    whole = int(np.floor(rank))
    part = rank - whole
    if rank - whole < 1e-4 or whole >= kept:  # noqa: PLR2004 - but for rounding
        whole = max(round(rank), 1)
        part = 0.0
    z = (vectors.T @ (root @ beta))[:kept] / np.sqrt(values[:kept])
    if not part:
        statistic = float(z[:whole] @ z[:whole])
        return TermTest(
            edf, whole, statistic / whole, exceedance(statistic, np.ones(whole), residual_df)
        )
    if whole == 0:
        # A smooth that is pulled to nothing: one direction, weighted.
        statistic = float(z[0] ** 2)
        return TermTest(edf, 1, statistic, exceedance(statistic, np.ones(1), residual_df))
    # Section 2: the last two directions share what is beyond whole degrees; the sign of a direction
    # is arbitrary, so both are taken.
    cross = np.sqrt(part * (1 - part) / 2)
    first, second = z[whole - 1], z[whole]
    base = float(z[: whole - 1] @ z[: whole - 1]) + first**2 + part * second**2
    side = np.sqrt(1 - part**2)
    weights = np.array([*np.ones(whole - 1), (part + 1 + side) / 2, (part + 1 - side) / 2])
    both = [float(base + sign * 2 * cross * first * second) for sign in (1, -1)]
    p = float(np.mean([exceedance(each, weights, residual_df) for each in both]))
    return TermTest(edf, rank, float(np.mean(both)) / rank, p)


def random_effect_test(
    beta: Reals, covariance: Reals, null: Reals, *, edf: float, residual_df: float
) -> TermTest:
    """Test whether the groups of a random effect are alike.

    Args:
        beta: k, predicted effects.
        covariance: k x k, of the effects, Bayesian.
        null: k x k, of the predictions where there is no effect; other random effects vary.
        edf: effective degrees of freedom.
        residual_df: degrees of freedom of the residual variance.
    """
    root = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(root, beta)
    weights = np.linalg.eigvalsh(np.linalg.solve(root, np.linalg.solve(root, null).T))
    weights = weights[weights > weights.max() * ROUNDING]
    statistic = float(scaled @ scaled)
    p = exceedance(statistic, weights, residual_df)
    return TermTest(edf, len(weights), statistic / len(weights), p)


def exceedance(statistic: float, weights: Reals, df: float) -> float:
    """Return the probability that a weighted sum of chi-squared variables exceeds a value.

    Of one degree of freedom each, over an independent one divided by its degrees of freedom, as in
    an F. By Imhof's integral (1961); where that is small, by the saddle point (Kuonen 1999).

    Args:
        statistic: the value, 0 or more.
        weights: above 0.
        df: of the denominator.
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    if np.ptp(weights) < ROUNDING * weights.max():
        return float(stats.f.sf(statistic / weights.sum(), len(weights), df))
    # The sum exceeds the value where this sum, of one negative weight, exceeds 0.
    scale = float(weights.max())
    every, counts = np.append(weights / scale, -statistic / scale / df), np.ones(len(weights) + 1)
    counts[-1] = df
    p = _imhof(every, counts)
    return p if p > SMALL else _saddle_point(every, counts)


def _imhof(weights: Reals, counts: Reals) -> float:
    """Return the probability that a weighted sum of chi-squared variables is above 0."""
    from scipy.integrate import quad  # noqa: PLC0415

    def integrand(u: float) -> float:
        angle = 0.5 * float(counts @ np.arctan(weights * u))
        size = np.log(u) + 0.25 * float(counts @ np.log1p((weights * u) ** 2))
        return float(np.sin(angle) * np.exp(-size))

    found = quad(integrand, 0, np.inf, limit=400, epsabs=1e-10, epsrel=1e-8, full_output=True)[0]
    return float(np.clip(0.5 + found / np.pi, 0, 1))


def _saddle_point(weights: Reals, counts: Reals) -> float:
    """Return it where it is small, to a per cent (Lugannani and Rice 1980)."""
    from scipy import stats  # noqa: PLC0415
    from scipy.optimize import brentq  # noqa: PLC0415

    def slope(t: float) -> float:
        return float(counts @ (weights / (1 - 2 * t * weights)))

    limit = 0.5 / weights.max()
    if slope(0.0) >= 0:
        return 0.5
    t = brentq(slope, 0.0, limit * (1 - 1e-12), xtol=1e-300, rtol=1e-13)
    cumulant = -0.5 * float(counts @ np.log1p(-2 * t * weights))
    w = np.sqrt(-2 * cumulant)
    v = t * np.sqrt(2 * float(counts @ (weights / (1 - 2 * t * weights)) ** 2))
    return float(stats.norm.sf(w + np.log(v / w) / w))
