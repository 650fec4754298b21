"""Subjects of prompts: a linear classifier of vectors, and vectors extended by what it finds.

Which models answer well depends on the subject first. Neighbours and kernels over the encoder's
vectors see it only in part; with the probabilities of subjects beside, they see it whole. The
classifier is linear discriminant analysis with a shrunk covariance (Friedman 1989) and a
temperature (Guo et al. 2017): as accurate as logistic regression here (0.801 to 0.805 on MMLU-Pro's
categories, 0.925 to 0.904 on LLMRouter's tasks), in a hundredth of the time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals

Matrix = NDArray[np.float32]

SHRINKAGE = 0.01
"""Share of the covariance that is taken from its mean variance."""

TEMPERATURES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Candidate factors on the logits, of which the likeliest on items that were left out is used."""

FOLDS = 5
"""Parts of the items, each of which is classified by the others."""

LEAST_ITEMS = 10
"""Items of a group below which it is no subject of its own."""

MOST_SUBJECTS = 64
"""Subjects, at most: the groups with the most items; all others are one subject together."""


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """Classifier of vectors by subject.

    Attributes:
        weights: float32, G x (T + 1): the logit of subject g is weights[g] . [q, 1].
    """

    weights: Matrix

    def probabilities(self, vectors: Matrix) -> Matrix:
        """Return the probability of each subject, float32, P x G, for vectors, P x T."""
        return _softmax(vectors @ self.weights[:, :-1].T + self.weights[:, -1])

    def extended(self, vectors: Matrix, weight: float) -> Matrix:
        """Return vectors of length 1 with the subjects' part, float32, P x (T + G)."""
        return extended(vectors, self.probabilities(vectors), weight)


def extended(vectors: Matrix, probabilities: Matrix, weight: float) -> Matrix:
    """Return [q, weight x sqrt(p)] of length 1, for vectors q of length 1 and probabilities p.

    The inner product of two of them is (cosine + weight^2 x Bhattacharyya coefficient) / (1 +
    weight^2), where the coefficient is 1 for the same probabilities and 0 for none in common.
    """
    part = np.float32(weight) * np.sqrt(probabilities)
    joined = np.concatenate([vectors, part], axis=1) / np.float32(np.sqrt(1 + weight**2))
    return np.asarray(joined, np.float32)


def kept_groups(groups: Places) -> Places:
    """Return groups from 0 without gaps, those too small or too many made one, the last."""
    names, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [int(each) for each in order if counts[each] >= LEAST_ITEMS]
    if len(kept) > MOST_SUBJECTS or len(kept) < len(names):
        kept = kept[: MOST_SUBJECTS - 1]
    places = np.full(len(names), len(kept), np.intp)
    places[sorted(kept)] = np.arange(len(kept))
    return np.asarray(places[members], np.intp)


def learn_subjects(vectors: Matrix, groups: Places, seed: int = 0) -> tuple[Subjects, Matrix]:
    """Learn a classifier, and classify each item by the others.

    Args:
        vectors: float32, N x T.
        groups: int, N, from 0.
        seed: of the folds.

    Returns:
        The classifier of all items, and float32, N x G: probabilities of each item's subjects by a
        classifier that was not fitted to it. Those of items that were fitted to would be too sure.
    """
    count = int(groups.max()) + 1 if len(groups) else 1
    fold = np.random.default_rng(seed).permutation(len(groups)) % FOLDS
    logits = np.zeros((len(groups), count))
    for part in range(min(FOLDS, len(groups))):
        left = fold == part
        weights = _discriminant(vectors[~left], groups[~left], count)
        logits[left] = vectors[left] @ weights[:, :-1].T + weights[:, -1]
    temperature = min(TEMPERATURES, key=lambda each: _loss(each * logits, groups))
    weights = temperature * _discriminant(vectors, groups, count)
    return Subjects(weights.astype(np.float32)), _softmax(temperature * logits)


def _discriminant(vectors: Matrix, groups: Places, count: int) -> Reals:
    """Return logits' weights of linear discriminant analysis, G x (T + 1)."""
    numbers = np.bincount(groups, minlength=count)
    means = np.tile(vectors.mean(axis=0, dtype=np.float64), (count, 1))
    for group in np.flatnonzero(numbers):
        means[group] = vectors[groups == group].mean(axis=0, dtype=np.float64)
    residuals = vectors - means[groups]
    covariance = residuals.T @ residuals / len(vectors)
    spread = np.trace(covariance) / len(covariance)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance))
    # Without any spread, as of a single item, all logits are those of the numbers.
    directions = np.linalg.solve(covariance, means.T).T if spread else 0 * means
    shares = (numbers + 0.5) / (numbers + 0.5).sum()
    constants = np.log(shares) - (directions * means).sum(axis=1) / 2
    return np.column_stack([directions, constants])


def _loss(logits: Reals, groups: Places) -> float:
    found = _softmax(logits)[np.arange(len(groups)), groups]
    return -float(np.log(np.maximum(found, 1e-12)).mean())


def _softmax(logits: Reals | Matrix) -> Matrix:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
