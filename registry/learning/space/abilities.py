"""Abilities of an exam: its models' vectors, uncorrelated and of unit variance."""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Columns, Factors, Matrix
from registry.learning.space.exams import Exam

NEGLIGIBLE = 1e-5
"""Directions in which models vary less than this share of the most are dropped."""


class Abilities(NamedTuple):
    """Abilities of an exam; the logit of model m on item i is z_m . loadings_i + offsets_i.

    Attributes:
        rows: n, indices of the models.
        columns: N, indices of the items.
        values: float64, n x k: z, of mean 0 and unit covariance.
        loadings: float32, N x k.
        offsets: float32, N.
    """

    rows: Columns
    columns: Columns
    values: Reals
    loadings: Matrix
    offsets: Matrix


def abilities_of(exam: Exam, factors: Factors) -> Abilities:
    """Return the abilities of an exam from the vectors of its fit."""
    models = factors.models.astype(np.float64)
    centre = models.mean(axis=0)
    centred = models - centre
    variances, directions = np.linalg.eigh(centred.T @ centred / len(models))
    kept = variances > max(float(variances[-1]), 1e-12) * NEGLIGIBLE
    spread = np.sqrt(variances[kept])
    axes = directions[:, kept]
    items = factors.items.astype(np.float64)
    return Abilities(
        exam.rows,
        exam.columns,
        centred @ axes / spread,
        np.asarray(items @ axes * spread, np.float32),
        np.asarray(factors.offsets + items @ centre, np.float32),
    )
