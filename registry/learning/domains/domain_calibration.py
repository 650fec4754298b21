"""Calibration of domains' probabilities on items that were left out, and its figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals

Matrix = NDArray[np.float32]

SCALES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0, 1.25)
"""Candidate factors on logits of vectors (temperature scaling, Guo et al. 2017)."""

_BINS = 15
_STEPS = 50


@dataclass(frozen=True, slots=True)
class ClassifierFigures:
    """Figures of a classifier on items that it was not fitted to.

    Attributes:
        accuracy: share of items whose domain is the likeliest.
        calibration_error: mean difference of confidence and accuracy over 15 bins of equal mass.
        confidence_auc: probability that a right answer is given with more confidence than a wrong
            one; nan where all are right.
        log_loss: of the true domain, in nats.
        items: number of items.
    """

    accuracy: float
    calibration_error: float
    confidence_auc: float
    log_loss: float
    items: int


def classifier_figures(probabilities: Matrix, domains: Places) -> ClassifierFigures:
    """Return the figures of predictions.

    Args:
        probabilities: float32, N x D, rows of sum 1.
        domains: int, N: the true ones.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == domains
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, min(_BINS, len(order)))
    gaps = [abs(confidence[each].mean() - right[each].mean()) * len(each) for each in bins]
    chosen = probabilities[np.arange(len(domains)), domains].astype(np.float64)
    return ClassifierFigures(
        float(right.mean()),
        float(sum(gaps) / len(order)),
        area_under_curve(confidence[right], confidence[~right]),
        -float(np.log(np.maximum(chosen, 1e-12)).mean()),
        len(domains),
    )


def area_under_curve(higher: Reals, lower: Reals) -> float:
    """Return the probability that one of the first is higher than one of the second.

    Ties count half; nan where either is empty.
    """
    if not len(higher) or not len(lower):
        return float("nan")
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left")
    upto = np.searchsorted(ordered, higher, "right")
    return float((below + upto).mean() / 2 / len(lower))


def softmax(logits: Matrix | Reals) -> Matrix:
    """Return the probabilities of rows of logits, float32."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def log_loss_of(logits: Matrix | Reals, domains: Places) -> float:
    """Return the mean log loss of rows of logits, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(domains)), domains]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).mean())


def evidence_weights(evidence: Reals, domains: Places) -> Reals:
    """Return the weights of kinds of evidence whose sum predicts domains with the least log loss.

    By Newton's method on a multinomial logistic regression with one weight for each kind.

    Args:
        evidence: float64, K x N x D.
        domains: int, N.

    Returns:
        float64, K; at least 0.
    """
    weights = np.ones(len(evidence))
    rows = np.arange(len(domains))
    chosen = evidence[:, rows, domains]
    for _ in range(_STEPS):
        p = softmax(np.tensordot(weights, evidence, 1)).astype(np.float64)
        expected = (evidence * p).sum(axis=2)
        gradient = (chosen - expected).mean(axis=1)
        centred = evidence - expected[:, :, None]
        curvature = np.einsum("and,bnd,nd->ab", centred, centred, p) / len(domains)
        step = np.linalg.solve(curvature + 1e-6 * np.eye(len(weights)), gradient)
        weights = np.clip(weights + np.clip(step, -1, 1), 0, 50)
        if np.abs(step).max() < 1e-6:  # noqa: PLR2004 - as good as still
            break
    return np.asarray(weights, np.float64)
