"""Picks: the model that each prompt is sent to, from predictions and the costs of models.

Arrays here are of P prompts by M models. A model without a prediction is never picked.
"""

from typing import TypeAlias

import numpy as np

from registry.learning.arrays import Floats, Places, Reals

Shares: TypeAlias = Reals
"""float64, P x M: the share of each prompt that goes to each model; rows sum to 1."""


def pick(scores: Floats) -> Places:
    """Return the model of each prompt with the highest score; the first of equal ones.

    Args:
        scores: P x M; NaN where a model cannot be picked.

    Returns:
        int, P.

    Raises:
        ValueError: for a prompt without any score.
    """
    known = np.asarray(~np.isnan(scores))
    missing = np.flatnonzero(~known.any(axis=1))
    if len(missing):
        raise ValueError(f"prompt {missing[0]} has no model with a prediction")
    return np.asarray(np.where(known, scores, -np.inf).argmax(axis=1), np.intp)


def pick_at(probabilities: Floats, costs: Reals, weight: float) -> Places:
    """Return the model of each prompt with the highest probability less weight times cost.

    This is RouterBench's and CARROT's rule: `weight` is the inverse of what is paid at most for
    one more right answer.

    Args:
        probabilities: P x M, in [0, 1]; NaN where a model cannot be picked.
        costs: M or P x M, dollars an answer, as expected before it is given; not NaN.
        weight: at least 0, per dollar; infinity picks the cheapest, the likelier of equally cheap.

    Returns:
        int, P.

    Raises:
        ValueError: for a prompt without any model, a cost that is not known, or a weight below 0.
    """
    if not weight >= 0:
        raise ValueError(f"the weight of costs is at least 0, not {weight}")
    priced = np.broadcast_to(costs, probabilities.shape)
    possible = np.asarray(~np.isnan(probabilities))
    if weight and np.isnan(priced[possible]).any():
        raise ValueError("a model that can be picked has no known cost")
    if not weight:
        return pick(probabilities)
    if np.isinf(weight):
        reachable = np.where(possible, priced, np.inf)
        cheapest = reachable <= reachable.min(axis=1, keepdims=True)
        return pick(np.where(cheapest & possible, probabilities, np.nan))
    return pick(probabilities - weight * priced)


def cost_weights(costs: Reals, count: int = 49) -> Reals:
    """Return weights of costs that lead from the best model of each prompt to the cheapest.

    They are 0, `count` values from a thousandth to a thousandfold of the inverse of the range of
    costs, evenly spaced by their logarithms, and infinity; 0 alone where all cost the same.

    Args:
        costs: any shape, dollars an answer; NaN is ignored.
        count: number of values between.
    """
    known = costs[np.isfinite(costs)]
    spread = float(np.ptp(known)) if known.size else 0.0
    if not spread:
        return np.zeros(1)
    return np.concatenate([[0.0], np.logspace(-3, 3, count) / spread, [np.inf]])


def one_hot(picks: Places, models: int) -> Shares:
    """Return picks as shares."""
    shares = np.zeros((len(picks), models))
    shares[np.arange(len(picks)), picks] = 1
    return shares


def at(values: Floats, picks: Places) -> Reals:
    """Return the values of the picked models: float64, P."""
    return values[np.arange(len(picks)), picks].astype(np.float64)
