"""Logits of models on items with their standard deviations, by the vectors of a version."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.embeddings.version_uncertainty import VersionUncertainty
from registry.learning.arrays import Reals


@dataclass(frozen=True, slots=True, eq=False)
class ModelVectors:
    """Vectors of M models, and how uncertain they are.

    Attributes:
        vectors: float64, M x d.
        variances: float64, M x k, along the axes of the version; None of a version without.
        uncertainty: float64, M: standard deviation of a coordinate; NaN where the method gives
            none. It counts where there are no variances.
    """

    vectors: Reals
    variances: Reals | None
    uncertainty: Reals


@dataclass(frozen=True, slots=True, eq=False)
class ItemVectors:
    """Vectors of N items.

    Attributes:
        vectors: float64, N x (d + 1), with offsets.
        of_text: bool, N: which were predicted from their texts.
    """

    vectors: Reals
    of_text: NDArray[np.bool_]


def logits(
    models: ModelVectors, items: ItemVectors, version: VersionUncertainty
) -> tuple[Reals, Reals]:
    """Return logits and their standard deviations, each M x N; NaN where these are unknown."""
    sides = items.vectors[:, :-1]
    found = models.vectors @ sides.T + items.vectors[:, -1]
    if models.variances is None or version.axes is None:
        return found, np.outer(models.uncertainty, np.linalg.norm(sides, axis=1))
    variance = models.variances @ version.axes.squares(sides).T
    variance[:, ~items.of_text] += version.item_variance
    if items.of_text.any():
        variance[:, items.of_text] += _of_texts(models.vectors, models.variances, version)[:, None]
    return found, np.sqrt(variance)


def _of_texts(vectors: Reals, variances: Reals, version: VersionUncertainty) -> Reals:
    """Return the variance of logits, M, by what texts leave open of an item's vector."""
    assert version.texts is not None
    assert version.axes is not None
    residual, directions = version.texts.residual, version.axes.directions
    spread = ((residual[:-1, :-1] @ directions) * directions).sum(0)
    own = version.texts.variances(vectors.astype(np.float32))
    return np.asarray(own + variances @ spread, np.float64)
