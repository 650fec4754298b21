"""Factors of a table of scores with holes: abilities of models, loadings of benchmarks.

Variational Bayesian factor analysis with missing values (Ilin and Raiko, Practical Approaches to
Principal Component Analysis in the Presence of Missing Values, JMLR 2010, section 4.3): a score is
intercept + loadings . abilities + noise. Beyond it:

- abilities and loadings have priors that depend on features of models and on names of benchmarks
  (as in Macau: Simm et al. 2017), whose variances turn off dimensions that are not needed;
- noise is Student's t, as a mixture of normal distributions (Lange, Little and Taylor 1989), since
  some scores are of other setups than stated; each benchmark has its own variance, drawn towards
  that of others;
- coordinates are rotated to the principal ones in early rounds, without which convergence is slow
  (Luttinen and Ilin 2010).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from registry.learning.arrays import Places, Reals
from registry.learning.scores.feature_prior import FeaturePrior
from registry.learning.scores.local_prior import LocalPrior
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.packed import pack, squares, unpack

DEGREES = 3.0
"""Degrees of freedom of Student's t."""

ROUNDS = 40
"""Rounds of updates."""

ROTATED = 5
"""Rounds after each of which coordinates are rotated."""

EVERY_ROUND, SELDOM = 10, 4
"""Rounds in each of which variances of the priors are updated, and later every how many: each
update inverts matrices of the features."""

RESIDUAL_WEIGHT = 20.0
"""Scores of a benchmark that the residual variance of others is worth for its own."""

RESIDUAL_SHARE = 0.1
"""Share of the variance of scores that is residual, before any round."""

MOST_VOTES = 20
"""Scores of a benchmark that count, at most, in the residual variance of others."""

LEAST_RESIDUAL = 1e-4

LEAST_SCORE_VARIANCE = 0.01
"""Least residual variance of a benchmark: that of a score of some hundred items. A benchmark and
its copy, or the mean of its parts, would else be without noise, and differences between them decide
on scores of all others."""

LOADING_SHARE = 0.15
"""Share of the variance of scores that is each dimension's, before any round."""

LOADING_PULL = 1.0
"""Benchmarks that a common loading of 0 is worth."""

INTERCEPT_PULL = 0.01

EXPECTED_LOADING = 0.1
"""Share of the variance of scores that each dimension's learned variance is drawn towards.

With 0.01 the prior turns off dimensions that are needed; with 0.2 it keeps noise.
"""

EXPECTED_INTERCEPT = 0.1
"""Share of the variance of intercepts, likewise."""

MODEL_WEIGHT, BENCHMARK_WEIGHT = 1.0, 6.0
"""Rows that the expected variances of the priors of models and of benchmarks are worth."""

DENSE = 8
"""Cells of a table for each of its scores, up to which products of all cells are faster."""

FIRST_SHRINKAGE = 0.7
"""Factor on principal components of the scores, whose holes count as 0."""


class LinearFactors(NamedTuple):
    """Abilities of n models and loadings of B benchmarks, of k dimensions, with covariances.

    Attributes:
        abilities: float64, n x k.
        of_abilities: float64, n x k x k.
        loadings: float64, B x (k + 1), the intercepts first.
        of_loadings: float64, B x (k + 1) x (k + 1).
    """

    abilities: Reals
    of_abilities: Reals
    loadings: Reals
    of_loadings: Reals


@dataclass(slots=True, eq=False)
class ScoreFactors:
    """Posterior of a factor model of scores, of k dimensions.

    Attributes:
        abilities: float64, M x k: posterior means; over models, mean 0 and mean square about 1.
        covariances: float64, M x k x k.
        loadings: float64, B x (k + 1): intercepts, then loadings.
        loading_covariances: float64, B x (k + 1) x (k + 1).
        residuals: float64, B: variance of a score around its prediction.
        precisions: float64, n: factor on the precision of each score, low for outliers.
        of_models: prior of abilities.
        of_benchmarks: prior of intercepts and loadings.
        local: what neighbours add to the prior of abilities, once all rounds are done.
    """

    abilities: Reals
    covariances: Reals
    loadings: Reals
    loading_covariances: Reals
    residuals: Reals
    precisions: Reals
    of_models: FeaturePrior
    of_benchmarks: FeaturePrior
    local: LocalPrior | None = None

    @property
    def linear(self) -> LinearFactors:
        """Abilities and loadings with their covariances."""
        return LinearFactors(
            self.abilities, self.covariances, self.loadings, self.loading_covariances
        )


