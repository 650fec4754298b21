"""Vectors of models with a few outcomes, fitted to frozen vectors of items.

A logistic regression of the outcomes on items' vectors, with what was believed of the model before
as its Gaussian prior: the mode by Newton's method, the covariance by Laplace's approximation
(Bishop, Pattern Recognition and Machine Learning, 2006, section 4.5; METHODS.md section 2,
fold-in). The cost of a model is that of its own outcomes alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from registry.coldstart.components import Reals
from registry.coldstart.prior import Guess
from registry.errors import UsageError

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


def fold(guess: Guess, items: Items, outcomes: NDArray[np.floating[Any]]) -> Guess:
    """Return what is believed of n models after some outcomes.

    Args:
        guess: what is believed without them.
        items: N of them.
        outcomes: n x N, in [0, 1], graded ones counting as shares; nan where not observed.

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
    for model in np.flatnonzero(seen.any(axis=1)):
        asked = np.flatnonzero(seen[model])
        some = items.vectors[asked].astype(np.float64)
        mean[model], variance[model] = _mode(
            mean[model],
            variance[model],
            some,
            items.offsets[asked].astype(np.float64),
            outcomes[model, asked].astype(np.float64),
        )
    return Guess(mean, variance, guess.support)


def _mode(
    before: Reals, variance: Reals, items: Reals, offsets: Reals, told: Reals
) -> tuple[Reals, Reals]:
    """Return the mode and the marginal variances of one model's posterior, d each."""
    after, precision = before.copy(), np.diag(1 / variance)
    covariance = np.diag(variance)
    for _ in range(MOST_STEPS):
        chances = expit(items @ after + offsets)
        slope = items.T @ (told - chances) - (after - before) / variance
        weights = np.maximum(chances * (1 - chances), 1e-6)
        covariance = np.linalg.inv(precision + (items * weights[:, None]).T @ items)
        step = covariance @ slope
        # Far from the mode a full step may overshoot; the posterior is concave, so short ones do.
        length = float(np.sqrt((step**2 / variance).sum()))
        after = after + step / max(1.0, length / 2)
        if length < CONVERGED:
            break
    return after, np.diagonal(covariance)
