"""Array types of the statistical models."""

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
