"""Router that blends neighbours with kernel regression, both over vectors that know subjects.

Weights and settings are fitted to predictions of items by the other items (stacking, Breiman 1996),
by squared error (nonnegative least squares): apart for what all models have in common on a prompt
and for what tells models apart, since routing rests on the second and log loss mostly on the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.kernel_regression import fit_kernel
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem
from registry.learning.routing.served_blend import (
    PRIOR,
    BlendSettings,
    BlendWeights,
    ServedBlend,
    neighbour_weights,
)
from registry.learning.routing.subjects import Subjects, extended, kept_groups, learn_subjects

SUBJECT_WEIGHTS = (0.0, 0.5, 1.0)
"""Candidate weights of subjects where neighbours are found."""

NEIGHBOURHOODS = ((100, 8.0), (200, 8.0), (400, 8.0))
"""Candidate numbers of neighbours, with the sharpness of their weights."""

FOLDS = 4
"""Parts of the items, each predicted from the others."""

MOST_CHECKED = 4000
"""Items that settings and weights are fitted to, at most; drawn at random."""

EVEN = BlendWeights(0.5, 0.5, 0.5, 0.5)
"""Weights where there are too few items to fit them."""

LEAST_ITEMS = 40
"""Items from which weights are fitted."""


@dataclass(frozen=True, slots=True)
class RouterBlend:
    """Neighbours and kernel regression, blended.

    Attributes:
        settings: of neighbours and vectors; None chooses them.
    """

    settings: BlendSettings | None = None

    @property
    def name(self) -> str:
        """Name of the method."""
        return "best"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedBlend":
        """Choose settings and weights on items that were left out, and fit to all of them."""
        return FittedBlend(fit_blend(problem, context, self.settings))


@dataclass(frozen=True, slots=True, eq=False)
class FittedBlend:
    """Fitted router.

    Attributes:
        served: what is stored of it.
    """

    served: ServedBlend

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions; see `FittedRouter.predict`."""
        return RoutePredictions(*self.served.predict(vectors))


def fit_blend(
    problem: RoutingProblem, context: Context = CPU, settings: BlendSettings | None = None
) -> ServedBlend:
    """Fit the blend, and return it as it is stored.

    Args:
        problem: the outcomes; each item has one at least.
        context: seed and progress.
        settings: of neighbours and vectors; None chooses them.
    """
    groups = kept_groups(problem.groups)
    subjects, found = learn_subjects(problem.vectors, groups, context.seed)
    data = _Data(problem.vectors, found, problem.outcomes, mean_outcomes(problem.outcomes))
    chosen, weights = _choose(data, context, settings)
    return _fitted(data, subjects, chosen, weights, context.seed)


class _Data(NamedTuple):
    """Vectors, N x T, probabilities of subjects, N x G, outcomes, M x N, and levels, M."""

    vectors: Matrix
    subjects: Matrix
    outcomes: Matrix
    levels: Matrix

    def only(self, items: Places) -> "_Data":
        outcomes = self.outcomes[:, items]
        return _Data(self.vectors[items], self.subjects[items], outcomes, mean_outcomes(outcomes))

    def extended(self, weight: float) -> Matrix:
        return extended(self.vectors, self.subjects, weight)


