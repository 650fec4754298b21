"""Vectors of models with a few outcomes, fitted to frozen vectors of items.

A logistic regression of the outcomes on items' vectors, with what was believed of the model before
as its Gaussian prior: the mode by Newton's method, the covariance by Laplace's approximation
(Bishop, Pattern Recognition and Machine Learning, 2006, section 4.5; METHODS.md section 2,
fold-in). The cost of a model is that of its own outcomes alone.

A guess tells a variance of each coordinate, but errors of several go together: the level of a model
and its first abilities are learned from the same outcomes. So the prior has the correlation of the
errors that known models are guessed with, each from the others (`correlation`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from registry.errors import UsageError
from registry.learning.coldstart.gp import Guess
from registry.learning.coldstart.pca import Reals

LEAST_VARIANCE = 1e-6
MOST_STEPS = 30
CONVERGED = 1e-6
"""Length of a step, in standard deviations of the prior, after which there is none to come."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Frozen items: the logit of a model with vector p on item i is p . vectors[i] + offsets[i].

    Attributes:
        vectors: float, N x d.
        offsets: float, N.
    """

    vectors: NDArray[np.floating[Any]]
    offsets: NDArray[np.floating[Any]]


def correlation(left_out: Guess, vectors: Reals) -> Reals:
    """Return how errors of coordinates go together, float64, d x d, with ones on the diagonal.

    Drawn towards no correlation as if d models more had shown none, so that it can be inverted.

    Args:
        left_out: what was guessed of each of M known models from the others, as `Prior.left_out`.
        vectors: M x d, their own.
    """
    errors = (vectors - left_out.mean) / np.sqrt(np.maximum(left_out.variance, LEAST_VARIANCE))
    # A coordinate that is the same for all models has no error to go with others.
    errors /= np.maximum(np.sqrt((errors**2).mean(axis=0)), LEAST_VARIANCE)
    models, dimension = errors.shape
    found = errors.T @ errors / (models + dimension)
    np.fill_diagonal(found, 1)
    return np.asarray(found, np.float64)


def fold(
    guess: Guess,
    items: Items,
    outcomes: NDArray[np.floating[Any]],
    together: Reals | None = None,
) -> Guess:
    """Return what is believed of n models after some outcomes.

    Args:
        guess: what is believed without them.
        items: N of them.
        outcomes: n x N, in [0, 1], graded ones counting as shares; nan where not observed.
        together: float64, d x d, the correlation of a guess's errors; None takes them for
            independent.

    Raises:
        UsageError: when an outcome is out of range.
        ValueError: when shapes differ.
    """
    if outcomes.shape != (len(guess.mean), len(items.vectors)):
        raise ValueError(f"There are outcomes {outcomes.shape} for other models or items.")
    seen = ~np.isnan(outcomes)
    if seen.any() and not (outcomes[seen].min() >= 0 and outcomes[seen].max() <= 1):
        raise UsageError("Outcomes must be within 0 and 1.")
    mean, variance = guess.mean.copy(), np.maximum(guess.variance, LEAST_VARIANCE)
    apart = np.linalg.inv(np.eye(mean.shape[1]) if together is None else together)
    for model in np.flatnonzero(seen.any(axis=1)):
        asked = np.flatnonzero(seen[model])
        some = items.vectors[asked].astype(np.float64)
        deviation = np.sqrt(variance[model])
        mean[model], variance[model] = _mode(
            mean[model],
            apart / np.outer(deviation, deviation),
            some,
            items.offsets[asked].astype(np.float64),
            outcomes[model, asked].astype(np.float64),
        )
    return Guess(mean, variance, guess.support)


def _mode(
    before: Reals, precision: Reals, items: Reals, offsets: Reals, told: Reals
) -> tuple[Reals, Reals]:
    """Return the mode and the marginal variances, d each, of one model's posterior.

    Args:
        before: d, mean of the prior.
        precision: d x d, of the prior.
        items: n x d, vectors of the items that were observed.
        offsets: n.
        told: n, outcomes.
    """
    after = before.copy()
    covariance = np.zeros_like(precision)
    for _ in range(MOST_STEPS):
        chances = expit(items @ after + offsets)
        slope = items.T @ (told - chances) - precision @ (after - before)
        weights = np.maximum(chances * (1 - chances), 1e-6)
        covariance = np.linalg.inv(precision + (items * weights[:, None]).T @ items)
        step = covariance @ slope
        # Far from the mode a full step may overshoot; the posterior is concave, so short ones do.
        length = float(np.sqrt(step @ precision @ step))
        after = after + step / max(1.0, length / 2)
        if length < CONVERGED:
            break
    return after, np.diagonal(covariance)
