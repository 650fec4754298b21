"""Generalised additive mixed models: smooth effects of numbers, random effects of groups.

Fitted by gamrs: cubic regression splines, as `s(x, bs = "cr")` of R's mgcv, and random intercepts,
with the amounts of smoothing and of variance chosen together by restricted maximum likelihood
(Wood 2011, Fast stable restricted maximum likelihood). It is loaded here alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.statistics.smooth_tests import TermTest, random_effect_test, smooth_test

BASIS = 10
"""Coefficients of a smooth, before it is centred: mgcv's default."""

LEAST_DISTINCT = 3
"""Distinct values from which on a number has a smooth."""

ROUNDING = 1e-10
"""Share of the response's variance, and difference of a curve, that is none."""

GRID = 100
"""Points of a curve, evenly apart from the least value to the largest."""


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """A smooth term of a number.

    Attributes:
        values: n, finite, `LEAST_DISTINCT` distinct ones or more.
        rows: n, those that it is the smooth of, and whose values alone count; None for all. Smooths
            of some rows have a level of their own: between them, they are of all rows, and none is
            of all.
    """

    values: Reals
    rows: NDArray[np.bool_] | None = None

    @property
    def own(self) -> Reals:
        """Values of the rows that it is of."""
        return self.values if self.rows is None else self.values[self.rows]


class PartialEffect(NamedTuple):
    """Partial effect of a smooth, whose mean over the rows that it is of is 0.

    Attributes:
        x: G, values of the number.
        effect: G, in units of the response.
        error: G, its standard error, given the amounts of smoothing.
        rises: whether anywhere a later point is higher, beyond noise.
        falls: whether anywhere one is lower.
    """

    x: Reals
    effect: Reals
    error: Reals
    rises: bool
    falls: bool


class AdditiveFit(NamedTuple):
    """A fitted model of n values.

    Attributes:
        n: values.
        tests: of each smooth, then of each random effect.
        curves: of each smooth.
        deviations: standard, of each random effect.
        residual: standard deviation of what is left.
        df: effective degrees of freedom in all.
        r_squared: share of variance explained, less that by chance; adjusted for `df`.
        explained: share of the deviance explained.
        converged: whether the search for the amounts of smoothing ended.
    """

    n: int
    tests: Sequence[TermTest]
    curves: Sequence[PartialEffect]
    deviations: Sequence[float]
    residual: float
    df: float
    r_squared: float
    explained: float
    converged: bool


def fit_additive_model(
    y: Reals,
    smooths: Sequence[Smooth],
    random: Sequence[Places] = (),
    *,
    basis: int = BASIS,
    level: float = 0.95,
) -> AdditiveFit:
    """Fit a model of smooths and random intercepts by restricted maximum likelihood.

    Args:
        y: n finite values, not all alike.
        smooths: one or more; no number is a linear function of the others.
        random: of each random effect the group of each value, n, from 0 up without gaps.
        basis: coefficients of a smooth at most, 3 or more; no more than it has distinct values.
        level: at which curves rise or fall: share of flat ones that do neither.

    Raises:
        ValueError: the model has as many coefficients as there are values, or more, or leaves
            nothing of the response; a phrase.
    """
    design = _Design.of(smooths, random, basis)
    if len(y) <= design.coefficients:
        raise ValueError(f"{len(y)} values are too few for {design.coefficients} coefficients")
    mean, spread = float(y.mean()), float(y.std())
    return _Fitted(design, (y - mean) / spread).result(spread, level)


class _Design(NamedTuple):
    """Columns and terms as gamrs takes them."""

    columns: Reals
    terms: Sequence[Any]
    coefficients: int
    smooths: Sequence[Smooth]
    random: int

    @classmethod
    def of(cls, smooths: Sequence[Smooth], random: Sequence[Places], basis: int) -> "_Design":
        # Slow to import.
        from gamrs import CrTerm, ReTerm  # noqa: PLC0415

        columns: list[Reals] = []
        terms: list[Any] = []
        coefficients = 1
        for smooth in smooths:
            k = min(basis, len(np.unique(smooth.own)))
            columns.append(_unit(smooth))
            place, by = len(columns) - 1, None
            if smooth.rows is not None:
                columns.append(smooth.rows.astype(np.float64))
                by = place + 1
            terms.append(CrTerm(place, k=k, by=by))
            coefficients += k - (by is None)
        for codes in random:
            columns.append(codes.astype(np.float64))
            terms.append(ReTerm(len(columns) - 1))
            coefficients += int(codes.max()) + 1
        return cls(np.column_stack(columns), terms, coefficients, smooths, len(random))


def _unit(smooth: Smooth) -> Reals:
    """Return values from 0 to 1; in rows that do not count, such as are in those that do.

    Knots are at quantiles of them: where they are of other rows, coefficients have no data.
    """
    own = smooth.own
    scaled = np.asarray((own - own.min()) / np.ptp(own), np.float64)
    if smooth.rows is None:
        return scaled
    filled = np.resize(np.sort(scaled), len(smooth.values))
    filled[smooth.rows] = scaled
    return filled


