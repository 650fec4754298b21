"""Logits of models on prompts, and the best model for each: products of two matrices."""

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 22
"""Logits in memory at a time: 16 MB."""


def logits(serving: NDArray[np.float32], prompts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logit of each model on each prompt.

    Args:
        serving: float32, (M, t + 1), the models' serving vectors; the last entry is the constant.
        prompts: float32, (P, t), the prompts' vectors by the version's encoder.

    Returns:
        float32, (P, M); 1 / (1 + exp(-logit)) is the probability that the model is right.

    Raises:
        ValueError: when the dimensions do not fit.
    """
    if serving.ndim != 2 or prompts.ndim != 2:  # noqa: PLR2004
        raise ValueError(
            f"serving vectors and prompts are matrices, not {serving.ndim}-d and {prompts.ndim}-d"
        )
    if serving.shape[1] != prompts.shape[1] + 1:
        raise ValueError(
            f"the serving vectors are for prompts of {serving.shape[1] - 1} dimensions, "
            f"these have {prompts.shape[1]}"
        )
    products: NDArray[np.float32] = prompts @ serving[:, :-1].T
    products += serving[:, -1]
    return products


def choose(serving: NDArray[np.float32], prompts: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the most likely model for each prompt; the first of equal ones.

    Args:
        serving: float32, (M, t + 1), as for `logits`; M is at least 1.
        prompts: float32, (P, t).

    Returns:
        int, (P,): rows of `serving`.

    Raises:
        ValueError: when the dimensions do not fit, or there is no model.
    """
    if not len(serving):
        raise ValueError("there is no model to choose from")
    step = max(1, _AT_ONCE // len(serving))
    parts = [
        logits(serving, prompts[start : start + step]).argmax(axis=1)
        for start in range(0, max(len(prompts), 1), step)
    ]
    return np.concatenate(parts)
