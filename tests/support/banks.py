"""Generated outcomes for tests of few items: planted abilities of models and slopes of items."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


def planted(
    models: int, items: int, seed: int = 0, *, slope: float = 3.0, graded: bool = False
) -> NDArray[np.float32]:
    """Return outcomes, models x items, of which some items say much of the mean and others little.

    Items of even number have slopes about the given one; those of the others are near 0.
    """
    rng = np.random.default_rng(seed)
    level, other = 1.5 * rng.normal(size=(2, models, 1))
    slopes = np.where(np.arange(items) % 2, 0.1, slope * rng.uniform(0.5, 1.5, items))
    tilts = 0.5 * rng.normal(size=items)
    p = np.asarray(expit(slopes * (level - 1.5 * rng.normal(size=items)) + tilts * other))
    if graded:
        return rng.binomial(5, p).astype(np.float32) / np.float32(5)
    return (rng.random(p.shape) < p).astype(np.float32)