class _Fitted:
    """A fit, and the matrices that its tests are of."""

    def __init__(self, design: _Design, y: Reals) -> None:
        from gamrs import fit_additive  # noqa: PLC0415

        self.design, self.y = design, y
        try:
            self.model = fit_additive("gaussian", design.columns, y, design.terms)
        except RuntimeError as error:
            # A factorization that fails, as where numbers nearly follow from each other.
            raise ValueError("its terms cannot be separated from each other") from error
        self.beta = np.asarray(self.model.beta)
        self.covariance = np.asarray(self.model.vcov())
        self.scale = float(self.model.scale)
        self.x = np.asarray(self.model.evaluate_lpmatrix(design.columns))
        ranges = self.model.term_col_ranges
        self.ranges = [slice(*each) for each in (ranges() if callable(ranges) else ranges)]
        self.inverse = self.covariance / self.scale
        self.influence = self.inverse @ (self.x.T @ self.x)

    def result(self, spread: float, level: float) -> AdditiveFit:
        """Return the fit in units of the response, of which `spread` is the standard deviation."""
        n, df = len(self.y), float(self.influence.trace())
        left = self.y - self.x @ self.beta
        total = float(self.y @ self.y)
        if not np.isfinite(df) or float(left @ left) < ROUNDING * total or n - df < 1:
            raise ValueError("the terms leave nothing of the response")
        smooths = range(len(self.design.smooths))
        random = range(len(smooths), len(smooths) + self.design.random)
        tests = [self._smooth_test(place, n - df) for place in smooths]
        return AdditiveFit(
            n=n,
            tests=[*tests, *(self._random_test(place, random, n - df) for place in random)],
            curves=[self._curve(place, spread, tests[place].rank, level) for place in smooths],
            deviations=[float(np.sqrt(self._variance(place))) * spread for place in random],
            residual=float(np.sqrt(self.scale)) * spread,
            df=df,
            r_squared=1 - float(np.var(left)) * (n - 1) / (total / n * (n - df)),
            explained=1 - float(left @ left) / total,
            converged=bool(self.model.converged),
        )

    def _smooth_test(self, place: int, residual_df: float) -> TermTest:
        smooth, of = self.design.smooths[place], self.ranges[place]
        # A level of its own has one degree of freedom, and is no part of the effect.
        level = 0.0 if smooth.rows is None else 1.0
        block, twice = self.influence[of, of], self.influence[of] @ self.influence[:, of]
        edf = float(block.trace()) - level
        alternative = 2 * float(block.trace()) - float(twice.trace()) - level
        x = self.x[:, of]
        if smooth.rows is not None:
            x = x[smooth.rows] - x[smooth.rows].mean(axis=0)
        return smooth_test(
            x, self.beta[of], self.covariance[of, of],
            edf=edf, rank=max(edf, alternative), residual_df=residual_df,
        )  # fmt: skip

    def _random_test(self, place: int, others: Sequence[int], residual_df: float) -> TermTest:
        of = self.ranges[place]
        weights = self.inverse[of] @ self.x.T
        spread = weights @ weights.T
        for other in others:
            if other != place:
                effects = weights @ self.x[:, self.ranges[other]]
                spread = spread + effects @ effects.T * (self._variance(other) / self.scale)
        return random_effect_test(
            self.beta[of], self.covariance[of, of], spread * self.scale,
            edf=float(self.influence[of, of].trace()), residual_df=residual_df,
        )  # fmt: skip

    def _variance(self, place: int) -> float:
        """Return the variance of a random effect, of a response of variance 1."""
        return self.scale / float(np.asarray(getattr(self.model, "lambda"))[place])

    def _curve(self, place: int, spread: float, rank: float, level: float) -> PartialEffect:
        smooth, of = self.design.smooths[place], self.ranges[place]
        columns = np.repeat(self.design.columns[:1], GRID, axis=0)
        at = sum(1 + (each.rows is not None) for each in self.design.smooths[:place])
        columns[:, at] = np.linspace(0, 1, GRID)
        if smooth.rows is not None:
            columns[:, at + 1] = 1
        x = np.asarray(self.model.evaluate_lpmatrix(columns), np.float64)[:, of]
        if smooth.rows is not None:
            x = x - self.x[smooth.rows, of].mean(axis=0)
        effect, covariance = x @ self.beta[of], x @ self.covariance[of, of] @ x.T
        error = np.sqrt(np.maximum(covariance.diagonal(), 0))
        return PartialEffect(
            np.linspace(smooth.own.min(), smooth.own.max(), GRID), effect * spread, error * spread,
            *_directions(effect, covariance, rank, level),
        )  # fmt: skip


def _directions(effect: Reals, covariance: Reals, rank: float, level: float) -> tuple[bool, bool]:
    """Return whether a curve rises anywhere, and whether it falls, from any point to a later one.

    All differences of points at once, by Scheffe's method with the degrees of freedom of the test.
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    limit = float(np.sqrt(stats.chi2.ppf(level, max(rank, 1))))
    variances = covariance.diagonal()
    error = np.sqrt(np.maximum(variances[:, None] + variances - 2 * covariance, 0))
    later = np.triu_indices(len(effect), 1)
    difference = (effect - effect[:, None])[later]
    beyond = np.abs(difference) > np.maximum(limit * error[later], ROUNDING)
    return bool((beyond & (difference > 0)).any()), bool((beyond & (difference < 0)).any())
