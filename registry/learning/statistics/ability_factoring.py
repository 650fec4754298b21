"""Factor analysis of abilities: how few abilities lie behind scores on many benchmarks."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Reals
from registry.learning.statistics.one_way import is_constant
from registry.learning.statistics.projections import standardised

DRAWS = 200
"""Samples of normal scores that go together by chance only, and resamples of models."""

STEPS, TOLERANCE = 1_000, 1e-6
"""Steps of the fit at most, and the gain of the log-likelihood at which scikit-learn's ends."""

LEAST_OWN = 1e-6
"""Least variance of a benchmark that no factor explains, as where it follows from others."""

SINGULAR = 1e-12
"""Least eigenvalue that counts, where benchmarks follow from each other."""


class FactoredAbilities(NamedTuple):
    """Factors behind scores of M models on B benchmarks.

    Attributes:
        eigenvalues: B, of the correlation matrix, the largest first.
        by_chance: B, what normal scores that go together by chance only exceed in (1 - level).
        kept: K, the number of the first eigenvalues that are above them.
        shares: B, of the variance of all standardised scores, by eigenvalue.
        share_lower: B, ends of their intervals.
        share_upper: likewise.
        loadings: B x K, of the rotated factors, those that explain most first.
        lower: B x K, ends of their intervals.
        upper: likewise.
        rotated_shares: K, of the variance, by the rotated factors.
    """

    eigenvalues: Reals
    by_chance: Reals
    kept: int
    shares: Reals
    share_lower: Reals
    share_upper: Reals
    loadings: Reals
    lower: Reals
    upper: Reals
    rotated_shares: Reals


def abilities(
    scores: Reals, *, seed: int, level: float = 0.95, draws: int = DRAWS
) -> FactoredAbilities:
    """Find the factors behind scores.

    Their number is by parallel analysis (Horn 1965; Glorfeld 1995 for the quantile), the fit is of
    maximum likelihood, rotated by varimax. Intervals are percentiles over resamples of models, in
    which the search begins with what all models have, and factors are matched with theirs.

    Args:
        scores: M x B, finite, no column of one value, M > B.
        seed: of the samples.
        level: share of intervals that hold what they are of.
        draws: number of samples of each kind.
    """
    rng = np.random.default_rng(seed)
    count, width = scores.shape
    correlations = _correlations(scores)
    eigenvalues = _eigenvalues(correlations)
    random = [_eigenvalues(_correlations(rng.normal(size=(count, width)))) for _ in range(draws)]
    by_chance = np.quantile(random, level, axis=0)
    kept = min(_first(eigenvalues > by_chance), most_factors(width))
    own = own_variances(correlations, kept) if kept else None
    loadings = factor_loadings(correlations, kept, own)
    resampled: list[Reals] = []
    spectra: list[Reals] = []
    while len(spectra) < draws:
        sample = scores[rng.integers(count, size=count)]
        if any(is_constant(column) for column in sample.T):
            continue
        drawn = _correlations(sample)
        spectra.append(_eigenvalues(drawn))
        resampled.append(_matched(factor_loadings(drawn, kept, own), loadings))
    tails = (1 - level) / 2, (1 + level) / 2
    lower, upper = np.quantile(resampled, tails, axis=0)
    share_lower, share_upper = np.quantile(spectra, tails, axis=0) / width
    return FactoredAbilities(
        eigenvalues, by_chance, kept, eigenvalues / width, share_lower, share_upper,
        loadings, lower, upper, (loadings**2).sum(axis=0) / width,
    )  # fmt: skip


def most_factors(width: int) -> int:
    """Return how many factors can be told from B benchmarks: of more, loadings are not unique."""
    return max(k for k in range(width) if (width - k) ** 2 >= width + k)


