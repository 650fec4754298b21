"""Common prior of the abilities of all exams: a chain of regressions, the largest exam first.

The abilities of an exam are regressed on the catalog's features and on the posterior means, from
the outcomes of the exams before, of the same models. For a model without outcomes there, these are
predictions: the regression is then one with errors of Berkson's kind, which leave slopes unbiased
(Carroll, Ruppert, Stefanski and Crainiceanu, Measurement Error in Nonlinear Models, 2006, section
1.4), and its residuals contain their variance, which is taken out. So exams are tied by models that
took several, and by what the catalog says of the others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import CPU, Columns, Context, Matrix
from registry.learning.space.abilities import Abilities
from registry.learning.space.posterior import PriorOf, posteriors

NOISES = np.geomspace(0.005, 50, 18)
"""Candidate ratios of the ridge penalty to the mean square length of the features."""

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Candidate weights of other exams' abilities beside the catalog's features."""

LEAST_RESIDUAL = 0.02
"""Least variance that a regression leaves, of abilities of unit variance."""

LEAST_SHARE = 0.1
"""Least share of the residuals that is not put down to uncertain abilities."""


class Tie(NamedTuple):
    """How an exam was tied to the ones before.

    Attributes:
        models: of the exam.
        linked: of them, those with outcomes on an exam before.
        explained: share of the variance of its items' logits, over its models, that is predicted,
            leaving each model out. Of the abilities, most dimensions hardly count in any answer.
    """

    models: int
    linked: int
    explained: float


class JointPrior(NamedTuple):
    """Prior of the abilities of all exams, and how each was tied."""

    of_abilities: PriorOf
    ties: Sequence[Tie]


def joint_prior(
    models: int,
    exams: Sequence[Abilities],
    catalog: Matrix | None,
    context: Context = CPU,
) -> JointPrior:
    """Fit the common prior of all exams.

    Args:
        models: M, their number.
        exams: the largest first.
        catalog: float32, M x f, features of the models; zeros where nothing is known of one.
        context: device and progress.
    """
    features = np.zeros((models, 0)) if catalog is None else catalog.astype(np.float64)
    dimension = sum(exam.values.shape[1] for exam in exams)
    mean, covariance = np.zeros((models, dimension)), np.zeros((dimension, dimension))
    ties: list[Tie] = []
    known = np.zeros(models, bool)
    start = 0
    for place, exam in enumerate(exams):
        context.on_progress("tying exams", place, len(exams))
        stop = start + exam.values.shape[1]
        so_far = PriorOf(mean, covariance).of_first(start)
        before, spread = _before(exams[:place], so_far, exam.rows, context.device)
        step = _regression(exam.values, before, spread, features[exam.rows])
        slopes = step.slopes
        mean[:, start:stop] = (
            step.intercept + mean[:, :start] @ slopes.T + features @ step.of_catalog.T
        )
        earlier = covariance[:start, :start]
        covariance[start:stop, :start] = slopes @ earlier
        covariance[:start, start:stop] = covariance[start:stop, :start].T
        covariance[start:stop, start:stop] = slopes @ earlier @ slopes.T + step.residual
        linked = int(known[exam.rows].sum())
        ties.append(Tie(len(exam.rows), linked, _explained(exam, step.errors)))
        known[exam.rows] = True
        start = stop
    return JointPrior(PriorOf(mean, covariance), ties)


def _before(
    exams: Sequence[Abilities], prior: PriorOf, rows: Columns, device: str
) -> tuple[Reals, Reals]:
    """Return posterior means, n x a, and covariances of models in the exams before theirs."""
    count = len(prior.covariance)
    if not count:
        return np.zeros((len(rows), 0)), np.zeros((len(rows), 0, 0))
    parts = list(posteriors(exams, prior, rows, device))
    return (
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.covariance for part in parts]),
    )


class _Regression(NamedTuple):
    """Abilities on those before (slopes, k x a) and on the catalog (of_catalog, k x f).

    The errors, n x k, leave each model out.
    """

    intercept: Reals
    slopes: Reals
    of_catalog: Reals
    residual: Reals
    errors: Reals


