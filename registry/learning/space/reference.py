"""Reference set of items, and coordinates in which distances are differences in what models do.

The root mean square difference of two models' probabilities over the reference set, to first order
|D(a - b)|: a logit changes a probability by p(1 - p). The coordinates p = D a keep every logit: an
item's vector is multiplied by the inverse of D. The items of a benchmark weigh as much, together,
as those of any other.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from registry.learning.arrays import Reals

LEAST = 1e-6
"""Least weight of a direction, as a share of the largest: with less, logits would lose digits."""


def item_weights(groups: NDArray[np.intp] | None, observed: NDArray[np.bool_]) -> Reals:
    """Return the weight of each item, N, of sum 1; 0 for items without outcomes.

    Args:
        groups: benchmark of each item; None for a single one.
        observed: bool, N: which items have outcomes.
    """
    index = np.zeros(len(observed), np.intp) if groups is None else groups
    _, places = np.unique(index, return_inverse=True)
    counts = np.bincount(places, weights=observed)
    weights = np.where(observed, 1 / np.maximum(counts[places], 1), 0.0)
    return np.asarray(weights / max(float(weights.sum()), 1e-12))


def coordinates(models: Reals, items: Reals, offsets: Reals, weights: Reals) -> tuple[Reals, Reals]:
    """Return D, D x D, and its inverse.

    Args:
        models: M x D, vectors a.
        items: N x D; the logit of model m on item i is a_m . items_i + offsets_i.
        offsets: N.
        weights: N, of sum 1, as `item_weights`.
    """
    chosen = np.flatnonzero(weights)
    slopes = np.zeros(len(weights))
    for start in range(0, len(chosen), 1024):
        part = chosen[start : start + 1024]
        p = expit(models @ items[part].T + offsets[part])
        slopes[part] = (p * (1 - p)).mean(axis=0)
    scaled = items * (np.sqrt(weights) * slopes)[:, None]
    squares, directions = np.linalg.eigh(scaled.T @ scaled)
    squares = np.maximum(squares, max(float(squares[-1]), 1e-12) * LEAST)
    return directions * np.sqrt(squares), directions / np.sqrt(squares)
