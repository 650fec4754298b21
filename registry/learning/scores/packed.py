"""Symmetric matrices as vectors of their upper triangles, so that traces are inner products."""

import numpy as np

from registry.learning.arrays import Reals


def pack(matrices: Reals) -> Reals:
    """Return the upper triangles of symmetric matrices, row by row: ... x k x k to ... x p.

    p is k (k + 1) / 2. Elements off the diagonal are multiplied by the root of 2, so that the inner
    product of two packed matrices is the trace of their product.
    """
    size = matrices.shape[-1]
    first, second = np.triu_indices(size)
    return np.asarray(matrices[..., first, second] * _weights(size))


def unpack(packed: Reals) -> Reals:
    """Return the symmetric matrices of packed ones: ... x p to ... x k x k."""
    size = round((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2)
    first, second = np.triu_indices(size)
    matrices = np.empty((*packed.shape[:-1], size, size))
    plain = packed / _weights(size)
    matrices[..., first, second] = plain
    matrices[..., second, first] = plain
    return matrices


def squares(vectors: Reals) -> Reals:
    """Return packed outer products of vectors with themselves: ... x k to ... x p."""
    size = vectors.shape[-1]
    first, second = np.triu_indices(size)
    return np.asarray(vectors[..., first] * vectors[..., second] * _weights(size))


def _weights(size: int) -> Reals:
    first, second = np.triu_indices(size)
    return np.where(first == second, 1.0, np.sqrt(2.0))
