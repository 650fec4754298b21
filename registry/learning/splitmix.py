"""SplitMix64: the finalizer that spreads 64-bit keys (Steele, Lea and Flood 2014)."""

import numpy as np
from numpy.typing import NDArray


def mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Make each bit of a key depend on all of its bits, in place, and return the keys."""
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(0x94D049BB133111EB)
    keys ^= keys >> np.uint64(31)
    return keys
