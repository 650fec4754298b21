"""Figures of a router on prompts that were left out, where some outcomes may be unobserved."""

import numpy as np

from registry.learning.factorization.problem import Matrix
from registry.learning.metrics import auc, calibration_error, log_loss


def routing_figures(outcomes: Matrix, probabilities: Matrix, levels: Matrix) -> dict[str, float]:
    """Return figures of n prompts, from the observed outcomes of each.

    Args:
        outcomes: float32, n x M; NaN where not observed.
        probabilities: float32, n x M, in [0, 1].
        levels: float32, n x M: what is known of each model apart from the prompt.

    Returns:
        prompts, their number; log_loss and calibration_error; auc over all outcomes, and
        within_prompt_auc, the mean over prompts of that of each; routed, the mean outcome of the
        likeliest observed model, beside best_single, that of the observed model of the highest
        level. A figure that is not defined is left out.
    """
    seen = ~np.isnan(outcomes)
    rows = np.flatnonzero(seen.any(axis=1))
    right, found = outcomes[seen], probabilities[seen]
    inside = [
        auc(outcomes[row, seen[row]], probabilities[row, seen[row]])
        for row in rows.tolist()
        if np.ptp(outcomes[row, seen[row]]) > 0
    ]
    figures = {
        "prompts": float(len(rows)),
        "log_loss": log_loss(right, found),
        "calibration_error": calibration_error(right, found),
        "auc": auc(right, found),
        "within_prompt_auc": float(np.mean(inside)) if inside else float("nan"),
        "routed": _picked(outcomes[rows], probabilities[rows]),
        "best_single": _picked(outcomes[rows], levels[rows]),
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _picked(outcomes: Matrix, scores: Matrix) -> float:
    """Return the mean outcome of the observed model of the highest score."""
    known = np.where(np.isnan(outcomes), -np.inf, scores)
    return float(outcomes[np.arange(len(outcomes)), known.argmax(axis=1)].mean())
