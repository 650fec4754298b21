"""Ridge regression, with its noise chosen by marginal likelihood."""

import numpy as np
import torch
from torch import Tensor

NOISES = np.geomspace(1e-2, 1e4, 61)
"""Candidate ratios of noise to prior variance."""


def ridge(features: Tensor, targets: Tensor) -> Tensor:
    """Return the weights, f x r, that predict targets (n x r) from features (n x f).

    Each target has its own noise, that of the largest marginal likelihood (Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, section 5.4).
    """
    # In double precision: in single, small eigenvalues and so the evidence are rounding errors.
    gram = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    gram = gram.to(features.device)
    for start in range(0, len(features), 8192):
        part = features[start : start + 8192].double()
        gram += part.T @ part
    squares, rotation = torch.linalg.eigh(gram)
    squares = squares.clamp(min=1e-9)
    inner = rotation.T @ (features.double().T @ targets.double())
    energy = (targets.double() ** 2).sum(0)
    explained = inner**2 / squares[:, None]
    residual = (energy - explained.sum(0)).clamp(min=1e-9)
    count = len(features)
    evidences = []
    for noise in NOISES:
        scale = ((explained / (squares[:, None] + noise)).sum(0) + residual / noise) / count
        determinant = (squares + noise).log().sum() + (count - len(squares)) * np.log(noise)
        evidences.append(-0.5 * (determinant + count * scale.log()))
    best = torch.stack(evidences).argmax(0)
    noises = torch.from_numpy(NOISES).to(squares.device)[best]
    weights: Tensor = rotation @ (inner / (squares[:, None] + noises))
    return weights.float()
