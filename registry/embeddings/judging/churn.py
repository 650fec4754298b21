"""Churn: how many of models' nearest neighbours change from one version to the next."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Reals

NEIGHBOURS = 10
"""Nearest neighbours of a model to compare."""

_SAMPLE = 2_000
"""Models whose neighbours are compared: the standard error of the mean is then about 0.01."""

_AT_ONCE = 1 << 23
"""Distances in memory at once: 64 MB."""

_TIE = 2e-6
"""Distances that differ by less, relative to the lengths of both vectors, are equal: a rotation in
float32 changes them by as much."""

_NEGLIGIBLE = 1e-5
"""Singular values below this share of the largest are those of padding, rotated in float32."""

Named = tuple[Sequence[str], NDArray[np.float32]]
"""Names of M models, and their vectors, M x d."""


def neighbour_churn(
    current: Named, candidate: Named, *, k: int = NEIGHBOURS, seed: int = 0
) -> float | None:
    """Return the share of the k nearest neighbours, by distance, that change in a candidate.

    Over the models that both have, or a sample of them, each compared with all. Equally near
    neighbours count as unchanged.

    Args:
        current: the version before.
        candidate: the version after; dimensions may differ.
        k: neighbours of each model.
        seed: of the sample.

    Returns:
        Churn in [0, 1]; None where fewer than two models are shared.
    """
    places = {name: place for place, name in enumerate(current[0])}
    shared = [(places[name], at) for at, name in enumerate(candidate[0]) if name in places]
    if len(shared) < 2:  # noqa: PLR2004
        return None
    pairs = np.array(shared)
    old, new = _centred(current[1][pairs[:, 0]]), _centred(candidate[1][pairs[:, 1]])
    count, k = len(pairs), min(k, len(pairs) - 1)
    sample = np.arange(count)
    if count > _SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(count, _SAMPLE, replace=False))
    unchanged = 0
    step = max(1, _AT_ONCE // count)
    lengths = np.linalg.norm(new, axis=1)
    for start in range(0, len(sample), step):
        rows = sample[start : start + step]
        before, after = _distances(old, rows), _distances(new, rows)
        nearest = np.argpartition(before, k - 1, axis=1)[:, :k]
        most = np.partition(after, k - 1, axis=1)[:, k - 1]
        tie = _TIE * (lengths[rows][:, None] + lengths[nearest])
        near = np.take_along_axis(after, nearest, axis=1) <= most[:, None] + tie
        unchanged += int(np.count_nonzero(near))
    return 1 - unchanged / (len(sample) * k)


def rank(vectors: NDArray[np.float32]) -> int:
    """Return the number of dimensions that vectors, M x d, span: padding adds none."""
    spread = np.linalg.eigvalsh(vectors.T.astype(np.float64) @ vectors)
    sizes = np.sqrt(np.maximum(spread, 0))
    return int(np.count_nonzero(sizes > _NEGLIGIBLE * max(sizes[-1], np.finfo(float).tiny)))


def _centred(vectors: NDArray[np.float32]) -> Reals:
    return np.asarray(vectors - vectors.mean(axis=0, dtype=np.float64), np.float64)


def _distances(vectors: Reals, rows: NDArray[np.int64]) -> Reals:
    """Return the distances of rows from all vectors; a vector is not its own neighbour."""
    squares = (vectors**2).sum(axis=1)
    distances = squares[rows][:, None] + squares - 2 * (vectors[rows] @ vectors.T)
    np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
    distances[np.arange(len(rows)), rows] = np.inf
    return np.asarray(distances, np.float64)
