"""Posterior of models' abilities in all exams, given their outcomes on any and a common prior.

Items are fixed. The logistic function is bounded by the quadratic of Jaakkola and Jordan (2000), as
in `registry.learning.factorization.irt`, so that each step solves a linear system per model.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Columns, Matrix
from registry.learning.space.abilities import Abilities

STEPS = 8
"""Updates of a posterior."""

DEGREES = 4.0
"""Degrees of freedom of the prior: names mislead now and then, so its tails are heavy."""

AT_ONCE = 1 << 22
"""Outcomes, or entries of covariances, in memory at a time."""


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
    outcomes: Matrix,
    exams: Sequence[Abilities],
    prior: PriorOf,
    rows: Columns,
    device: str = "cpu",
) -> Iterator[Gaussians]:
    """Yield the posteriors of models, some at a time.

    Args:
        outcomes: float32, M x N; nan where not observed.
        exams: whose abilities, side by side, are the D dimensions.
        prior: of the M models.
        rows: the models.
        device: of torch.
    """
    items = max((len(exam.columns) for exam in exams), default=1)
    at_once = max(1, AT_ONCE // max(items, len(prior.covariance) ** 2))
    precision = torch.from_numpy(np.linalg.inv(prior.covariance)).to(device)
    covariance = torch.from_numpy(np.ascontiguousarray(prior.covariance)).to(device)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        sittings = list(_sittings(outcomes, exams, part, device))
        centre = torch.from_numpy(prior.mean[part]).to(device)
        yield _posterior(part, sittings, centre, covariance, precision)


class _Sitting(NamedTuple):
    """Outcomes of some models on an exam: places of the models and of its dimensions."""

    places: Tensor
    dimensions: slice
    observed: Tensor
    halves: Tensor  # outcome minus a half, 0 where none was observed
    loadings: Tensor
    offsets: Tensor


def _sittings(
    outcomes: Matrix, exams: Sequence[Abilities], rows: Columns, device: str
) -> Iterator[_Sitting]:
    start = 0
    for exam in exams:
        stop = start + exam.loadings.shape[1]
        places = np.flatnonzero(np.isin(rows, exam.rows))
        if len(places):
            values = torch.from_numpy(outcomes[np.ix_(rows[places], exam.columns)]).to(device)
            observed = ~values.isnan()
            yield _Sitting(
                torch.from_numpy(places).to(device),
                slice(start, stop),
                observed,
                torch.where(observed, values - 0.5, 0),
                torch.from_numpy(exam.loadings).to(device),
                torch.from_numpy(exam.offsets).to(device),
            )
        start = stop


def _posterior(
    rows: Columns, sittings: list[_Sitting], centre: Tensor, prior: Tensor, precision: Tensor
) -> Gaussians:
    mean, covariance = centre.clone(), prior.expand(len(rows), -1, -1).clone()
    for _ in range(STEPS if sittings else 0):
        scale = _relative_precision(mean - centre, covariance, precision)
        information = scale[:, None] * (centre @ precision)
        total = scale[:, None, None] * precision
        for sitting in sittings:
            squares, slopes = _evidence(sitting, mean, covariance)
            total[sitting.places, sitting.dimensions, sitting.dimensions] += squares
            information[sitting.places, sitting.dimensions] += slopes
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(total))
        mean = (covariance @ information[:, :, None])[:, :, 0]
    return Gaussians(rows, mean.cpu().numpy(), covariance.cpu().numpy())


def _relative_precision(shift: Tensor, covariance: Tensor, precision: Tensor) -> Tensor:
    """Return the expected scale of each prior's precision, as `fold_in.relative_precision`."""
    distance = ((shift @ precision) * shift).sum(1) + (precision * covariance).sum((1, 2))
    return (DEGREES + len(precision)) / (DEGREES + distance)


def _evidence(sitting: _Sitting, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return what outcomes add to the precision, n x k x k, and to the information, n x k."""
    loadings, own = sitting.loadings, sitting.dimensions
    width = loadings.shape[1]
    rows, columns = torch.triu_indices(width, width)
    products = loadings[:, rows] * loadings[:, columns]
    doubled = products * torch.where(rows == columns, 1.0, 2.0).to(products.device)
    logits = mean[sitting.places, own].float() @ loadings.T + sitting.offsets
    covariances = covariance[sitting.places, own, own].float()
    squared = logits**2 + covariances[:, rows, columns] @ doubled.T
    root = squared.clamp(min=1e-6).sqrt()
    weights = torch.where(sitting.observed, torch.tanh(root / 2) / (2 * root), 0)
    packed = (weights @ products).double()
    squares = torch.zeros((len(packed), width, width), dtype=torch.float64, device=packed.device)
    squares[:, rows, columns] = packed
    squares[:, columns, rows] = packed
    return squares, ((sitting.halves - weights * sitting.offsets) @ loadings).double()
