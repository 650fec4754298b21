"""Linear regression with a Gaussian prior, its noise found by marginal likelihood."""

import numpy as np
import torch
from torch import Tensor

NOISES = np.geomspace(1e-2, 1e4, 61)
"""Ratios of noise to prior variance that are tried."""


def ridge(features: Tensor, targets: Tensor) -> Tensor:
    """Return the weights, f x r, of features (n x f) for targets (n x r).

    Each target has its own noise, the one of the largest marginal likelihood (Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, section 5.4).
    """
    # In double precision: in single, small eigenvalues are noise, and the evidence with them.
    gram = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    gram = gram.to(features.device)
    for start in range(0, len(features), 8192):
        part = features[start : start + 8192].double()
        gram += part.T @ part
    squares, turn = torch.linalg.eigh(gram)
    squares = squares.clamp(min=1e-9)
    inner = turn.T @ (features.double().T @ targets.double())
    energy = (targets.double() ** 2).sum(0)
    found = inner**2 / squares[:, None]
    left = (energy - found.sum(0)).clamp(min=1e-9)
    count = len(features)
    evidences = []
    for noise in NOISES:
        scale = ((found / (squares[:, None] + noise)).sum(0) + left / noise) / count
        spread = (squares + noise).log().sum() + (count - len(squares)) * np.log(noise)
        evidences.append(-0.5 * (spread + count * scale.log()))
    best = torch.stack(evidences).argmax(0)
    noises = torch.from_numpy(NOISES).to(squares.device)[best]
    weights: Tensor = turn @ (inner / (squares[:, None] + noises))
    return weights.float()