def factor_loadings(correlations: Reals, count: int, start: Reals | None = None) -> Reals:
    """Return the loadings of factors, B x K, rotated by varimax, by variance; sums are positive.

    The fit depends on correlations only, so it is made of 2 B rows that have them, however many
    models there are.

    Args:
        correlations: B x B.
        count: K, at most `most_factors`.
        start: B, variances from which the search begins; None is those of scikit-learn's fit.
    """
    if not count:
        return np.empty((len(correlations), 0))
    own = own_variances(correlations, count, start)
    fitted = _expected(correlations, count, steps=1, start=own)
    loadings = np.asarray(fitted.components_, np.float64).T
    order = np.argsort(-(loadings**2).sum(axis=0), kind="stable")
    signs = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    return np.asarray((loadings * signs)[:, order], np.float64)


def own_variances(correlations: Reals, count: int, start: Reals | None = None) -> Reals:
    """Return the variance of each benchmark that factors leave, B, of maximum likelihood.

    The likelihood, with loadings at their best, is a function of these variances alone (Joreskog
    1967; Lawley and Maxwell 1971, section 4). scikit-learn's steps (expectation and maximisation)
    take thousands to its maximum where a variance is almost 0, this search some dozens.

    Args:
        correlations: B x B.
        count: of factors, 1 or more.
        start: as in `factor_loadings`.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to import

    if start is None:
        start = np.asarray(_expected(correlations, count, steps=STEPS).noise_variance_)

    def unlikelihood(logarithms: Reals) -> tuple[float, Reals]:
        own = np.exp(logarithms)
        values, vectors = np.linalg.eigh(correlations / np.sqrt(np.outer(own, own)))
        left = np.maximum(values[:-count], SINGULAR)
        explained = (vectors[:, -count:] ** 2) @ np.maximum(values[-count:] - 1, 0)
        # The derivative by a logarithm; the diagonal of the correlations is 1.
        return float((left - np.log(left)).sum()), explained + 1 - 1 / own

    ends = np.log([LEAST_OWN, 1.0])
    found = minimize(
        unlikelihood, np.clip(np.log(start), *ends), jac=True, method="L-BFGS-B",
        bounds=[tuple(ends)] * len(correlations), options={"maxiter": STEPS},
    )  # fmt: skip
    return np.asarray(np.exp(found.x), np.float64)


def _expected(correlations: Reals, count: int, *, steps: int, start: Reals | None = None) -> Any:
    """Return scikit-learn's fit, which begins with the loadings that are best for variances."""
    from sklearn.decomposition import FactorAnalysis  # noqa: PLC0415 - an extra, slow to import
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    values, vectors = np.linalg.eigh(correlations)
    root = vectors * np.sqrt(np.maximum(values, 0) * len(values))
    with warnings.catch_warnings():
        # Where a variance goes to 0 it takes more steps; one step is not meant to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return FactorAnalysis(
            count, tol=TOLERANCE, max_iter=steps, svd_method="lapack", noise_variance_init=start,
            rotation="varimax" if count > 1 else None,
        ).fit(np.concatenate([root.T, -root.T]))  # fmt: skip


def principal_abilities(scores: Reals, count: int) -> Reals:
    """Return the first principal components of standardised scores, M x count, signs positive.

    Args:
        scores: as in `abilities`.
        count: of components, B at most.
    """
    vectors = standardised(scores)
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    axes = axes[:count] * np.where(axes[:count].sum(axis=1) < 0, -1.0, 1.0)[:, None]
    return np.asarray(vectors @ axes.T, np.float64)


def _correlations(scores: Reals) -> Reals:
    return np.asarray(np.corrcoef(scores, rowvar=False), np.float64)


def _eigenvalues(correlations: Reals) -> Reals:
    # Where columns follow from others they are 0 but for rounding, of either sign.
    return np.maximum(np.asarray(np.linalg.eigvalsh(correlations)[::-1], np.float64), 0)


def _first(above: NDArray[np.bool_]) -> int:
    """Return how many of the first hold."""
    return int(np.argmin([*above, False]))


def _matched(loadings: Reals, reference: Reals) -> Reals:
    """Return factors in the order and with the signs of those that they are most like."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow to import

    if not loadings.shape[1]:
        return loadings
    products = reference.T @ loadings
    of = linear_sum_assignment(-np.abs(products))[1]
    signs = np.sign(products[np.arange(len(of)), of])
    return np.asarray(loadings[:, of] * signs, np.float64)
