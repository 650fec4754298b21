"""Scores of models on a domain's items, comparable where models were observed on different items.

An outcome is the sum of the model's score and the item's easiness; both are fitted by least squares
(two-way analysis of variance without interaction). Where every model was observed on every item, a
score is the mean outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from registry.learning.arrays import Floats, Places, Reals

LEAST_OBSERVED = 20
"""Items of a domain that a model was observed on, to have a score there."""

_ROUNDS = 50
_STILL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ModelScores:
    """Scores of M models.

    Attributes:
        scores: float64, M, in [0, 1]: expected mean outcome on all the items; NaN of a model that
            was observed on none.
        errors: float64, M: standard error of that, as of a sample of such items; NaN of fewer than
            two items.
        residuals: float64, M: likewise, without what makes items easy or hard for all models. The
            root of the sum of two squares is the standard error of the difference of two models.
        counts: int, M: items that each model was observed on.
    """

    scores: Reals
    errors: Reals
    residuals: Reals
    counts: Places


def model_scores(outcomes: Floats) -> ModelScores:
    """Return the scores of models.

    Args:
        outcomes: M x N, in [0, 1]; NaN where not observed.
    """
    seen = ~np.isnan(outcomes)
    counts = seen.sum(axis=1)
    of_items = seen.sum(axis=0)
    filled = np.where(seen, outcomes, 0).astype(np.float64)
    easiness = filled.sum(axis=0) / np.maximum(of_items, 1)
    models = np.zeros(len(filled))
    for _ in range(_ROUNDS):
        before = models
        models = _means(filled.sum(axis=1) - seen @ easiness, counts)
        easiness = _means(filled.sum(axis=0) - models @ seen, of_items)
        if np.abs(models - before).max(initial=0) < _STILL:
            break
    observed = of_items > 0
    level = float(easiness[observed].mean()) if observed.any() else 0.0
    residuals = np.where(seen, filled - models[:, None] - easiness, 0)
    raw = np.where(seen, filled - _means(filled.sum(axis=1), counts)[:, None], 0)
    return ModelScores(
        np.where(counts > 0, np.clip(models + level, 0, 1), np.nan),
        _standard_errors(raw, counts),
        _standard_errors(residuals, counts),
        np.asarray(counts, np.intp),
    )


def domain_scores(outcomes: Floats) -> ModelScores:
    """Return the scores of models in a domain, NaN of fewer items than `LEAST_OBSERVED`.

    Args:
        outcomes: M x N, in [0, 1], on the domain's items; NaN where not observed.
    """
    found = model_scores(outcomes)
    return replace(found, scores=np.where(found.counts < LEAST_OBSERVED, np.nan, found.scores))


def general_scores(outcomes: Floats, of_domains: Sequence[ModelScores]) -> ModelScores:
    """Return the scores of models over all items, NaN of models known in few domains.

    A model that half of the domains do not know could be the best one by what it was not asked.

    Args:
        outcomes: M x N, in [0, 1], on all items, those of no domain too; NaN where not observed.
        of_domains: the scores in each domain; a domain that knows no model does not count.
    """
    found = domain_scores(outcomes)
    if not of_domains:
        return found
    known = np.stack([~np.isnan(each.scores) for each in of_domains])
    kept = known.sum(axis=0) >= known.any(axis=1).sum() / 2
    return replace(found, scores=np.where(kept, found.scores, np.nan))


def _means(sums: Reals, counts: Places) -> Reals:
    return np.asarray(sums / np.maximum(counts, 1), np.float64)


def _standard_errors(deviations: Reals, counts: Places) -> Reals:
    squares = (deviations**2).sum(axis=1)
    few = counts < 2  # noqa: PLR2004 - a spread needs two
    variances = squares / np.maximum(counts - 1, 1) / np.maximum(counts, 1)
    return np.where(few, np.nan, np.sqrt(variances))
