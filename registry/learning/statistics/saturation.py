"""Saturation of a benchmark: how near its best models are to the ceiling, and to each other."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Reals

TOP = 10
"""Best models whose pairs are told apart."""

NEAR, FEW, MANY = 0.1, 0.1, 0.5
"""Distance from the ceiling that is near it; shares of pairs told apart that are few, and many."""


class Saturation(NamedTuple):
    """How well a benchmark tells models apart; nan where it is not known.

    Attributes:
        best: score.
        headroom: from it to the ceiling, 1.
        noise: half the interval of the best score.
        near_best: share of models that are not told apart from the best one.
        separated: share of the pairs of the ten best models that are told apart.
        pairs: of them whose noise is known.
    """

    best: float
    headroom: float
    noise: float
    near_best: float
    separated: float
    pairs: int


def sampling_errors(scores: Reals, stated: Reals, items: Reals) -> Reals:
    """Return standard errors of scores: as stated, else those of shares of n items; else nan.

    Of a share of all or none of n items it is that of the middle of its interval (Agresti and
    Coull 1998), as one that is 0 would tell everything apart.

    Args:
        scores: M, in [0, 1].
        stated: M, nan where none is.
        items: M, nan where their number is not known.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (scores * items + 2) / (items + 4)
        counted = np.sqrt(middle * (1 - middle) / (items + 4))
    return np.where(np.isfinite(stated) & (stated > 0), stated, counted)


def saturation(scores: Reals, errors: Reals, *, level: float = 0.95) -> Saturation:
    """Measure how saturated a benchmark is by models.

    Two models are told apart where their difference is beyond the noise of items that are drawn
    for each anew: on shared items noise is smaller, so that more pairs may be told apart.

    Args:
        scores: M >= 1, shares.
        errors: M, standard ones; nan where unknown.
        level: share of intervals that hold the difference.
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    z = float(stats.norm.isf((1 - level) / 2))
    order = np.argsort(-scores, kind="stable")
    scores, errors = scores[order], errors[order]
    apart = _apart(scores[0] - scores, np.hypot(errors[0], errors), z)
    told = [
        _apart(scores[[one]] - scores[[two]], np.hypot(errors[[one]], errors[[two]]), z)
        for one, two in combinations(range(min(TOP, len(scores))), 2)
        if np.isfinite(errors[[one, two]]).all()
    ]
    known = np.isfinite(errors)
    near = float(1 - apart[known].mean()) if known[0] else np.nan
    return Saturation(
        float(scores[0]),
        float(1 - scores[0]),
        float(z * errors[0]),
        near,
        float(np.mean(told)) if told else np.nan,
        len(told),
    )


def saturation_verdict(found: Saturation, separated: float) -> str:
    """Return in words how saturated a benchmark is.

    `saturated`: the ceiling is within the noise of the best score, or near and fewer than a tenth
    of the pairs of the ten best models are told apart. `separates`: half of them are. `separates
    little`: fewer. `unknown` where the noise is.

    Args:
        found: as `saturation` returns it.
        separated: share of the pairs, on shared items where outcomes are stored.
    """
    if np.isnan(found.noise) or np.isnan(separated):
        return "unknown"
    if found.headroom <= found.noise or (found.headroom < NEAR and separated < FEW):
        return "saturated"
    return "separates" if separated >= MANY else "separates little"


def _apart(differences: Reals, errors: Reals, z: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(differences) > z * errors, np.bool_)
