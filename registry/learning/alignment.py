"""Alignment of one training's vectors with another's by a rotation.

Trainings differ by an arbitrary rotation; inner products and distances do not depend on it.
Orthogonal Procrustes (Schoenemann 1966) over the models that both trainings have, completed to all
dimensions where they span fewer. Vectors of fewer dimensions are padded with zeros.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_NEGLIGIBLE = 1e-9
"""Singular values below this share of the largest count as zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Rotation of new vectors onto old ones.

    Attributes:
        rotation: float64, (d, d), orthogonal, possibly with a reflection; `rotate` aligns new
            vectors with it. d is the larger of both dimensions.
        residual: |new R - old| / |old| in Frobenius norm, from 0 (equal up to a rotation) up;
            about 1.4 for unrelated vectors; None where all old ones are zero.
        shared: number of models that it was computed from.
        determined: whether they span all d directions, as fewer than d models cannot; other
            directions are rotated as little as possible.
    """

    rotation: NDArray[np.float64]
    residual: float | None
    shared: int
    determined: bool


def align(new: Vectors, old: Vectors) -> Alignment | None:
    """Return the rotation of new vectors that is nearest to old ones.

    Args:
        new: (S, d), of the models that both trainings have.
        old: (S, d'), of the same models in the same order.

    Returns:
        The rotation; None where no model is shared.

    Raises:
        ValueError: for different numbers of vectors.
    """
    if new.ndim != 2 or old.ndim != 2 or len(new) != len(old):  # noqa: PLR2004
        raise ValueError(f"vectors of the shapes {new.shape} and {old.shape} cannot be paired")
    if not len(new):
        return None
    dimension = max(new.shape[1], old.shape[1])
    target = padded(old, dimension).astype(np.float64)
    source = padded(new, dimension).astype(np.float64)
    left, sizes, right = np.linalg.svd(source.T @ target)
    rank = int(np.count_nonzero(sizes > _NEGLIGIBLE * max(sizes[0], np.finfo(float).tiny)))
    rotation = left[:, :rank] @ right[:rank]
    if rank < len(sizes):
        # Any completion has the same residual: take the one nearest to the identity.
        rest, onto = left[:, rank:], right[rank:]
        inner_left, _, inner_right = np.linalg.svd(rest.T @ onto.T)
        rotation = rotation + rest @ (inner_left @ inner_right) @ onto
    norm = float(np.linalg.norm(target))
    residual = float(np.linalg.norm(source @ rotation - target)) / norm if norm else None
    return Alignment(rotation, residual, len(new), rank == len(sizes))


def rotate(vectors: Vectors, alignment: Alignment) -> Vectors:
    """Return aligned vectors, (M, d) in float32, those of fewer dimensions padded with zeros."""
    # The rows of the rotation that zeros would be multiplied with are left out.
    rotation = alignment.rotation[: vectors.shape[1]]
    return np.asarray(vectors @ rotation.astype(np.float32), np.float32)


def padded(vectors: Vectors, dimension: int) -> Vectors:
    """Return vectors with zeros in further dimensions, up to `dimension`."""
    return np.pad(vectors, ((0, 0), (0, max(0, dimension - vectors.shape[1]))))
