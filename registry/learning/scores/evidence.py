"""What a prediction rests on: other models with scores, and other scores of the model."""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.scores.score_estimate import EstimatedFactors, ScoreAbilities

LEAST_WORTH = 1e-30


class EvidenceWeights(NamedTuple):
    """Places of models or benchmarks, the heaviest first, with their weights.

    Attributes:
        places: intp, n; or a row a model.
        weights: float64, likewise; may be negative.
    """

    places: Places
    weights: Reals

    @classmethod
    def of(cls, places: Places, weights: Reals, most: int) -> "EvidenceWeights":
        """Return those with the largest absolute weights, none of them 0."""
        order = np.argsort(-np.abs(weights), kind="stable")[:most]
        order = order[weights[order] != 0]
        return cls(places[order], weights[order])


def relatives(
    estimate: EstimatedFactors,
    features: Reals,
    column: int,
    ability: ScoreAbilities,
    *,
    row: int | None = None,
    most: int = 10,
) -> EvidenceWeights:
    """Return which models with scores weigh most in the prediction for one model and benchmark.

    A weight is the derivative of the prediction by the ability of the other model, in the direction
    of the benchmark's loadings: if the other's own prediction on this benchmark rose by 1 on the
    working scale, this one would by the weight.

    Args:
        estimate: the fit.
        features: f, of the model.
        column: benchmark.
        ability: of the model alone.
        row: the model's own row, if it is of the fit; it is left out.
        most: models, at most.
    """
    loadings = estimate.loadings[column]
    length = float(loadings @ loadings)
    if not length:
        return EvidenceWeights.of(estimate.measured, np.zeros(len(estimate.measured)), most)
    known = np.flatnonzero(estimate.measured == (-1 if row is None else row))
    of_known, variance = estimate.prior_weights(features, int(known[0]) if len(known) else -1)
    passed = loadings @ ability.covariances[0] / variance * loadings / length
    return EvidenceWeights.of(estimate.measured, of_known @ passed, most)


def strongest(
    estimate: EstimatedFactors, features: Reals, own: Places, *, most: int = 5
) -> EvidenceWeights:
    """Return which models with scores weigh most in the priors of many models, over benchmarks.

    As `relatives` weighs them for a model without scores, averaged over dimensions by the mean
    square of their loadings.

    Args:
        estimate: the fit.
        features: n x f.
        own: n, place among `estimate.measured` of the model itself, which is left out; -1 for none.
        most: models, at most.

    Returns:
        Places among `estimate.measured`, and weights, n x s each, the heaviest first.
    """
    prior, similar = estimate.prior, estimate.prior.groups == 0
    worth = np.square(estimate.loadings).mean(axis=0)
    worth = worth / max(float(worth.sum()), LEAST_WORTH)
    near, added = estimate.local.near(features[:, similar], own, worth)
    # Neighbours count by what the linear function leaves of their abilities.
    beyond = features - np.einsum("ns,nsf->nf", added, prior.features[near])
    weights = beyond @ np.tensordot(worth, prior.inverses, axes=1) @ prior.features.T
    rows = np.arange(len(features))
    weights[rows[:, None], near] += added
    weights[rows[own >= 0], own[own >= 0]] = 0
    most = min(most, weights.shape[1])
    places = np.argpartition(np.abs(weights), -most, axis=1)[:, -most:]
    sizes = np.take_along_axis(weights, places, axis=1)
    order = np.argsort(-np.abs(sizes), axis=1, kind="stable")
    return EvidenceWeights(
        np.take_along_axis(places, order, axis=1), np.take_along_axis(sizes, order, axis=1)
    )


def own_scores(
    estimate: EstimatedFactors,
    column: int,
    ability: ScoreAbilities,
    scores: tuple[Places, Reals, Reals],
    *,
    most: int = 10,
) -> EvidenceWeights:
    """Return which scores of a model weigh most in the prediction for it on one benchmark.

    A weight is the derivative of the prediction by the score, both on the working scale, where the
    score counts as much as it does: one that is unlike all others of its model counts less.

    Args:
        estimate: the fit.
        column: benchmark.
        ability: of the model alone, its posterior given these scores.
        scores: of the model: benchmarks, values on the working scale, and variances of each value's
            own error, s each.
        most: scores, at most.
    """
    columns, values, variances = scores
    precisions = estimate.score_precisions(ability, columns, values, variances)
    passed = estimate.loadings[column] @ ability.covariances[0]
    return EvidenceWeights.of(columns, (estimate.loadings[columns] @ passed) * precisions, most)


def informative_benchmarks(
    estimate: EstimatedFactors, ability: ScoreAbilities, candidates: Places, count: int
) -> Places:
    """Return the benchmarks whose scores would say most of a model's other scores, in order.

    Each next one minimizes the sum of the variances of all benchmarks' predictions, in units of
    their residuals, given scores on those before (greedy A-optimal design).

    Args:
        estimate: the fit.
        ability: of the model alone.
        candidates: benchmarks to choose from.
        count: of benchmarks, at most.
    """
    covariance, left = ability.covariances[0], [int(each) for each in candidates]
    chosen: list[int] = []
    weighted = estimate.loadings / np.sqrt(estimate.residuals)[:, None]
    uncertain = np.einsum("bii->b", estimate.loading_covariances[:, 1:, 1:])
    while left and len(chosen) < count:
        passed = estimate.loadings[left] @ covariance
        noise = estimate.residuals[left] + uncertain[left]
        spread = noise + np.einsum("bi,bi->b", passed, estimate.loadings[left])
        gains = ((passed @ weighted.T) ** 2).sum(axis=1) / spread
        best = int(gains.argmax())
        covariance = covariance - np.outer(passed[best], passed[best]) / spread[best]
        chosen.append(left.pop(best))
    return np.array(chosen, np.intp)
