"""Posterior of models' abilities in all exams, given what the fits of exams say and a common prior.

A fit of an exam says of a model's abilities what a normal density does, its posterior there divided
by the prior of the fit: for models that took several exams, and the common prior, the densities are
multiplied (as in expectation propagation, Minka 2001, in one pass).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
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
    dimension = len(prior.covariance)
    at_once = max(1, AT_ONCE // max(1, dimension) ** 2)
    covariance = torch.from_numpy(np.ascontiguousarray(prior.covariance)).to(device)
    took = np.stack([np.isin(rows, exam.rows) for exam in exams], axis=1)
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        mean = prior.mean[rows[part]].copy()
        spread = np.empty((len(mean), dimension, dimension))
        # Models of the same exams have evidence on the same dimensions, which are few.
        patterns, index = np.unique(took[part], axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            places = np.flatnonzero(index.reshape(-1) == number)
            evidence = _evidence(exams, pattern, rows[part][places], device)
            found = _posterior(evidence, torch.from_numpy(mean[places]).to(device), covariance)
            mean[places], spread[places] = (each.cpu().numpy() for each in found)
        yield Gaussians(rows[part], mean, spread)


class _Evidence(NamedTuple):
    """What exams say of n models, on the a dimensions of these exams.

    `precisions` are n x a x a, `informations` n x a.
    """

    dimensions: Tensor
    precisions: Tensor
    informations: Tensor


def _evidence(
    exams: Sequence[Abilities], pattern: NDArray[np.bool_], rows: Columns, device: str
) -> _Evidence:
    """Return what the exams of a pattern say of models that all took them."""
    widths = [exam.values.shape[1] for exam in exams]
    starts = np.cumsum([0, *widths])
    chosen = np.flatnonzero(pattern).tolist()
    count = sum(widths[place] for place in chosen)
    precisions, informations = np.zeros((len(rows), count, count)), np.zeros((len(rows), count))
    start = 0
    for place in chosen:
        exam, stop = exams[place], start + widths[place]
        own = np.searchsorted(exam.rows, rows)
        precisions[:, start:stop, start:stop] = exam.precisions[own]
        informations[:, start:stop] = exam.informations[own]
        start = stop
    dimensions = [np.arange(starts[place], starts[place + 1]) for place in chosen]
    return _Evidence(
        torch.from_numpy(np.concatenate([np.zeros(0, np.intp), *dimensions])).to(device),
        torch.from_numpy(precisions).to(device),
        torch.from_numpy(informations).to(device),
    )


def _posterior(evidence: _Evidence, centre: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Return means, n x D, and covariances, n x D x D.

    With C the prior's covariance, s the scale of its precision, and the evidence L, h on dimensions
    A, the mean is m + C_A w, with w = (s + L C_AA)^-1 (h - L m_A), and the covariance
    (C - C_A G C_A') / s, with G = (s + L C_AA)^-1 L. So what is inverted has a few dimensions, not
    those of all exams.
    """
    of_evidence = evidence.dimensions
    towards = prior[:, of_evidence]
    inner = towards[of_evidence]
    eye = torch.eye(len(of_evidence), dtype=prior.dtype, device=prior.device)
    known = centre[:, of_evidence, None]
    surprise = evidence.informations[:, :, None] - evidence.precisions @ known
    products = evidence.precisions @ inner
    dimension = len(prior)
    scale = torch.ones(len(centre), dtype=prior.dtype, device=prior.device)
    for _ in range(STEPS):
        factor = torch.linalg.lu_factor(products + scale[:, None, None] * eye)
        weights = torch.linalg.lu_solve(*factor, surprise)
        gain = torch.linalg.lu_solve(*factor, evidence.precisions)
        used = scale
        # The expected scale of the prior's precision, as `fold_in.relative_precision`.
        shift = (weights.transpose(1, 2) @ inner @ weights)[:, 0, 0]
        distance = shift + (dimension - (gain * inner).sum((1, 2))) / used
        scale = (DEGREES + dimension) / (DEGREES + distance)
    mean = centre + (weights[:, :, 0] @ towards.T)
    gain = (gain + gain.transpose(1, 2)) / 2
    return mean, (prior - towards @ gain @ towards.T) / used[:, None, None]
