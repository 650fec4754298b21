"""Items' vectors regressed on texts, for items without outcomes, and serving vectors from them.

logit(m, q) = p_m . (W q + w0) + (a . q + a0) is linear in [q, 1], so SQL predicts it by an inner
product with one vector per model (METHODS.md section 1, "Serve it from SQL"). The residual
variance of the regression scales a model's logits down (MacKay 1992, the probit approximation),
which keeps their order within a model. The residuals are those of items that were left out, since a
regression is nearer to the items that it was fitted to.
"""

from dataclasses import replace

import numpy as np
import torch

from registry.learning.factorization.problem import Factors, ItemTexts, Matrix, TextMap
from registry.learning.factorization.ridge import ridge
from registry.learning.intervals import expected
from registry.learning.metrics import calibration_error, log_loss

LEAST_ITEMS = 20
"""Items with texts and outcomes that the regression needs."""

FOLDS = 5
"""Parts of the items, each of which is predicted from the others."""

SCALES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Candidate factors on the covariance of the residuals."""

MOST_CELLS = 200_000
"""Outcomes on which the factor is chosen, drawn at random."""


def text_map(factors: Factors, texts: ItemTexts, outcomes: Matrix, seed: int = 0) -> TextMap | None:
    """Regress items' vectors on their texts; None where too few items have both.

    Args:
        factors: of M models and N items.
        texts: of the N items.
        outcomes: M x N, in [0, 1], NaN where not observed: on those the residuals' covariance is
            scaled so that predictions of items that were left out are likeliest.
        seed: of the folds, and of the outcomes that are used.
    """
    observed = ~np.isnan(outcomes)
    places = np.flatnonzero(observed.any(axis=0) & texts.present)
    if len(places) < LEAST_ITEMS:
        return None
    items = np.column_stack([factors.items[places], factors.offsets[places]]).astype(np.float32)
    vectors = texts.vectors[places]
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(places)) % FOLDS
    predicted = np.empty_like(items)
    for part in range(FOLDS):
        left = fold == part
        predicted[left] = _with_1(vectors[left]) @ _regressed(vectors[~left], items[~left])
    errors = (items - predicted).astype(np.float64)
    found = TextMap(_regressed(vectors, items), errors.T @ errors / len(errors))
    rows, columns = np.nonzero(observed[:, places])
    chosen = rng.permutation(len(rows))[:MOST_CELLS]
    rows, columns = rows[chosen], columns[chosen]
    logits = (_with_1(factors.models)[rows] * predicted[columns]).sum(1).astype(np.float64)
    spread = found.variances(factors.models)[rows]
    truth = outcomes[rows, places[columns]].astype(np.float64)
    scale = min(SCALES, key=lambda each: log_loss(truth, expected(logits, each * spread)))
    error = calibration_error(truth, expected(logits, scale * spread))
    return replace(found, residual=scale * found.residual, calibration_error=error)


def serving_vectors(factors: Factors, found: TextMap) -> Matrix:
    """Return serving vectors, float32, M x (T + 1), of a regression of items on texts."""
    scale = 1 / np.sqrt(1 + np.pi / 8 * found.variances(factors.models))
    vectors = (_with_1(factors.models) @ found.weights.T) * scale[:, None]
    return np.asarray(vectors, np.float32)


def _regressed(vectors: Matrix, items: Matrix) -> Matrix:
    centre, text_centre = items.mean(axis=0), vectors.mean(axis=0)
    text = torch.from_numpy(vectors - text_centre)
    weights = ridge(text, torch.from_numpy(items - centre)).numpy()
    return np.vstack([weights, centre - text_centre @ weights]).astype(np.float32)


def _with_1(vectors: Matrix) -> Matrix:
    return np.column_stack([vectors, np.ones(len(vectors), np.float32)])