def mean_outcomes(outcomes: Matrix) -> Matrix:
    """Return the mean of each model's observed outcomes, M x N: float32, M; of none, of all."""
    seen = ~np.isnan(outcomes)
    counts, sums = seen.sum(axis=1), np.where(seen, outcomes, 0).sum(axis=1, dtype=np.float64)
    overall = sums.sum() / max(int(counts.sum()), 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.asarray(means, np.float32)


def _fitted(
    data: _Data, subjects: Subjects, settings: BlendSettings, weights: BlendWeights, seed: int
) -> ServedBlend:
    regression = fit_kernel(
        data.extended(settings.kernel_subject_weight),
        data.outcomes,
        data.levels,
        seed,
        settings.width,
    )
    seen = ~np.isnan(data.outcomes.T)
    return ServedBlend(
        settings=settings,
        weights=weights,
        subjects=subjects,
        levels=data.levels,
        items=data.extended(settings.subject_weight),
        outcomes=np.where(seen, data.outcomes.T, 0).astype(np.float32),
        seen=seen.astype(np.float32),
        landmarks=regression.landmarks,
        kernel_weights=regression.weights,
    )


def _choose(
    data: _Data, context: Context, settings: BlendSettings | None
) -> tuple[BlendSettings, BlendWeights]:
    """Return settings and weights by the squared error on items that were left out."""
    if data.outcomes.shape[1] < LEAST_ITEMS:
        return settings or BlendSettings(), EVEN
    candidates = [settings] if settings else _candidates()
    checks = list(_checks(data, candidates, context))
    outcomes = np.concatenate([each.outcomes for each in checks])
    regressed = np.concatenate([each.regressed for each in checks])
    best = None
    for place, candidate in enumerate(candidates):
        near = np.concatenate([each.near[place] for each in checks])
        weights, error = stacked(outcomes, near, regressed)
        if best is None or error < best[0]:
            best = error, candidate, weights
    assert best is not None
    return best[1], best[2]


def _candidates() -> list[BlendSettings]:
    return [
        BlendSettings(k, sharpness, weight)
        for weight, (k, sharpness) in product(SUBJECT_WEIGHTS, NEIGHBOURHOODS)
    ]


class _Check(NamedTuple):
    """Outcomes of n items, n x M, less levels, and what was predicted of them without them."""

    outcomes: Matrix
    near: list[Matrix]
    regressed: Matrix


def _checks(data: _Data, candidates: list[BlendSettings], context: Context) -> Iterator[_Check]:
    rng = np.random.default_rng(context.seed)
    items = rng.permutation(data.outcomes.shape[1])
    most = -(-MOST_CHECKED // FOLDS)
    for fold in range(FOLDS):
        context.on_progress("checking routers", fold, FOLDS)
        held, rest = items[fold::FOLDS][:most], np.concatenate(
            [items[other::FOLDS] for other in range(FOLDS) if other != fold]
        )  # fmt: skip
        known, asked = data.only(rest), data.only(held)
        kernel = candidates[0]
        regression = fit_kernel(
            known.extended(kernel.kernel_subject_weight),
            known.outcomes,
            known.levels,
            context.seed,
            kernel.width,
        )
        regressed = regression.predict(asked.extended(kernel.kernel_subject_weight))
        yield _Check(
            asked.outcomes.T - known.levels,
            list(_near(known, asked, candidates)),
            regressed - known.levels,
        )


def _near(known: _Data, asked: _Data, candidates: list[BlendSettings]) -> Iterator[Matrix]:
    """Yield what neighbours say of the items asked about, less levels, by each candidate."""
    seen = ~np.isnan(known.outcomes.T)
    outcomes = np.where(seen, known.outcomes.T, 0).astype(np.float32)
    counted = seen.astype(np.float32)
    similarities: dict[float, Matrix] = {}
    for each in candidates:
        weight = each.subject_weight
        if weight not in similarities:
            similarities = {weight: asked.extended(weight) @ known.extended(weight).T}
        weights = neighbour_weights(similarities[weight], each.k, each.sharpness)
        counts = weights @ counted + np.float32(PRIOR)
        sums = weights @ outcomes + np.float32(PRIOR) * known.levels
        yield np.clip(sums / counts, 0, 1) - known.levels


def stacked(outcomes: Matrix, near: Matrix, regressed: Matrix) -> tuple[BlendWeights, float]:
    """Fit weights of two predictions to outcomes, all less the models' levels.

    Args:
        outcomes: float32, n x M; NaN where not observed.
        near: float32, n x M.
        regressed: float32, n x M.

    Returns:
        The weights, and the mean squared error of common and apart parts with them.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 - of the extra `train`

    seen = ~np.isnan(outcomes)
    counts = seen.sum(axis=1)
    common = [_means(each, seen) for each in (outcomes, near, regressed)]
    root = np.sqrt(counts)
    shared, error = nnls(np.stack(common[1:], axis=1) * root[:, None], common[0] * root)
    apart = [
        (each - mean[:, None])[seen].astype(np.float64)
        for each, mean in zip((outcomes, near, regressed), common, strict=True)
    ]
    distinct, error_apart = nnls(np.stack(apart[1:], axis=1), apart[0])
    return BlendWeights(*shared.tolist(), *distinct.tolist()), (
        error**2 + error_apart**2
    ) / seen.sum()


def _means(values: Matrix, seen: np.ndarray) -> Reals:
    """Return the mean of each row's observed values."""
    sums = np.where(seen, values, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(sums / np.maximum(seen.sum(axis=1), 1), np.float64)
