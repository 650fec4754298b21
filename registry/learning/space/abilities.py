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

    What the fit of the exam says of a model's abilities z, apart from its prior, is a normal
    density in information form: exp(informations . z - z . precisions z / 2).

    Attributes:
        rows: n, indices of the models, rising.
        columns: N, indices of the items.
        values: float64, n x k: z, of mean 0 and unit covariance.
        loadings: float32, N x k.
        offsets: float32, N.
        precisions: float64, n x k x k.
        informations: float64, n x k.
    """

    rows: Columns
    columns: Columns
    values: Reals
    loadings: Matrix
    offsets: Matrix
    precisions: Reals
    informations: Reals


def abilities_of(exam: Exam, factors: Factors) -> Abilities:
    """Return the abilities of an exam from the vectors of its fit, which have evidence."""
    assert factors.evidence is not None
    models = factors.models.astype(np.float64)
    centre = models.mean(axis=0)
    centred = models - centre
    variances, directions = np.linalg.eigh(centred.T @ centred / len(models))
    kept = variances > max(float(variances[-1]), 1e-12) * NEGLIGIBLE
    spread = np.sqrt(variances[kept])
    axes = directions[:, kept] * spread
    items = factors.items.astype(np.float64)
    precisions = factors.evidence.precisions.astype(np.float64)
    return Abilities(
        exam.rows,
        exam.columns,
        centred @ directions[:, kept] / spread,
        np.asarray(items @ axes, np.float32),
        np.asarray(factors.offsets + items @ centre, np.float32),
        axes.T @ precisions @ axes,
        (factors.evidence.informations - precisions @ centre) @ axes,
    )