class FilledCells(NamedTuple):
    """Cells of a table, n x m, that have a score, with the order of a sparse matrix."""

    rows: Places
    columns: Places
    order: Places
    starts: Places
    shape: tuple[int, int]

    @classmethod
    def of(cls, rows: Places, columns: Places, shape: tuple[int, int]) -> "FilledCells":
        """Return the cells of a table of this shape."""
        starts = np.bincount(rows, minlength=shape[0]).cumsum()
        order = np.lexsort((columns, rows))
        return cls(rows, columns, order, np.append(0, starts).astype(np.intp), shape)

    def matrix(self, data: Reals) -> csr_array:
        """Return numbers, one a cell, as a sparse matrix."""
        return csr_array((data[self.order], self.columns[self.order], self.starts), self.shape)


def factorize(
    observations: ScoreObservations, dimensions: int, similar: Reals, rounds: int = ROUNDS
) -> ScoreFactors:
    """Fit the factors.

    Args:
        observations: scores and features of models.
        dimensions: k, at least 1.
        similar: float64, B x g: features of benchmarks, mean 0, such as `name_features`.
        rounds: of updates.
    """
    cells = FilledCells.of(
        observations.rows, observations.columns, (observations.models, observations.benchmarks)
    )
    factors = _start(observations, cells, similar, dimensions)
    for step in range(rounds):
        _update_abilities(factors, observations, cells)
        if step < ROTATED:
            _rotate(factors)
        _standardize(factors)
        _update_loadings(factors, observations, cells)
        if step < EVERY_ROUND or step % SELDOM == 0:
            _update_variances(factors)
        _update_residuals(factors, observations)
    _update_abilities(factors, observations, cells, alone=True)
    _use_neighbours(factors)
    _update_abilities(factors, observations, cells, alone=True)
    return factors


def _start(
    observations: ScoreObservations, cells: FilledCells, similar: Reals, size: int
) -> ScoreFactors:
    """Return factors from the means of benchmarks and models, and principal components."""
    models, benchmarks = cells.shape
    rows, columns, values = cells.rows, cells.columns, observations.values
    intercepts = _shrunk_means(columns, values - values.mean(), benchmarks) + values.mean()
    left = values - intercepts[columns]
    levels = _shrunk_means(rows, left, models)
    level = max(float(levels.std()), LEAST_RESIDUAL)
    table = cells.matrix(left - levels[rows])
    squares_of_columns, axes = np.linalg.eigh((table.T @ table).toarray())
    axes = axes[:, ::-1][:, : size - 1]
    lengths = np.sqrt(np.maximum(squares_of_columns[::-1][: size - 1], LEAST_RESIDUAL) / models)
    abilities, loadings = np.zeros((models, size)), np.zeros((benchmarks, size + 1))
    abilities[:, 0], loadings[:, 0], loadings[:, 1] = levels / level, intercepts, level
    others = 1 + axes.shape[1]
    abilities[:, 1:others] = table @ axes / lengths
    loadings[:, 2 : 1 + others] = axes * lengths * FIRST_SHRINKAGE
    total = float(left.var())
    scale = np.append(intercepts.var() + LEAST_RESIDUAL, np.full(size, total * LOADING_SHARE))
    drawn = np.append(scale[0] * EXPECTED_INTERCEPT, np.full(size, total * EXPECTED_LOADING))
    half = np.full(size, 0.5)
    return ScoreFactors(
        abilities,
        np.tile(np.eye(size) * 0.3, (models, 1, 1)),
        loadings,
        np.tile(np.eye(size + 1) * 0.02, (benchmarks, 1, 1)),
        np.full(benchmarks, max(RESIDUAL_SHARE * total, LEAST_RESIDUAL)),
        np.ones(len(values)),
        FeaturePrior.of(
            observations.features,
            half,
            half,
            expected=(half, half),
            groups=observations.groups,
            weight=MODEL_WEIGHT,
        ),
        FeaturePrior.of(
            similar, scale * 0.7, scale * 0.3, expected=(drawn, drawn), weight=BENCHMARK_WEIGHT
        ),
    )


