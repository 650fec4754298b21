"""Serving vectors: item vectors regressed on texts, folded into one vector per model.

logit(m, q) = p_m . (W q + w0) + (a . q + a0) is linear in [q, 1], so SQL predicts it by an inner
product with one vector per model (METHODS.md section 1, "Serve it from SQL"). The residual
variance of the regression scales a model's logits down (MacKay 1992, the probit approximation),
which keeps their order within a model.
"""

import numpy as np
import torch

from registry.learning.factorization.problem import Factors, ItemTexts, Mask, Matrix
from registry.learning.factorization.ridge import ridge

LEAST_ITEMS = 20
"""Items with texts and outcomes that the regression needs."""


def serving_vectors(factors: Factors, texts: ItemTexts, observed: Mask) -> Matrix | None:
    """Return serving vectors, float32, M x (T + 1); None where too few items have texts.

    Args:
        factors: of M models and N items.
        texts: of the N items.
        observed: bool, N: which items have outcomes.
    """
    places = np.flatnonzero(observed & texts.present)
    if len(places) < LEAST_ITEMS:
        return None
    items = np.column_stack([factors.items[places], factors.offsets[places]]).astype(np.float32)
    centre, text_centre = items.mean(axis=0), texts.vectors[places].mean(axis=0)
    text = torch.from_numpy(texts.vectors[places] - text_centre)
    weights = ridge(text, torch.from_numpy(items - centre)).numpy()
    residuals = items - centre - text.numpy() @ weights
    shift = centre - text_centre @ weights
    models = np.column_stack([factors.models, np.ones(len(factors.models), np.float32)])
    variance = np.einsum("md,de,me->m", models, np.cov(residuals.T), models)
    scale = 1 / np.sqrt(1 + np.pi / 8 * np.maximum(variance, 0))
    vectors = np.column_stack([models @ weights.T, models @ shift]) * scale[:, None]
    return np.asarray(vectors, np.float32)
