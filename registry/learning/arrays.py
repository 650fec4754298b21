"""Arrays of the statistical models: their types, and places of rows."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
"""Numbers of any precision."""

Reals: TypeAlias = NDArray[np.float64]

Codes: TypeAlias = NDArray[np.int64]
"""Hashes, columns or indices."""

Keys: TypeAlias = NDArray[np.uint64]
"""64-bit hashes."""

Places: TypeAlias = NDArray[np.intp]
"""Indices of rows or columns."""


def places_among(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> Places:
    """Return the place among theirs of each of ours; -1 where it is not among them."""
    places = {each: place for place, each in enumerate(theirs)}
    return np.array([places.get(each, -1) for each in ours], np.intp)