def _update_abilities(
    factors: ScoreFactors,
    observations: ScoreObservations,
    cells: FilledCells,
    *,
    alone: bool = False,
) -> None:
    """Update abilities by scores and prior.

    Args:
        factors: to update.
        observations: with their scores.
        cells: theirs.
        alone: whether the prior leaves out the model's own abilities; else its mean holds them,
            as long as they change, and its variance does not.
    """
    information, evidence = ability_information(
        cells,
        observations.values,
        _precisions(factors, observations),
        factors.loadings,
        factors.loading_covariances,
    )
    prior = factors.of_models
    mean, variance = prior.others(factors.abilities) if alone else (prior.means(), prior.noise)
    if factors.local:
        added, taken = factors.local.others()
        mean, variance = mean + added, variance - taken
    factors.abilities, factors.covariances = posterior(information, evidence, mean, variance)


def _use_neighbours(factors: ScoreFactors) -> None:
    """Let neighbours explain what features leave of the abilities."""
    prior, abilities = factors.of_models, factors.abilities
    factors.local = LocalPrior.of(
        prior.features[:, prior.groups == 0],
        abilities - prior.means(),
        np.einsum("nii->ni", factors.covariances),
        prior.noise,
        abilities - prior.others(abilities)[0],
    )


def ability_information(
    cells: FilledCells, values: Reals, precisions: Reals, loadings: Reals, covariances: Reals
) -> tuple[Reals, Reals]:
    """Return what scores state of abilities: their information, n x k x k, and evidence, n x k.

    The evidence is the product of the information and the abilities that the scores state.

    Args:
        cells: s cells of n models.
        values: s.
        precisions: s, inverse variances.
        loadings: B x (k + 1), the intercepts first.
        covariances: B x (k + 1) x (k + 1), theirs.
    """
    weighted = cells.matrix(precisions)
    second = squares(loadings[:, 1:]) + pack(covariances[:, 1:, 1:])
    offsets = loadings[:, :1] * loadings[:, 1:] + covariances[:, 0, 1:]
    evidence = cells.matrix(precisions * values) @ loadings[:, 1:] - weighted @ offsets
    return unpack(weighted @ second), np.asarray(evidence, np.float64)


def posterior(
    information: Reals, evidence: Reals, mean: Reals, variance: Reals
) -> tuple[Reals, Reals]:
    """Return the mean, n x d, and covariance, n x d x d, of a normal prior with information.

    Args:
        information: n x d x d, inverse covariance that observations contribute.
        evidence: n x d, its product with what they state.
        mean: n x d, of the prior.
        variance: n x d or d, of the prior.
    """
    variance = np.broadcast_to(variance, mean.shape)
    precision = information.copy()
    diagonal = np.arange(mean.shape[1])
    precision[:, diagonal, diagonal] += 1 / variance
    covariance = np.linalg.inv(precision)
    found = np.einsum("nij,nj->ni", covariance, evidence + mean / variance)
    return np.asarray(found, np.float64), np.asarray(covariance, np.float64)


def _rotate(factors: ScoreFactors) -> None:
    """Change to coordinates in which abilities are white and loadings uncorrelated."""
    abilities, loadings = factors.abilities, factors.loadings[:, 1:]
    second = abilities.T @ abilities + factors.covariances.sum(axis=0)
    values, vectors = np.linalg.eigh(second / len(abilities))
    half = vectors * np.sqrt(np.maximum(values, LEAST_RESIDUAL))
    of_loadings = loadings.T @ loadings + factors.loading_covariances[:, 1:, 1:].sum(axis=0)
    onto = half @ np.linalg.eigh(half.T @ of_loadings @ half)[1][:, ::-1]
    signs = np.where((loadings @ onto).sum(axis=0) < 0, -1.0, 1.0)
    _transform(factors, np.asarray(onto * signs, np.float64))


def _standardize(factors: ScoreFactors) -> None:
    """Scale abilities to a mean square of 1, and move their mean to the intercepts."""
    centre = factors.abilities.mean(axis=0)
    factors.abilities -= centre
    factors.of_models.mean -= centre
    factors.loadings[:, 0] += factors.loadings[:, 1:] @ centre
    own = np.einsum("nii->ni", factors.covariances)
    _transform(factors, np.diag(np.sqrt((factors.abilities**2 + own).mean(axis=0))))


def _transform(factors: ScoreFactors, matrix: Reals) -> None:
    """Change loadings to `loadings @ matrix`, and abilities so that predictions stay."""
    inverse = np.asarray(np.linalg.inv(matrix), np.float64)
    factors.abilities = factors.abilities @ inverse.T
    factors.covariances = inverse @ factors.covariances @ inverse.T
    both = np.eye(len(matrix) + 1)
    both[1:, 1:] = matrix
    factors.loadings = factors.loadings @ both
    factors.loading_covariances = both.T @ factors.loading_covariances @ both
    factors.of_models.transform(inverse)
    factors.of_benchmarks.transform(both.T)


