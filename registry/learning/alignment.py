"""Rotation of one training's vectors onto another's, which else differ by a rotation at random.

Inner products and distances stay what they are: only the axes are changed. Orthogonal Procrustes
(Schoenemann 1966) over the models that both trainings have.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_NEGLIGIBLE = 1e-9
"""Singular values below this share of the largest tell of no direction."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """How new vectors are turned onto old ones.

    Attributes:
        rotation: float64, (d, d), orthogonal, a reflection perhaps; `new @ rotation` is turned.
        residual: |new R - old| / |old| in Frobenius norm, from 0 (the same but for a rotation) up;
            about 1.4 for vectors that have nothing in common; None where all old ones are zero.
        shared: number of models that it was found from.
        determined: whether they span all d directions, as fewer than d models cannot; the
            directions that they do not span are turned as little as possible.
    """

    rotation: NDArray[np.float64]
    residual: float | None
    shared: int
    determined: bool


def align(new: Vectors, old: Vectors) -> Aligned | None:
    """Find the rotation that takes new vectors nearest to old ones.

    Args:
        new: (S, d), the models that both have.
        old: (S, d), the same models in the same order.

    Returns:
        The rotation; None where there is none to be found: no model is shared, or the vectors
        are of different dimensions.

    Raises:
        ValueError: when they are not the same number of vectors.
    """
    if new.ndim != 2 or old.ndim != 2 or len(new) != len(old):  # noqa: PLR2004
        raise ValueError(f"vectors of the shapes {new.shape} and {old.shape} cannot be paired")
    if new.shape != old.shape or not len(new):
        return None
    target = old.astype(np.float64)
    source = new.astype(np.float64)
    left, sizes, right = np.linalg.svd(source.T @ target)
    told = int(np.count_nonzero(sizes > _NEGLIGIBLE * max(sizes[0], np.finfo(float).tiny)))
    rotation = left[:, :told] @ right[:told]
    if told < len(sizes):
        # Any completion fits as well: take the one that turns the rest least.
        rest, onto = left[:, told:], right[told:]
        inner_left, _, inner_right = np.linalg.svd(rest.T @ onto.T)
        rotation = rotation + rest @ (inner_left @ inner_right) @ onto
    norm = float(np.linalg.norm(target))
    residual = float(np.linalg.norm(source @ rotation - target)) / norm if norm else None
    return Aligned(rotation, residual, len(new), told == len(sizes))


def turn(vectors: Vectors, aligned: Aligned) -> Vectors:
    """Return vectors, (M, d) in float32, with the axes changed."""
    return np.asarray(vectors @ aligned.rotation.astype(np.float32), np.float32)
