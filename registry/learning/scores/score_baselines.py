"""Methods to compare predictions of scores with; no product uses them.

Each takes a table with what is known of its models, and predicts scores on the working scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from registry.learning.arrays import Codes, Places, Reals
from registry.learning.scores.observations import ScoreObservations

RIDGES = np.geomspace(0.01, 1000, 16)
"""Candidate penalties of a ridge regression, in units of the features' mean square."""

SHRINKAGES = (0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Candidate thresholds on singular values, as shares of the largest."""

COMPONENTS = (1, 2, 3, 5)
"""Candidate numbers of principal components."""

CHECKED = 0.1
"""Share of the scores on which a candidate is chosen."""

LEAST_ROWS = 20
"""Scores of a benchmark that boosting needs; below, it predicts their mean."""

BOOSTED_FEATURES = 40
"""Features of similarity that boosting is given, the principal ones."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownTable:
    """A table of scores with what is known of its M models.

    Attributes:
        observations: the scores; features of models are their `features`.
        parents: intp, M: the parent of each model; -1 where there is none in the table.
        families: int64, M: codes of families.
        sizes: float64, M: log2 of parameter counts; nan where unknown.
        dates: float64, M: days; nan where unknown.
    """

    observations: ScoreObservations
    parents: Places
    families: Codes
    sizes: Reals
    dates: Reals

    def filled(self) -> Reals:
        """Return the table on the working scale, M x B; nan where there is no score."""
        known = self.observations
        table = np.full((known.models, known.benchmarks), np.nan)
        table[known.rows, known.columns] = known.values
        return table


ScoreBaseline: TypeAlias = Callable[[KnownTable, Places, Places], Reals]
"""Function from a table, and the rows and columns of n cells, to their values, n."""


def benchmark_mean(table: KnownTable, rows: Places, columns: Places) -> Reals:  # noqa: ARG001
    """Predict the mean score of the benchmark, taken on the scale of scores."""
    known = table.observations
    scores = known.scales.scores(known.values, known.columns)
    every = np.arange(known.benchmarks)
    counts = np.bincount(known.columns, minlength=known.benchmarks)
    sums = np.bincount(known.columns, scores, known.benchmarks)
    whole = np.where(known.scales.bounded, scores.mean() if len(scores) else 0.5, 0.0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.clip(whole, 0, 1))
    return known.scales.working(means, every)[columns]


def parent(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict the parent's score; the benchmark's mean where the parent has none."""
    scores = table.filled()[np.maximum(table.parents[rows], 0), columns]
    scores[table.parents[rows] < 0] = np.nan
    return np.where(np.isnan(scores), benchmark_mean(table, rows, columns), scores)


def nearest_relative(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict the score of the most similar model that has one."""
    filled, features = table.filled(), table.observations.features
    predictions = benchmark_mean(table, rows, columns)
    for column in np.unique(columns):
        own = columns == column
        known = np.flatnonzero(~np.isnan(filled[:, column]))
        if len(known):
            similar = features[rows[own]] @ features[known].T
            lengths = np.sqrt((features[known] ** 2).sum(axis=1)) + 1e-9
            similar = similar / lengths
            similar[rows[own][:, None] == known] = -np.inf
            predictions[own] = filled[known[similar.argmax(axis=1)], column]
    return predictions


def ridge(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict by ridge regression on features, a benchmark (EmbedLLM, section 5.3).

    The penalty has the least leave-one-out error.
    """
    return _by_benchmark(table, rows, columns, table.observations.features)


def scaling_law(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict by a line in the log of the size for each family, drawn towards that of all."""
    known = ~np.isnan(table.sizes)
    mean = table.sizes[known].mean() if known.any() else 0.0
    sizes = np.where(known, table.sizes - mean, 0.0)
    _, codes = np.unique(table.families, return_inverse=True)
    families = np.eye(codes.max() + 1)[codes]
    design = np.column_stack([sizes, known, families, families * sizes[:, None]])
    return _by_benchmark(table, rows, columns, design)


def soft_impute(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict by soft-thresholded singular values (Mazumder, Hastie and Tibshirani 2010)."""
    return _chosen(table, SHRINKAGES, _soft_imputed)[rows, columns]


def principal_components(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict by probabilistic PCA with missing values, without features (Bishop 1999)."""
    return _chosen(table, COMPONENTS, _components)[rows, columns]


def boosting(table: KnownTable, rows: Places, columns: Places) -> Reals:
    """Predict by gradient boosting on metadata, a benchmark."""
    from sklearn.ensemble import (  # noqa: PLC0415 - an extra, and slow to import
        HistGradientBoostingRegressor,
    )

    filled = table.filled()
    _, codes = np.unique(table.families, return_inverse=True)
    similar = table.observations.features[:, :BOOSTED_FEATURES]
    design = np.column_stack([table.sizes, table.dates, codes, similar])
    predictions = benchmark_mean(table, rows, columns)
    for column in np.unique(columns):
        own = columns == column
        known = np.flatnonzero(~np.isnan(filled[:, column]))
        if len(known) >= LEAST_ROWS:
            model = HistGradientBoostingRegressor(random_state=0, learning_rate=0.05)
            stated = ~np.isnan(design[known]).all(axis=0)
            model.fit(design[known][:, stated], filled[known, column])
            predictions[own] = model.predict(design[rows[own]][:, stated])
    return predictions


SCORE_BASELINES: Mapping[str, ScoreBaseline] = MappingProxyType({
    "benchmark mean": benchmark_mean,
    "parent's score": parent,
    "nearest relative": nearest_relative,
    "ridge on features": ridge,
    "scaling law": scaling_law,
    "soft-impute": soft_impute,
    "probabilistic PCA": principal_components,
    "boosting on metadata": boosting,
})  # fmt: skip


def _by_benchmark(table: KnownTable, rows: Places, columns: Places, design: Reals) -> Reals:
    """Predict by a ridge regression a benchmark, with the penalty of least leave-one-out error."""
    filled = table.filled()
    predictions = benchmark_mean(table, rows, columns)
    for column in np.unique(columns):
        own = columns == column
        known = np.flatnonzero(~np.isnan(filled[:, column]))
        if len(known) > 1:
            target, centre = filled[known, column], design[known].mean(axis=0)
            slopes = _ridge_slopes(design[known] - centre, target - target.mean())
            predictions[own] = target.mean() + (design[rows[own]] - centre) @ slopes
    return predictions


def _ridge_slopes(design: Reals, target: Reals) -> Reals:
    left, lengths, right = np.linalg.svd(design, full_matrices=False)
    scale = max(float((design**2).sum(axis=1).mean()), 1e-9)
    least, best = np.inf, np.zeros(design.shape[1])
    for penalty in RIDGES * scale:
        shares = lengths**2 / (lengths**2 + penalty)
        leverage = left**2 @ shares + 1 / len(target)
        fitted = left @ (shares * (left.T @ target))
        error = float((((target - fitted) / (1 - leverage + 1e-6)) ** 2).sum())
        if error < least:
            least = error
            best = right.T @ (lengths / (lengths**2 + penalty) * (left.T @ target))
    return np.asarray(best)


def _chosen(
    table: KnownTable, candidates: tuple[float, ...], method: Callable[[Reals, float], Reals]
) -> Reals:
    """Return the completed table of the candidate with the least error on a part of the scores."""
    filled = table.filled()
    known = table.observations
    checked = np.random.default_rng(0).random(len(known)) < CHECKED
    part = filled.copy()
    part[known.rows[checked], known.columns[checked]] = np.nan
    errors = []
    for candidate in candidates:
        found = method(part, candidate)[known.rows[checked], known.columns[checked]]
        errors.append(float(np.abs(found - known.values[checked]).mean()) if checked.any() else 0)
    return method(filled, candidates[int(np.argmin(errors))])


def _soft_imputed(filled: Reals, shrinkage: float, rounds: int = 60) -> Reals:
    missing = np.isnan(filled)
    means = _column_means(filled)
    table = np.where(missing, 0, filled - means)
    guess, threshold = table, shrinkage * float(np.linalg.norm(table, 2))
    for _ in range(rounds):
        left, lengths, right = np.linalg.svd(guess, full_matrices=False)
        low = (left * np.maximum(lengths - threshold, 0)) @ right
        guess = np.where(missing, low, table)
    return np.asarray(means + low)


def _components(filled: Reals, count: float, rounds: int = 40) -> Reals:
    size = min(int(count), filled.shape[1])
    known = ~np.isnan(filled)
    means = _column_means(filled)
    table = np.where(known, filled - means, 0)
    loadings = np.linalg.svd(table, full_matrices=False)[2][:size].T
    noise = float((table**2).sum() / known.sum())
    ridge_of_loadings = 0.1 * np.eye(size)
    for _ in range(rounds):
        outer = (loadings[:, :, None] * loadings[:, None]).reshape(len(loadings), -1)
        inside = (known @ outer).reshape(-1, size, size) / noise + np.eye(size)
        covariance = np.linalg.inv(inside)
        scores = np.einsum("nij,nj->ni", covariance, (table @ loadings) / noise)
        second = scores[:, :, None] * scores[:, None] + covariance
        inside = (known.T @ second.reshape(len(second), -1)).reshape(-1, size, size)
        outcome = (table.T @ scores)[:, :, None]
        loadings = np.linalg.solve(inside + ridge_of_loadings, outcome)[:, :, 0]
        left = np.where(known, table - scores @ loadings.T, 0)
        spread = np.einsum("bi,nij,bj->nb", loadings, covariance, loadings, optimize=True)
        noise = max(float((left**2 + np.where(known, spread, 0)).sum() / known.sum()), 1e-4)
    return np.asarray(means + scores @ loadings.T)


def _column_means(filled: Reals) -> Reals:
    known = ~np.isnan(filled)
    counts = known.sum(axis=0)
    sums = np.where(known, filled, 0).sum(axis=0)
    whole = sums.sum() / max(int(counts.sum()), 1)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), whole), np.float64)