def _explained(exam: Abilities, errors: Reals) -> float:
    """Return the share of the variance of an exam's logits that is predicted, given the errors."""
    loadings = exam.loadings.astype(np.float64)
    weights = loadings.T @ loadings
    of_errors, of_values = (
        float(np.einsum("mj,jk,mk->", each, weights, each, optimize=True))
        for each in (errors, exam.values)
    )
    return max(1 - of_errors / of_values, 0.0) if of_values > 0 else 0.0


def _regression(values: Reals, before: Reals, spread: Reals, features: Reals) -> _Regression:
    count = before.shape[1]
    best: tuple[float, _Regression] | None = None
    for factor in FACTORS if count else (1.0,):
        scale = factor * _relative_length(features, before)
        inputs = np.column_stack([before * scale, features])
        error, fitted = _weighted(values, inputs, count, scale, spread)
        if best is None or error < best[0]:
            best = error, fitted
    assert best is not None
    return best[1]


def _relative_length(features: Reals, before: Reals) -> float:
    """Return the factor that gives both kinds of inputs the same mean square length."""
    lengths = (float((each**2).sum(1).mean()) for each in (features, before))
    of_features, of_before = lengths
    return np.sqrt(of_features / of_before) if of_features > 0 and of_before > 0 else 1.0


def _weighted(
    values: Reals, inputs: Reals, count: int, scale: float, spread: Reals
) -> tuple[float, _Regression]:
    """Regress twice: models whose earlier abilities are uncertain weigh less the second time."""
    weights = np.ones(len(values))
    ridge = _ridge(inputs, values, weights)
    slopes = ridge.weights[:count].T * scale
    if count:
        blurred = np.einsum("ij,mjk,ik->m", slopes, spread, slopes)
        squares = (ridge.errors**2).sum(1)
        own = max(float((squares - blurred).mean()), LEAST_SHARE * float(squares.mean()), 1e-9)
        weights = 1 / (own + blurred)
        weights /= weights.mean()
        ridge = _ridge(inputs, values, weights)
        slopes = ridge.weights[:count].T * scale
    errors = ridge.errors
    residual = errors.T @ errors / len(errors)
    if count:
        residual -= slopes @ spread.mean(0) @ slopes.T
    of_catalog = ridge.weights[count:].T
    centre = ridge.centre
    intercept = ridge.mean - slopes @ (centre[:count] / scale) - of_catalog @ centre[count:]
    return float((weights[:, None] * errors**2).sum()), _Regression(
        intercept, slopes, of_catalog, _positive(residual), errors
    )


class _Ridge(NamedTuple):
    """Weights f x r around the inputs' centre, f, and the outputs' mean, r; errors n x r."""

    weights: Reals
    centre: Reals
    mean: Reals
    errors: Reals


def _ridge(inputs: Reals, outputs: Reals, weights: Reals) -> _Ridge:
    """Regress with the penalty of least leave-one-out error of each output; none may help."""
    share = weights / weights.sum()
    centre, mean = share @ inputs, share @ outputs
    root = np.sqrt(weights)[:, None]
    rows, targets = (inputs - centre) * root, (outputs - mean) * root
    squares, rotation = np.linalg.eigh(rows.T @ rows)
    squares = np.maximum(squares, 0)
    rotated = rows @ rotation
    inner, lever = rotated.T @ targets, rotated**2
    length = float((rows**2).sum(1).mean()) if rows.size else 0.0
    # The mean is estimated as well: each model's own share of it is left out.
    own = np.minimum(share, 0.5)[:, None]
    errors = targets / (1 - own)
    least = (errors**2).sum(0)
    chosen = np.zeros((inputs.shape[1], outputs.shape[1]))
    for noise in NOISES if length > 0 else ():
        inverse = 1 / (squares + noise * length)
        solved = inverse[:, None] * inner
        leverage = np.minimum((lever @ inverse)[:, None] + own, 1 - 1e-3)
        candidate = (targets - rotated @ solved) / (1 - leverage)
        error = (candidate**2).sum(0)
        better = error < least
        least = np.where(better, error, least)
        chosen[:, better] = (rotation @ solved)[:, better]
        errors[:, better] = candidate[:, better]
    return _Ridge(chosen, centre, mean, errors / root)


def _positive(matrix: Reals) -> Reals:
    """Return the nearest symmetric matrix with eigenvalues of at least `LEAST_RESIDUAL`."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, LEAST_RESIDUAL)) @ vectors.T)
