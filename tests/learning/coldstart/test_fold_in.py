"""Fold-in of models by some outcomes, against the posterior found the slow way."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.coldstart.fold_in import ItemParameters, error_correlation, fold
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.intervals import expected


def naive_posterior(
    mean: Reals, covariance: Reals, items: ItemParameters, outcomes: Reals
) -> tuple[Reals, Reals]:
    """Return the mode of a posterior, and its variances by the curvature there."""
    precision = np.linalg.inv(covariance)

    def loss(at: Reals) -> float:
        logits = items.vectors @ at + items.offsets
        misfit = np.logaddexp(0, logits) - outcomes * logits
        return float(misfit.sum() + (at - mean) @ precision @ (at - mean) / 2)

    found = minimize(loss, mean, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    p = expit(items.vectors @ found.x + items.offsets)
    weighed = items.vectors * (p * (1 - p))[:, None]
    return found.x, np.diagonal(np.linalg.inv(precision + weighed.T @ items.vectors))


@pytest.mark.parametrize("errors_go_together", [False, True])
def test_it_is_the_posterior_whatever_the_variances(*, errors_go_together: bool) -> None:
    draw = np.random.default_rng(0)
    items = ItemParameters(draw.normal(size=(25, 3)), draw.normal(size=25))
    variances = np.array([[0.25, 4.0, 1.5], [9.0, 0.5, 0.01]])
    prior = VectorEstimate(draw.normal(size=(2, 3)), variances, np.ones(2))
    correlation = np.array([[1, 0.6, -0.3], [0.6, 1, 0.2], [-0.3, 0.2, 1]])
    outcomes = draw.integers(0, 2, (2, 25)).astype(np.float64)
    shown = outcomes.copy()
    shown[1, 10:] = np.nan
    found = fold(prior, items, shown, correlation if errors_go_together else None)
    for model, seen in enumerate((25, 10)):
        deviation = np.sqrt(variances[model])
        correlated = correlation if errors_go_together else np.eye(3)
        some = ItemParameters(items.vectors[:seen], items.offsets[:seen])
        covariance = correlated * np.outer(deviation, deviation)
        mean, variance = naive_posterior(
            prior.mean[model], covariance, some, outcomes[model, :seen]
        )
        np.testing.assert_allclose(found.mean[model], mean, atol=1e-4)
        np.testing.assert_allclose(found.variance[model], variance, rtol=1e-3)


def test_flattened_items_have_the_probabilities_of_uncertain_logits() -> None:
    draw = np.random.default_rng(2)
    items = ItemParameters(draw.normal(size=(4, 3)), draw.normal(size=4))
    vector = draw.normal(size=3)
    flat = items.flattened(2.5)
    logits = items.vectors @ vector + items.offsets
    ours = expit(flat.vectors @ vector + flat.offsets)
    np.testing.assert_allclose(ours, expected(logits, np.full(4, 2.5)))
    means = expit(logits + np.sqrt(2.5) * draw.normal(size=(100_000, 1))).mean(axis=0)
    np.testing.assert_allclose(ours, means, atol=0.015)


def test_variances_along_axes_are_those_of_the_posterior() -> None:
    draw = np.random.default_rng(3)
    items = ItemParameters(draw.normal(size=(25, 3)), draw.normal(size=25))
    covariance = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.3], [0.0, 0.3, 0.5]])
    own = covariance.diagonal()
    correlation = covariance / np.sqrt(np.outer(own, own))
    axes = Axes.of(covariance, items.vectors.T @ items.vectors / 25)
    variance = np.tile(own, (2, 1))
    along = axes.of_prior(variance, covariance)
    prior = VectorEstimate(np.zeros((2, 3)), variance, np.ones(2), along)
    shown = draw.integers(0, 2, (2, 25)).astype(np.float64)
    shown[1] = np.nan
    found = fold(prior, items, shown, correlation, axes=axes)
    assert found.along is not None
    np.testing.assert_allclose(found.along[1], 1)
    p = expit(items.vectors @ found.mean[0] + items.offsets)
    weighed = items.vectors * (p * (1 - p))[:, None]
    posterior = np.linalg.inv(np.linalg.inv(covariance) + weighed.T @ items.vectors)
    np.testing.assert_allclose(found.along[0], axes.along(posterior[None])[0], rtol=1e-4)
    assert fold(prior, items, shown, correlation).along is None


def test_a_correlation_is_drawn_towards_none_so_that_it_inverts() -> None:
    """Three models in eight dimensions: what they show alone is of rank three."""
    draw = np.random.default_rng(1)
    models, dimension = 3, 8
    variance = draw.uniform(0.1, 4, (models, dimension))
    left_out = VectorEstimate(draw.normal(size=(models, dimension)), variance, np.ones(models))
    vectors = draw.normal(size=(models, dimension))
    found = error_correlation(left_out, vectors)
    errors = (vectors - left_out.mean) / np.sqrt(variance)
    errors /= np.sqrt((errors**2).mean(axis=0))
    for one in range(dimension):
        for other in range(dimension):
            together = (errors[:, one] * errors[:, other]).sum() / (models + dimension)
            assert found[one, other] == pytest.approx(1 if one == other else together)
    assert np.linalg.eigvalsh(found).min() > 0.1
