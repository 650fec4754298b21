"""Linear mixed models: effects of numbers where models of one group are not independent.

Random intercepts of one or several groupings, nested or crossed, by restricted maximum likelihood.
Fitted by mixedlm, which is lme4's way and is loaded here alone; degrees of freedom are those of
Satterthwaite, joint tests those of Fai and Cornelius (1996).
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from registry.learning.arrays import Places, Reals

ROUNDING = 1e-5
"""Deviation of what is left, over that of the response, that is rounding."""

LEAST_DF = 1.0
"""Degrees of freedom at least; where a variance is about 0 their estimate may be below."""


class FixedEffect(NamedTuple):
    """An effect of a number.

    Attributes:
        estimate: in units of the response, of one unit of the number.
        error: its standard error.
        df: degrees of freedom of its test.
        p: of no effect.
        lower: end of its interval.
        upper: likewise.
    """

    estimate: float
    error: float
    df: float
    p: float
    lower: float
    upper: float


class JointTest(NamedTuple):
    """A test of no effect of q numbers at once.

    Attributes:
        f: statistic.
        df: q.
        df_within: degrees of freedom of the denominator.
        p: of no effect.
    """

    f: float
    df: int
    df_within: float
    p: float


class VarianceComponent(NamedTuple):
    """A random effect.

    Attributes:
        deviation: standard, in units of the response.
        share: of the variance that fixed effects leave.
        groups: number of them.
        p: of none: half that of the likelihood ratio, as a variance has a bound (Self, Liang 1987).
    """

    deviation: float
    share: float
    groups: int
    p: float


class MixedFit(NamedTuple):
    """A fitted model of n values, beside the one that takes all for independent.

    Attributes:
        n: values.
        effects: of each number; with an intercept alone, of it.
        plain: the same by least squares, as if values were independent.
        joint: test of all numbers but the intercept.
        plain_joint: likewise by least squares.
        components: of each random effect.
        residual: standard deviation of what is left.
        converged: whether the search ended.
    """

    n: int
    effects: Sequence[FixedEffect]
    plain: Sequence[FixedEffect]
    joint: JointTest | None
    plain_joint: JointTest | None
    components: Mapping[str, VarianceComponent]
    residual: float
    converged: bool


def fit_mixed_model(
    y: Reals,
    numbers: Reals,
    random: Mapping[str, Places],
    *,
    intercept: bool = True,
    level: float = 0.95,
) -> MixedFit:
    """Fit fixed effects of numbers and random intercepts, by restricted maximum likelihood.

    Args:
        y: n finite values, not all alike.
        numbers: n x q, of full rank, with the intercept if there is one; q may be 0 with it.
        random: group of each value, n, by name: one or more random effects, of two groups or more.
        intercept: whether there is one; without it numbers are those of groups, and are not
            tested jointly.
        level: share of intervals that hold the effect, in (0, 1).

    Raises:
        ValueError: there are too few values for the effects or the groups, effects follow from
            each other, or nothing is left of the response; a phrase.
    """
    columns = np.column_stack([np.ones(len(y)), numbers]) if intercept else numbers
    n, q = columns.shape
    if n <= q + 1:
        raise ValueError(f"{n} values are too few for {q} effects")
    if int(np.linalg.matrix_rank(columns)) < q:
        raise ValueError("one of the effects follows from the others")
    for name, codes in random.items():
        if len(np.unique(codes)) >= n:
            raise ValueError(f"each value is the only one of its {name}")
    # The effects of numbers beside an intercept do not depend on it, but their precision does.
    mean, spread = (float(y.mean()) if intercept and q > 1 else 0.0), float(y.std())
    scaled = (y - mean) / spread
    residuals = scaled - columns @ np.linalg.lstsq(columns, scaled, rcond=None)[0]
    if float(residuals @ residuals) < 1e-10 * n:
        raise ValueError("the effects leave nothing of the response")
    fit = _Mixed(scaled, columns, random)
    if not (fit.sigma > ROUNDING and np.all(fit.covariance.diagonal() > 0)):
        raise ValueError("effects and groups leave nothing of the response")
    kept = slice(1, None) if intercept and q > 1 else slice(None)
    effects = [_scaled(each, spread) for each in fit.effects(level)]
    plain = [_scaled(each, spread) for each in _least_squares(scaled, columns, level)]
    joint = intercept and q > 1
    return MixedFit(
        n, effects[kept], plain[kept],
        fit.joint() if joint else None,
        _plain_joint(scaled, columns) if joint else None,
        fit.components(spread), fit.sigma * spread, fit.converged,
    )  # fmt: skip


def _scaled(effect: FixedEffect, spread: float) -> FixedEffect:
    """Return an effect in units of the response."""
    return effect._replace(
        estimate=effect.estimate * spread,
        error=effect.error * spread,
        lower=effect.lower * spread,
        upper=effect.upper * spread,
    )


def _fit(y: Reals, columns: Reals, random: Mapping[str, Places]) -> Any:
    """Return the fit of mixedlm, with columns x0, x1 and random effects g0, g1 and so on."""
    import mixedlm  # noqa: PLC0415 - slow to import, as the next
    import pandas as pd  # noqa: PLC0415

    data: dict[str, Any] = {"y": y}
    data |= {f"x{place}": column for place, column in enumerate(columns.T)}
    data |= {f"g{place}": codes.astype(str) for place, codes in enumerate(random.values())}
    terms = ["0", *(f"x{place}" for place in range(columns.shape[1]))]
    terms += [f"(1 | g{place})" for place in range(len(random))]
    # Of variances of 0 and of slow searches, which are said by what is returned.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixedlm.lmer(f"y ~ {' + '.join(terms)}", pd.DataFrame(data))


class _Mixed:
    """A fit of mixedlm, and what follows from it."""

    def __init__(self, y: Reals, columns: Reals, random: Mapping[str, Places]) -> None:
        self.y, self.columns, self.random = y, columns, random
        self.model = _fit(y, columns, random)
        self.beta = np.asarray(self.model.beta, np.float64)
        self.covariance = np.asarray(self.model.vcov(), np.float64)
        self.sigma = float(self.model.sigma)
        self.converged = bool(self.model.converged)

    def effects(self, level: float) -> list[FixedEffect]:
        errors = np.sqrt(self.covariance.diagonal())
        return [
            _effect(float(estimate), float(error), float(df), level)
            for estimate, error, df in zip(
                self.beta, errors, self._degrees(self.model), strict=True
            )
        ]

    def _degrees(self, model: Any) -> Reals:
        from mixedlm.inference.ddf import satterthwaite_df  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(satterthwaite_df(model).df, np.float64)
        most = float(len(self.y) - len(self.beta))
        return np.clip(np.where(np.isfinite(found), found, LEAST_DF), LEAST_DF, most)

    def joint(self) -> JointTest:
        """Return the test of all effects but the first.

        Its denominator is that of the contrasts which are not correlated: those of columns that are
        rotated, each with its own degrees of freedom.
        """
        from scipy import stats  # noqa: PLC0415

        beta, covariance = self.beta[1:], self.covariance[1:, 1:]
        count = len(beta)
        f = float(beta @ np.linalg.solve(covariance, beta)) / count
        rotation = np.linalg.eigh(covariance)[1]
        rotated = np.column_stack([self.columns[:, 0], self.columns[:, 1:] @ rotation])
        degrees = self._degrees(_fit(self.y, rotated, self.random))[1:]
        within = _pooled(degrees)
        return JointTest(f, count, within, float(stats.f.sf(f, count, within)))

    def components(self, spread: float) -> dict[str, VarianceComponent]:
        # One parameter of each random effect, the deviation over the residual's; mixedlm orders
        # those of more groups first.
        deviations = dict(
            zip(
                (each.grouping_factor for each in self.model.matrices.random_structures),
                np.abs(np.asarray(self.model.theta, np.float64)) * self.sigma,
                strict=True,
            )
        )
        total = self.sigma**2 + sum(each**2 for each in deviations.values())
        whole = float(self.model.REMLcrit())
        found = {}
        for place, (name, codes) in enumerate(self.random.items()):
            deviation = float(deviations[f"g{place}"])
            others = {key: of for key, of in self.random.items() if key != name}
            without = (
                float(_fit(self.y, self.columns, others).REMLcrit())
                if others
                else _criterion(self.y, self.columns)
            )
            found[name] = VarianceComponent(
                deviation * spread, float(deviation**2 / total), len(np.unique(codes)),
                _bounded(without - whole),
            )  # fmt: skip
        return found


def _effect(estimate: float, error: float, df: float, level: float) -> FixedEffect:
    from scipy import stats  # noqa: PLC0415

    half = error * float(stats.t.isf((1 - level) / 2, df))
    p = 2 * float(stats.t.sf(abs(estimate) / error, df))
    return FixedEffect(estimate, error, df, p, estimate - half, estimate + half)


def _pooled(degrees: Reals) -> float:
    """Return the denominator's degrees of freedom of a joint test (Fai and Cornelius 1996)."""
    if len(degrees) == 1 or np.ptp(degrees) < 1e-8 * degrees[0]:
        return float(degrees.mean())
    above = degrees[degrees > 2]  # noqa: PLR2004 - below, the mean of a t's square is not defined
    mean = float((above / (above - 2)).sum())
    return max(2.0, 2 * mean / (mean - len(degrees))) if mean > len(degrees) else 2.0


def _bounded(statistic: float) -> float:
    """Return p of a likelihood ratio of a variance that cannot be below 0."""
    from scipy import stats  # noqa: PLC0415

    return 0.5 * float(stats.chi2.sf(statistic, 1)) if statistic > 1e-6 else 1.0  # noqa: PLR2004


def _criterion(y: Reals, columns: Reals) -> float:
    """Return minus twice the restricted log likelihood of least squares."""
    n, q = columns.shape
    residuals = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    variance = float(residuals @ residuals) / (n - q)
    log_det = float(np.linalg.slogdet(columns.T @ columns)[1])
    return float((n - q) * (np.log(2 * np.pi * variance) + 1) + log_det)


def _least_squares(y: Reals, columns: Reals, level: float) -> list[FixedEffect]:
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415

    found = OLS(y, columns).fit()
    return [
        _effect(float(estimate), float(error), float(found.df_resid), level)
        for estimate, error in zip(found.params, found.bse, strict=True)
    ]


def _plain_joint(y: Reals, columns: Reals) -> JointTest:
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415

    count = columns.shape[1] - 1
    found = OLS(y, columns).fit().f_test(np.eye(count + 1)[1:])
    return JointTest(float(found.fvalue), count, float(found.df_denom), float(found.pvalue))
