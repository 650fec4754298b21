"""Vectors that serve prompts: an item's own vector, guessed linearly from its text.

logit(m, q) = p_m . (W q + w0) + (a . q + a0) is linear in [q, 1], so one vector a model serves it,
in SQL by an inner product (METHODS.md section 1, "Serve it from SQL"). What text does not tell of
an item makes a prediction less sure: logits are scaled down by what is left over, model by model
(MacKay 1992, the probit approximation), which keeps their order within a model.
"""

import numpy as np
import torch

from registry.learning.factorization.problem import Factors, ItemTexts, Mask, Matrix
from registry.learning.factorization.ridge import ridge

LEAST_ITEMS = 20
"""Fewer items with texts than these tell nothing of the next."""


def serving_vectors(factors: Factors, texts: ItemTexts, told: Mask) -> Matrix | None:
    """Return serving vectors, float32, M x (T + 1); None where too few items have texts.

    Args:
        factors: of M models and N items.
        texts: of the N items.
        told: bool, N: which items have outcomes.
    """
    places = np.flatnonzero(told & texts.known)
    if len(places) < LEAST_ITEMS:
        return None
    items = np.column_stack([factors.items[places], factors.offsets[places]]).astype(np.float32)
    centre, middle = items.mean(axis=0), texts.vectors[places].mean(axis=0)
    text = torch.from_numpy(texts.vectors[places] - middle)
    weights = ridge(text, torch.from_numpy(items - centre)).numpy()
    rest = items - centre - text.numpy() @ weights
    shift = centre - middle @ weights
    models = np.column_stack([factors.models, np.ones(len(factors.models), np.float32)])
    variance = np.einsum("md,de,me->m", models, np.cov(rest.T), models)
    scale = 1 / np.sqrt(1 + np.pi / 8 * np.maximum(variance, 0))
    served = np.column_stack([models @ weights.T, models @ shift]) * scale[:, None]
    return np.asarray(served, np.float32)
