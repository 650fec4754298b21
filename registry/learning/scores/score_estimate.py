"""Estimated factors of a table of scores, which predict and take in other models."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.scores import factors as factor_model
from registry.learning.scores.conformal import ScorePredictions, evidence_groups
from registry.learning.scores.error_scales import ErrorScales
from registry.learning.scores.factors import FilledCells, LinearFactors
from registry.learning.scores.feature_prior import FeaturePrior
from registry.learning.scores.local_prior import LocalPrior
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.packed import pack, squares

FOLDING_ROUNDS = 8
"""Rounds in which scores of a new model get precisions by Student's t."""


class ScoreAbilities(NamedTuple):
    """ScoreAbilities of n models.

    Attributes:
        means: float64, n x k.
        covariances: float64, n x k x k.
        own: intp, n: scores of the model that they rest on; with 0, they are the prior.
        scales: float64, n x 2: factors on deviations of predictions, without and with own scores.
    """

    means: Reals
    covariances: Reals
    own: Places
    scales: Reals

    def only(self, rows: Places) -> Self:
        """Return the abilities of some of the models."""
        return type(self)(
            self.means[rows], self.covariances[rows], self.own[rows], self.scales[rows]
        )


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedFactors:
    """Factors of the scores of M models on B benchmarks, of k dimensions.

    On the working scale, a score is intercepts[b] + loadings[b] . means[m]; its variance is
    w'Cw + x'Sx + tr(SC) + residuals[b], where w are the loadings, C the covariance of the
    abilities, S that of intercept and loadings, and x the abilities behind a 1. That is an inner
    product of a vector of the model and one of the benchmark, see `model_vectors`. Deviations of
    predictions, its roots, are multiplied by the model's scale.

    Attributes:
        means: float64, M x k: abilities.
        covariances: float64, M x k x k.
        own: intp, M: scores of each model.
        scales: float64, M x 2: factors on deviations of predictions, without and with own scores;
            1 where they were not learned, see `error_scales`.
        intercepts: float64, B.
        loadings: float64, B x k.
        loading_covariances: float64, B x (k + 1) x (k + 1): the intercept comes first.
        residuals: float64, B: variance of a score around its prediction.
        of_benchmarks: intp, B: scores of each benchmark.
        prior: of abilities given features; its rows are the models with scores.
        local: what neighbours among them add to it.
        measured: intp: those models.
    """

    means: Reals
    covariances: Reals
    own: Places
    scales: Reals
    intercepts: Reals
    loadings: Reals
    loading_covariances: Reals
    residuals: Reals
    of_benchmarks: Places
    prior: FeaturePrior
    local: LocalPrior
    measured: Places

    @classmethod
    def of(cls, observations: ScoreObservations, dimensions: int, similar: Reals) -> Self:
        """Return the estimate; models without scores get their prior.

        Args:
            observations: scores, and features of models.
            dimensions: k.
            similar: B x g, features of benchmarks.
        """
        own, of_benchmarks = observations.counts()
        measured = np.flatnonzero(own)
        factors = factor_model.factorize(observations.of_models(measured), dimensions, similar)
        unmeasured = np.flatnonzero(own == 0)
        assert factors.local is not None
        means = np.empty((len(own), dimensions))
        covariances = np.empty((len(own), dimensions, dimensions))
        means[unmeasured], variances = _prior(
            factors.of_models,
            factors.local,
            observations.features[unmeasured],
            None if observations.apart is None else observations.apart[unmeasured],
        )
        covariances[unmeasured] = _diagonal(variances)
        means[measured], covariances[measured] = factors.abilities, factors.covariances
        return cls(
            means,
            covariances,
            own,
            np.ones((len(own), 2)),
            factors.loadings[:, 0],
            factors.loadings[:, 1:],
            factors.loading_covariances,
            factors.residuals,
            of_benchmarks,
            factors.of_models,
            factors.local,
            measured,
        )

    @property
    def dimensions(self) -> int:
        """Number of dimensions k."""
        return len(self.loadings.T)

    @property
    def abilities(self) -> ScoreAbilities:
        """ScoreAbilities of the M models."""
        return ScoreAbilities(self.means, self.covariances, self.own, self.scales)

    def predict(
        self, rows: Places, columns: Places, of: ScoreAbilities | None = None
    ) -> ScorePredictions:
        """Predict scores on the working scale, n.

        Args:
            rows: n, models.
            columns: n, benchmarks.
            of: abilities of other models, which `rows` are then of.
        """
        abilities = of or self.abilities
        mean, variance = factor_model.moments(self._linear(abilities), rows, columns)
        groups = evidence_groups(abilities.own[rows], self.of_benchmarks[columns])
        deviation = np.sqrt(variance + self.residuals[columns])
        scales = abilities.scales[rows, (groups > 0).astype(np.intp)]
        return ScorePredictions(columns, mean, deviation * scales, groups)

    def place(self, features: Reals, apart: Reals | None = None) -> ScoreAbilities:
        """Return the prior of models without scores.

        Args:
            features: n x f, of the space of the observations' features.
            apart: n, as in `ScoreObservations`; None for 0.
        """
        means, variances = _prior(self.prior, self.local, features, apart)
        return ScoreAbilities(
            means, _diagonal(variances), np.zeros(len(means), np.intp), np.ones((len(means), 2))
        )

    def fold_in(
        self, features: Reals, rows: Places, columns: Places, values: Reals, variances: Reals
    ) -> ScoreAbilities:
        """Return the posterior of new models, with all else as it is.

        Args:
            features: n x f, of n models.
            rows: s, which of the models each score is of.
            columns: s, benchmarks.
            values: s, on the working scale.
            variances: s, of each value's own error; 0 where exact.

        Raises:
            ValueError: for features of another width, benchmarks that are unknown, or values that
                are not finite.
        """
        if features.ndim != 2 or features.shape[1] != len(self.prior.groups):  # noqa: PLR2004
            raise ValueError(f"features are to have {len(self.prior.groups)} columns")
        return self.update(self.place(features), rows, columns, values, variances)

    def measured_prior(self, places: Places) -> ScoreAbilities:
        """Return the prior of models with scores, each by what is known of all others.

        Args:
            places: n, of the models among `measured`.
        """
        mean, variance = self.prior.others(self.means[self.measured])
        added, taken = self.local.others()
        return ScoreAbilities(
            (mean + added)[places],
            _diagonal((variance - taken)[places]),
            np.zeros(len(places), np.intp),
            self.scales[self.measured][places],
        )

    def update(
        self,
        prior: ScoreAbilities,
        rows: Places,
        columns: Places,
        values: Reals,
        variances: Reals,
    ) -> ScoreAbilities:
        """Return the posterior of n models given scores, with all else as it is.

        Args:
            prior: of the models, with diagonal covariances.
            rows: s, which of the models each score is of.
            columns: s, benchmarks.
            values: s, on the working scale.
            variances: s, of each value's own error; 0 where exact.

        Raises:
            ValueError: for benchmarks that are unknown, or values that are not finite.
        """
        self._check(len(prior.means), rows, columns, values, variances)
        own = np.bincount(rows, minlength=len(prior.means))
        variance = np.einsum("nii->ni", prior.covariances)
        total = self.residuals[columns] + variances
        precisions = np.ones(len(values))
        cells = FilledCells.of(rows, columns, (len(prior.means), len(self.intercepts)))
        means, covariances = prior.means, prior.covariances
        for _ in range(FOLDING_ROUNDS):
            information, evidence = factor_model.ability_information(
                cells, values, precisions / total, self._extended, self.loading_covariances
            )
            means, covariances = factor_model.posterior(
                information, evidence, prior.means, variance
            )
            mean, spread = factor_model.moments(
                self._linear(ScoreAbilities(means, covariances, own, prior.scales)), rows, columns
            )
            precisions = factor_model.student_precisions((values - mean) ** 2 + spread, total)
        return ScoreAbilities(means, covariances, own, prior.scales)

    def score_precisions(
        self, ability: ScoreAbilities, columns: Places, values: Reals, variances: Reals
    ) -> Reals:
        """Return how much scores count in the abilities of their model: inverse variances, s.

        Args:
            ability: of the model alone, its posterior given these scores.
            columns: s, benchmarks.
            values: s, on the working scale.
            variances: s, of each value's own error; 0 where exact.
        """
        rows = np.zeros(len(columns), np.intp)
        mean, spread = factor_model.moments(self._linear(ability), rows, columns)
        total = self.residuals[columns] + variances
        precisions = factor_model.student_precisions((values - mean) ** 2 + spread, total)
        return np.asarray(precisions / total)

    def prior_weights(self, features: Reals, own: int = -1) -> tuple[Reals, Reals]:
        """Return weights of measured models in the prior mean of one model, and its variance.

        Args:
            features: f.
            own: place among the measured models of the model itself, which is left out; -1 where it
                is not among them.

        Returns:
            Derivatives of the prior mean by the abilities of the measured models, n x k, each in
            its dimension; and the prior variance, k.
        """
        prior, similar = self.prior, self.prior.groups == 0
        near = self.local.weights(features[similar], own)
        # Neighbours count by what the linear function leaves of their abilities.
        beyond = features[:, None] - prior.features.T @ near
        weights = prior.weights(beyond)
        if own >= 0:
            share = 1 - prior.leverages()[own]
            _, taken = self.local.others()
            weights, variance = weights / share, prior.noise / share - taken[own]
            weights[own] = 0
        else:
            variance = _prior(prior, self.local, features[None], None)[1][0]
        return weights + near, variance

    def model_vectors(self, of: ScoreAbilities | None = None) -> Reals:
        """Return vectors of models whose products with `benchmark_vectors` are variances.

        They are the packed covariance, and the packed squares of the abilities behind a 1:
        n x (k (k + 1) / 2 + (k + 1) (k + 2) / 2). `residuals` add to the product.
        """
        abilities = of or self.abilities
        extended = np.column_stack([np.ones(len(abilities.means)), abilities.means])
        return np.concatenate([pack(abilities.covariances), squares(extended)], axis=1)

    def benchmark_vectors(self) -> Reals:
        """Return vectors of benchmarks, B x (k (k + 1) / 2 + (k + 1) (k + 2) / 2)."""
        covariances = self.loading_covariances
        second = squares(self.loadings) + pack(covariances[:, 1:, 1:])
        return np.concatenate([second, pack(covariances)], axis=1)

    @property
    def _extended(self) -> Reals:
        """Loadings behind the intercepts, B x (k + 1)."""
        return np.column_stack([self.intercepts, self.loadings])

    def _linear(self, abilities: ScoreAbilities) -> LinearFactors:
        return LinearFactors(
            abilities.means, abilities.covariances, self._extended, self.loading_covariances
        )

    def _check(
        self, models: int, rows: Places, columns: Places, values: Reals, variances: Reals
    ) -> None:
        if not len(rows) == len(columns) == len(values) == len(variances):
            raise ValueError("rows, columns, values and variances are to have one length")
        if len(columns) and not (columns.min() >= 0 and columns.max() < len(self.intercepts)):
            raise ValueError(f"columns are to be from 0 to {len(self.intercepts) - 1}")
        if len(rows) and not (rows.min() >= 0 and rows.max() < models):
            raise ValueError(f"rows are to be from 0 to {models - 1}")
        if not np.isfinite(values).all():
            raise ValueError("values are to be finite")
        if not (np.isfinite(variances).all() and (variances >= 0).all()):
            raise ValueError("variances are to be finite and at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class ScaledFactors(EstimatedFactors):
    """Estimated factors whose deviations were compared with errors of held-out scores.

    Attributes:
        error_scales: from which the models' scales follow.
    """

    error_scales: ErrorScales

    def place(self, features: Reals, apart: Reals | None = None) -> ScoreAbilities:
        """Return the prior of models without scores.

        Args:
            features: n x f, of the space of the observations' features.
            apart: n, as in `ScoreObservations`; None for 0.
        """
        prior = super(ScaledFactors, self).place(features, apart)
        return prior._replace(scales=self.error_scales.scales(features))


def _prior(
    prior: FeaturePrior, local: LocalPrior, features: Reals, apart: Reals | None
) -> tuple[Reals, Reals]:
    """Return means and variances of the abilities of models without scores, n x k each."""
    means, variances = prior.predict(features)
    added, taken = local.predict(features[:, prior.groups == 0])
    variances = variances - taken
    if apart is not None:
        variances = variances + apart[:, None] * prior.signal[0]
    return means + added, variances


def _diagonal(variances: Reals) -> Reals:
    """Return diagonal matrices, n x k to n x k x k."""
    return np.asarray(variances[:, :, None] * np.eye(variances.shape[1]))
