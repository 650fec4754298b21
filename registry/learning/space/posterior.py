"""Posterior of models' abilities in all exams, given what the fits of exams say and a common prior.

A fit of an exam says of a model's abilities what a normal density does, its posterior there divided
by the prior of the fit: for models that took several exams, and the common prior, the densities are
multiplied (as in expectation propagation, Minka 2001, in one pass).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Columns
from registry.learning.space.abilities import Abilities

STEPS = 8
"""Updates of the scale of a prior."""

DEGREES = 4.0
"""Degrees of freedom of the prior: names mislead now and then, so its tails are heavy."""

AT_ONCE = 1 << 22
"""Entries of covariances in memory at a time."""


class Gaussians(NamedTuple):
    """Normal distributions of the abilities of n models: mean n x D, covariance n x D x D."""

    rows: Columns
    mean: Reals
    covariance: Reals


class PriorOf(NamedTuple):
    """Prior of the abilities of M models: mean M x D, and a covariance D x D of all."""

    mean: Reals
    covariance: Reals

    def of_first(self, count: int) -> "PriorOf":
        """Return the prior of the first abilities."""
        return PriorOf(self.mean[:, :count], self.covariance[:count, :count])


def posteriors(
    exams: Sequence[Abilities], prior: PriorOf, rows: Columns, device: str = "cpu"
) -> Iterator[Gaussians]:
    """Yield the posteriors of models, some at a time.

    Args:
        exams: whose abilities, side by side, are the D dimensions.
        prior: of the M models.
        rows: the models.
        device: of torch.
    """
    at_once = max(1, AT_ONCE // max(1, len(prior.covariance)) ** 2)
    precision = torch.from_numpy(np.linalg.inv(prior.covariance)).to(device)
    covariance = torch.from_numpy(np.ascontiguousarray(prior.covariance)).to(device)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        centre = torch.from_numpy(prior.mean[part]).to(device)
        precisions, informations = _evidence(exams, part, len(prior.covariance))
        yield _posterior(
            part,
            precisions.to(device),
            informations.to(device),
            centre,
            covariance,
            precision,
        )


def _evidence(exams: Sequence[Abilities], rows: Columns, dimension: int) -> tuple[Tensor, Tensor]:
    """Return what the exams say of models: precisions, n x D x D, and informations, n x D."""
    precisions = np.zeros((len(rows), dimension, dimension))
    informations = np.zeros((len(rows), dimension))
    start = 0
    for exam in exams:
        stop = start + exam.values.shape[1]
        places = np.flatnonzero(np.isin(rows, exam.rows))
        own = np.searchsorted(exam.rows, rows[places])
        precisions[places, start:stop, start:stop] = exam.precisions[own]
        informations[places, start:stop] = exam.informations[own]
        start = stop
    return torch.from_numpy(precisions), torch.from_numpy(informations)


def _posterior(  # noqa: PLR0917 - evidence and prior of some models
    rows: Columns,
    precisions: Tensor,
    informations: Tensor,
    centre: Tensor,
    prior: Tensor,
    precision: Tensor,
) -> Gaussians:
    mean, covariance = centre, prior.expand(len(rows), -1, -1)
    for _ in range(STEPS):
        scale = _relative_precision(mean - centre, covariance, precision)
        total = scale[:, None, None] * precision + precisions
        information = scale[:, None] * (centre @ precision) + informations
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(total))
        mean = (covariance @ information[:, :, None])[:, :, 0]
    return Gaussians(rows, mean.cpu().numpy(), covariance.cpu().numpy())


def _relative_precision(shift: Tensor, covariance: Tensor, precision: Tensor) -> Tensor:
    """Return the expected scale of each prior's precision, as `fold_in.relative_precision`."""
    distance = ((shift @ precision) * shift).sum(1) + (precision * covariance).sum((1, 2))
    return (DEGREES + len(precision)) / (DEGREES + distance)