def _update_loadings(
    factors: ScoreFactors, observations: ScoreObservations, cells: FilledCells
) -> None:
    size = factors.abilities.shape[1]
    factors.of_models.learn(factors.abilities, pull=np.zeros(size))
    precisions = _precisions(factors, observations)
    extended = _extended(factors.abilities)
    second = squares(extended) + pack(_bordered(factors.covariances))
    information = unpack(cells.matrix(precisions).T @ second)
    evidence = cells.matrix(precisions * observations.values).T @ extended
    prior = factors.of_benchmarks
    factors.loadings, _ = posterior(information, evidence, prior.means(), prior.noise)
    alone = prior.noise / (1 - prior.leverages())
    _, factors.loading_covariances = posterior(information, evidence, prior.means(), alone)
    pull = np.append(INTERCEPT_PULL, np.full(size, LOADING_PULL))
    prior.learn(factors.loadings, pull=pull)


def _update_variances(factors: ScoreFactors) -> None:
    own = np.einsum("nii->ni", factors.covariances)
    factors.of_models.learn_variances(factors.abilities, own)
    own = np.einsum("nii->ni", factors.loading_covariances)
    factors.of_benchmarks.learn_variances(factors.loadings, own)


def _update_residuals(factors: ScoreFactors, observations: ScoreObservations) -> None:
    columns = observations.columns
    mean, variance = moments(factors.linear, observations.rows, columns)
    error = (observations.values - mean) ** 2 + variance
    residual = factors.residuals[columns]
    # The part of a deviation that is the residual's, where a score has an error of its own.
    share = residual / (residual + observations.variances)
    squared = share**2 * error * factors.precisions + residual * (1 - share)
    counts = np.bincount(columns, minlength=len(factors.residuals))
    weights = np.minimum(counts, MOST_VOTES)
    common = RESIDUAL_WEIGHT * np.exp(np.average(np.log(factors.residuals), weights=weights))
    total = np.bincount(columns, squared, len(counts)) + common
    factors.residuals = np.maximum(total / (counts + RESIDUAL_WEIGHT), LEAST_SCORE_VARIANCE)
    total_variances = factors.residuals[columns] + observations.variances
    factors.precisions = student_precisions(error, total_variances)


def _precisions(factors: ScoreFactors, observations: ScoreObservations) -> Reals:
    """Return the precision of each score, n."""
    variances = factors.residuals[observations.columns] + observations.variances
    return np.asarray(factors.precisions / variances)


def student_precisions(squared: Reals, variances: Reals) -> Reals:
    """Return factors on precisions by expected squared errors, n; near 0 for outliers."""
    return np.asarray((DEGREES + 1) / (DEGREES + squared / variances))


def moments(factors: LinearFactors, rows: Places, columns: Places) -> tuple[Reals, Reals]:
    """Return mean and variance of intercept and product at s cells, s each.

    The variance is w'Cw + x'Sx + tr(SC), for loadings w with covariance S and abilities with
    covariance C, where x are the abilities behind a 1: two inner products of packed matrices.
    """
    abilities, of_abilities, loadings, of_loadings = factors
    extended = _extended(abilities)
    second = squares(loadings[:, 1:]) + pack(of_loadings[:, 1:, 1:])
    mean = _products(extended, loadings, rows, columns)
    variance = _products(pack(of_abilities), second, rows, columns)
    return mean, variance + _products(squares(extended), pack(of_loadings), rows, columns)


def _products(left: Reals, right: Reals, rows: Places, columns: Places) -> Reals:
    """Return inner products of rows of two matrices, s."""
    if len(left) * len(right) <= DENSE * len(rows):
        return np.asarray((left @ right.T)[rows, columns])
    return np.asarray(np.einsum("ni,ni->n", left[rows], right[columns]))


def _extended(abilities: Reals) -> Reals:
    """Return abilities behind a 1, n x (k + 1)."""
    return np.column_stack([np.ones(len(abilities)), abilities])


def _bordered(covariances: Reals) -> Reals:
    """Return covariances with a first row and column of 0, n x (k + 1) x (k + 1)."""
    return np.pad(covariances, ((0, 0), (1, 0), (1, 0)))


def _shrunk_means(places: Places, values: Reals, count: int) -> Reals:
    """Return means by place, as if each had two more values of 0."""
    return np.bincount(places, values, count) / (np.bincount(places, minlength=count) + 2)
