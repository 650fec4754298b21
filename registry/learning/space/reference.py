"""Reference set of items, and coordinates in which distances are differences in what models do.

The root mean square difference of two models' probabilities over the reference set is about
|D(a - b)|, with the probability of an item as a linear function of its logit: the slope is the
ratio of their standard deviations over the models. (With the slope at one point, p(1 - p),
distances were 0.84 of the differences in the middle, not 0.97.) The coordinates p = D a keep every
logit: an item's vector is multiplied by the inverse of D. The items of a benchmark weigh as much,
together, as those of any other.
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
        logits = models @ items[part].T + offsets[part]
        p, spread = expit(logits), logits.std(axis=0)
        even = (p * (1 - p)).mean(axis=0)
        slopes[part] = np.where(spread > LEAST, p.std(axis=0) / np.maximum(spread, LEAST), even)
    scaled = items * (np.sqrt(weights) * slopes)[:, None]
    squares, directions = np.linalg.eigh(scaled.T @ scaled)
    squares = np.maximum(squares, max(float(squares[-1]), 1e-12) * LEAST)
    return directions * np.sqrt(squares), directions / np.sqrt(squares)


def information(models: Reals, items: Reals, offsets: Reals, weights: Reals) -> Reals:
    """Return the mean Fisher information of a reference item about a model's vector, D x D.

    Args:
        models: M x D, over which it is averaged.
        items: N x D.
        offsets: N.
        weights: N, of sum 1, as `item_weights`.
    """
    total = np.zeros((models.shape[1], models.shape[1]))
    chosen = np.flatnonzero(weights)
    for start in range(0, len(chosen), 1024):
        part = chosen[start : start + 1024]
        p = expit(models @ items[part].T + offsets[part])
        curvature = (p * (1 - p)).mean(axis=0) * weights[part]
        total += (items[part] * curvature[:, None]).T @ items[part]
    return total
