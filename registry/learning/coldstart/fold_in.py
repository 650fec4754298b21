"""Fold-in of models with a few outcomes: posterior vectors by the Laplace approximation.

Logistic regression of a model's outcomes on frozen item vectors, with the vector predicted from the
catalog as the mean of a Gaussian prior: the mode by Newton's method, the covariance by the Laplace
approximation (Bishop, Pattern Recognition and Machine Learning, 2006, section 4.5; METHODS.md
section 2, fold-in). The cost is linear in the model's own outcomes.

A prediction has a variance per coordinate, but errors of coordinates are correlated: a model's
level and its first abilities are learned from the same outcomes. So the prior has the correlation
of the leave-one-out errors of the known models (`error_correlation`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.coldstart.gp import VectorEstimate

LEAST_VARIANCE = 1e-6

MOST_STEPS = 30
"""Newton steps, at most."""

CONVERGED = 1e-6
"""Length of the last step, in standard deviations of the prior."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemParameters:
    """Frozen items: the logit of a model with vector p on item i is p . vectors[i] + offsets[i].

    Attributes:
        vectors: float, N x d.
        offsets: float, N.
    """

    vectors: NDArray[np.floating[Any]]
    offsets: NDArray[np.floating[Any]]

    def flattened(self, variance: float) -> "ItemParameters":
        """Return the items with a variance of their logits integrated out.

        An outcome says less of a model where the item's parameters are uncertain themselves. By the
        probit approximation, as `registry.learning.intervals`.

        Args:
            variance: of each logit, apart from the model's.
        """
        factor = 1 / np.sqrt(1 + np.pi / 8 * variance)
        return ItemParameters(self.vectors * factor, self.offsets * factor)


def error_correlation(left_out: VectorEstimate, vectors: Reals) -> Reals:
    """Return the correlation of prediction errors between coordinates, float64, d x d.

    Shrunk towards the identity, as if d more models had uncorrelated errors, so that it is
    invertible.

    Args:
        left_out: leave-one-out predictions of M known models, as `Prior.left_out`.
        vectors: M x d, their trained vectors.
    """
    errors = (vectors - left_out.mean) / np.sqrt(np.maximum(left_out.variance, LEAST_VARIANCE))
    # A coordinate that is the same for all models has no error.
    errors /= np.maximum(np.sqrt((errors**2).mean(axis=0)), LEAST_VARIANCE)
    models, dimension = errors.shape
    correlation = errors.T @ errors / (models + dimension)
    np.fill_diagonal(correlation, 1)
    return np.asarray(correlation, np.float64)


def relative_precision(
    shift: Reals, covariance: Reals, precision: Reals, degrees: float | None
) -> float:
    """Return the expected scale of a prior's precision, given how far the posterior is from it.

    Student's t is a mixture of normal distributions of different scales; this is the E-step of
    their scale (Lange, Little and Taylor, Robust statistical modeling using the t distribution,
    1989): about 1 where outcomes agree with the prior, less where they do not.

    Args:
        shift: d, mean of the posterior less that of the prior.
        covariance: d x d, of the posterior.
        precision: d x d, of the normal prior.
        degrees: of freedom; None for a normal prior, whose scale is 1.
    """
    if degrees is None:
        return 1.0
    distance = float(shift @ precision @ shift + np.sum(precision * covariance))
    return (degrees + len(shift)) / (degrees + distance)


def fold(
    prior: VectorEstimate,
    items: ItemParameters,
    outcomes: NDArray[np.floating[Any]],
    correlation: Reals | None = None,
    *,
    degrees: float | None = None,
    axes: Axes | None = None,
) -> VectorEstimate:
    """Return the posterior of n models' vectors, given some outcomes.

    Args:
        prior: their predicted vectors.
        items: N frozen items.
        outcomes: n x N, in [0, 1], where graded ones count as fractions; nan where not observed.
        correlation: float64, d x d, of the prior's errors; None for independent ones.
        degrees: of freedom of a prior with the tails of Student's t, which outcomes that contradict
            the catalog overcome; None for a normal prior.
        axes: along which the posterior has variances too; the prior needs them then.

    Raises:
        UsageError: for an outcome out of range.
        ValueError: for shapes that differ.
    """
    if outcomes.shape != (len(prior.mean), len(items.vectors)):
        raise ValueError(f"There are outcomes {outcomes.shape} for other models or items.")
    observed = ~np.isnan(outcomes)
    if observed.any() and not (outcomes[observed].min() >= 0 and outcomes[observed].max() <= 1):
        raise UsageError("Outcomes must be within 0 and 1.")
    mean, variance = prior.mean.copy(), np.maximum(prior.variance, LEAST_VARIANCE)
    inverse = np.linalg.inv(np.eye(mean.shape[1]) if correlation is None else correlation)
    along = None if axes is None or prior.along is None else prior.along.copy()
    for model in np.flatnonzero(observed.any(axis=1)):
        columns = np.flatnonzero(observed[model])
        deviation = np.sqrt(variance[model])
        mean[model], covariance = _laplace(
            mean[model],
            inverse / np.outer(deviation, deviation),
            items.vectors[columns].astype(np.float64),
            items.offsets[columns].astype(np.float64),
            outcomes[model, columns].astype(np.float64),
            degrees,
        )
        variance[model] = np.diagonal(covariance)
        if axes is not None and along is not None:
            along[model] = axes.along(covariance)
    return VectorEstimate(mean, variance, prior.support, along)


def _laplace(  # noqa: PLR0917 - a model's prior and outcomes
    centre: Reals,
    precision: Reals,
    items: Reals,
    offsets: Reals,
    outcomes: Reals,
    degrees: float | None,
) -> tuple[Reals, Reals]:
    """Return the mode, d, and the covariance, d x d, of one model's posterior.

    Args:
        centre: d, mean of the prior.
        precision: d x d, of the prior.
        items: n x d, vectors of the observed items.
        offsets: n.
        outcomes: n.
        degrees: of freedom, as of `fold`.
    """
    mode = centre.copy()
    covariance: Reals = np.asarray(np.linalg.inv(precision), np.float64)
    normal = np.asarray(precision, np.float64)
    for _ in range(MOST_STEPS):
        precision = normal * relative_precision(mode - centre, covariance, normal, degrees)
        p = expit(items @ mode + offsets)
        gradient = items.T @ (outcomes - p) - precision @ (mode - centre)
        weights = np.maximum(p * (1 - p), 1e-6)
        covariance = np.linalg.inv(precision + (items * weights[:, None]).T @ items)
        step = covariance @ gradient
        # A full step far from the mode may overshoot; the log posterior is concave, so shorten it.
        length = float(np.sqrt(step @ precision @ step))
        mode = mode + step / max(1.0, length / 2)
        if length < CONVERGED:
            break
    return mode, covariance
