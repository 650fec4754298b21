"""Features of benchmarks from their names: similar names are often similar benchmarks."""

from collections.abc import Sequence

import numpy as np

from registry.learning.arrays import Reals

PIECE = 3
"""Characters of a piece of a name."""

MOST_FEATURES = 64
"""Features, at most: the principal ones."""

NEGLIGIBLE = 1e-6


def name_features(names: Sequence[str]) -> Reals:
    """Return features, float64, B x g, of mean 0 and mean square length 1.

    Their inner products are the Jaccard similarities of the sets of the names' trigrams, centred.
    Zero columns where no two names share a piece.
    """
    pieces = [_pieces(name) for name in names]
    count = len(pieces)
    similar = np.eye(count)
    for first in range(count):
        for second in range(first):
            shared = len(pieces[first] & pieces[second])
            if shared:
                similarity = shared / len(pieces[first] | pieces[second])
                similar[first, second] = similar[second, first] = similarity
    if np.array_equal(similar, np.eye(count)):
        return np.zeros((count, 0))
    centring = np.eye(count) - 1 / count
    similar = centring @ similar @ centring
    values, vectors = np.linalg.eigh(similar / max(float(similar.trace()) / count, NEGLIGIBLE))
    kept = np.flatnonzero(values > NEGLIGIBLE * values[-1])[::-1][:MOST_FEATURES]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _pieces(name: str) -> set[str]:
    text = name.lower()
    return {text[place : place + PIECE] for place in range(max(len(text) - PIECE + 1, 1))}
