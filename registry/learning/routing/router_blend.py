"""Router that blends neighbours with kernel regression, both over vectors that know subjects.

Weights and settings are fitted to predictions of items by the other items (stacking, Breiman 1996),
by squared error (nonnegative least squares): apart for what all models have in common on a prompt
and for what tells models apart, since routing rests on the second and log loss mostly on the first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import CPU, Context, Mask, Matrix
from registry.learning.routing.kernel_regression import fit_kernel
from registry.learning.routing.router_figures import routing_figures
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem
from registry.learning.routing.served_blend import (
    BlendSettings,
    BlendWeights,
    ServedBlend,
    blended,
    mean_near,
    nearest_items,
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

MOST_CELLS, LEAST_CHECKED = 1 << 22, 400
"""Of items to check, so many outcomes at most, as all candidates' predictions are in memory; but so
many items at least."""

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
        return FittedBlend(learn_blend(problem, context, self.settings).served)


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


class LearnedBlend(NamedTuple):
    """A blend, and how well it did on items that were left out.

    Attributes:
        served: fitted to all items.
        figures: by router, best and knn, as `router_figures.routing_figures`; empty where there
            were too few items to leave some out.
    """

    served: ServedBlend
    figures: Mapping[str, Mapping[str, float]]


def learn_blend(
    problem: RoutingProblem,
    context: Context = CPU,
    settings: BlendSettings | None = None,
    expected: Matrix | None = None,
) -> LearnedBlend:
    """Fit the blend as it is stored.

    Args:
        problem: the outcomes; each item has one at least.
        context: seed and progress.
        settings: of neighbours and vectors; None chooses them.
        expected: float32, M x N: what stands for outcomes that were not observed; None takes the
            model's mean and what the others' outcomes on the item are above theirs.
    """
    groups = kept_groups(problem.groups)
    subjects, found = learn_subjects(problem.vectors, groups, context.seed)
    seen = ~np.isnan(problem.outcomes)
    filled = np.where(seen, problem.outcomes, expected_outcomes(problem.outcomes)
                      if expected is None else expected)  # fmt: skip
    data = _Data(problem.vectors, found, filled.astype(np.float32), seen)
    chosen, weights, figures = _choose(data, context, settings)
    return LearnedBlend(_fitted(data, subjects, chosen, weights, context.seed), figures)


class _Data(NamedTuple):
    """Vectors, N x T, probabilities of subjects, N x G, outcomes and which are seen, M x N."""

    vectors: Matrix
    subjects: Matrix
    outcomes: Matrix
    seen: Mask

    @property
    def levels(self) -> Matrix:
        return np.asarray(self.outcomes.mean(axis=1, dtype=np.float64), np.float32)

    def only(self, items: Places) -> "_Data":
        seen = self.seen[:, items]
        return _Data(self.vectors[items], self.subjects[items], self.outcomes[:, items], seen)

    def extended(self, weight: float) -> Matrix:
        return extended(self.vectors, self.subjects, weight)


def mean_outcomes(outcomes: Matrix) -> Matrix:
    """Return the mean of each model's observed outcomes, M x N: float32, M; of none, of all."""
    seen = ~np.isnan(outcomes)
    counts, sums = seen.sum(axis=1), np.where(seen, outcomes, 0).sum(axis=1, dtype=np.float64)
    overall = sums.sum() / max(int(counts.sum()), 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.asarray(means, np.float32)


def expected_outcomes(outcomes: Matrix) -> Matrix:
    """Return what is expected of unobserved outcomes, float32, M x N, within [0, 1].

    It is the model's mean, plus the mean of what the observed ones of the item are above theirs.
    """
    levels, seen = mean_outcomes(outcomes)[:, None], ~np.isnan(outcomes)
    above = np.where(seen, outcomes - levels, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.asarray(np.clip(levels + above, 0, 1), np.float32)


def _fitted(
    data: _Data, subjects: Subjects, settings: BlendSettings, weights: BlendWeights, seed: int
) -> ServedBlend:
    vectors = data.extended(settings.kernel_subject_weight)
    regression = fit_kernel(vectors, data.outcomes, data.levels, seed, settings.width)
    return ServedBlend(
        settings=settings,
        weights=weights,
        subjects=subjects,
        levels=data.levels,
        items=data.extended(settings.subject_weight),
        outcomes=data.outcomes.T.copy(),
        seen=None if data.seen.all() else data.seen.T.astype(np.float32),
        landmarks=regression.landmarks,
        kernel_weights=regression.weights,
    )


def _choose(
    data: _Data, context: Context, settings: BlendSettings | None
) -> tuple[BlendSettings, BlendWeights, Mapping[str, Mapping[str, float]]]:
    """Return settings, weights and figures by what was predicted of items that were left out."""
    if data.outcomes.shape[1] < LEAST_ITEMS:
        return settings or BlendSettings(), EVEN, {}
    candidates = [settings] if settings else _candidates()
    checks = list(_checks(data, candidates, context))
    best, weights = _best(checks)
    return candidates[best], weights, _figures(checks)


def _best(checks: Sequence["_Check"]) -> tuple[int, BlendWeights]:
    """Return the candidate of the least error on items that were left out, and the weights."""
    levels = np.concatenate([each.levels for each in checks])
    outcomes = np.concatenate([each.outcomes for each in checks])
    regressed = np.concatenate([each.regressed for each in checks])
    found = []
    for place in range(len(checks[0].near)):
        near = np.concatenate([each.near[place] for each in checks])
        weights, error = stacked(outcomes - levels, near - levels, regressed - levels)
        found.append((error, place, weights))
    _, best, weights = min(found)
    return best, weights


def _figures(checks: Sequence["_Check"]) -> Mapping[str, Mapping[str, float]]:
    """Return figures on items that were left out, by settings and weights of the other items."""
    predicted: dict[str, list[Matrix]] = {"best": [], "knn": []}
    for place, each in enumerate(checks):
        best, weights = _best([*checks[:place], *checks[place + 1 :]])
        near = each.near[best]
        predicted["best"].append(blended(near, each.regressed, each.levels, weights))
        predicted["knn"].append(near)
    outcomes = np.concatenate([each.outcomes for each in checks])
    levels = np.concatenate([each.levels for each in checks])
    return {
        name: routing_figures(outcomes, np.concatenate(parts), levels)
        for name, parts in predicted.items()
    }


def _candidates() -> list[BlendSettings]:
    return [
        BlendSettings(k, sharpness, weight)
        for weight, (k, sharpness) in product(SUBJECT_WEIGHTS, NEIGHBOURHOODS)
    ]


class _Check(NamedTuple):
    """Of n items, n x M: outcomes, NaN where not observed; and what was known without them."""

    outcomes: Matrix
    levels: Matrix
    near: list[Matrix]
    regressed: Matrix


def _checks(data: _Data, candidates: list[BlendSettings], context: Context) -> Iterator[_Check]:
    rng = np.random.default_rng(context.seed)
    items = rng.permutation(data.outcomes.shape[1])
    checked = min(MOST_CHECKED, max(LEAST_CHECKED, MOST_CELLS // len(data.outcomes)))
    most, kernel = -(-checked // FOLDS), candidates[0]
    for fold in range(FOLDS):
        context.on_progress("checking routers", fold, FOLDS)
        rest = np.concatenate([items[other::FOLDS] for other in range(FOLDS) if other != fold])
        known, asked = data.only(rest), data.only(items[fold::FOLDS][:most])
        vectors = known.extended(kernel.kernel_subject_weight)
        levels = known.levels
        regression = fit_kernel(vectors, known.outcomes, levels, context.seed, kernel.width)
        outcomes = np.where(asked.seen, asked.outcomes, np.float32(np.nan)).T
        yield _Check(
            outcomes,
            np.broadcast_to(levels, outcomes.shape),
            list(_near(known, asked, candidates)),
            regression.predict(asked.extended(kernel.kernel_subject_weight)),
        )


def _near(known: _Data, asked: _Data, candidates: list[BlendSettings]) -> Iterator[Matrix]:
    """Yield what neighbours say of the items asked about, by each candidate."""
    outcomes = known.outcomes.T.copy()
    similarities: dict[float, Matrix] = {}
    for each in candidates:
        weight = each.subject_weight
        if weight not in similarities:
            similarities = {weight: asked.extended(weight) @ known.extended(weight).T}
        near = nearest_items(similarities[weight], each.k, each.sharpness)
        yield mean_near(near, outcomes, None)[0]


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
    root = np.sqrt(seen.sum(axis=1))
    common = [_means(each, seen) for each in (outcomes, near, regressed)]
    shared, error = nnls(np.stack(common[1:], axis=1) * root[:, None], common[0] * root)
    apart = [
        (each - mean[:, None])[seen].astype(np.float64)
        for each, mean in zip((outcomes, near, regressed), common, strict=True)
    ]
    distinct, error_apart = nnls(np.stack(apart[1:], axis=1), apart[0])
    squares = (error**2 + error_apart**2) / seen.sum()
    return BlendWeights(*shared.tolist(), *distinct.tolist()), float(squares)


def _means(values: Matrix, seen: Mask) -> Reals:
    """Return the mean of each row's observed values."""
    sums = np.where(seen, values, 0).sum(axis=1, dtype=np.float64)
    return np.asarray(sums / np.maximum(seen.sum(axis=1), 1), np.float64)
