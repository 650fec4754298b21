"""Classifier of prompts by domain: from a vector, and from words beside it where there is a text.

By the vector alone it is a few inner products, which SQL serves (`registry.classify_prompt`). Both
forms are calibrated on items that were left out, five times a fifth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.domains.domain_calibration import (
    SCALES,
    ClassifierFigures,
    classifier_figures,
    evidence_weights,
    log_loss_of,
    softmax,
)
from registry.learning.domains.domain_discriminant import DomainParts, learn_parts
from registry.learning.domains.prompt_words import (
    WordCounts,
    WordEvidence,
    learn_words,
    word_counts,
)

Matrix = NDArray[np.float32]

FOLDS = 5
"""Parts of the items, each of which is classified by the others."""

LEAST_ITEMS = 5
"""Items of a domain below which nothing can be left out."""

UNLIKE = 0.01
"""Share of the training's items that count as unlike all others."""


@dataclass(frozen=True, slots=True, eq=False)
class DomainPredictions:
    """Domains of P prompts.

    Attributes:
        probabilities: float32, P x D; rows of sum 1.
        energies: float32, P: how much likelier the prompt is under any domain than among all items,
            in nats; lower for a prompt like none of the training.
    """

    probabilities: Matrix
    energies: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class DomainClassifier:
    """Classifier of D domains.

    Attributes:
        parts: vectors of the domains' parts.
        sharpness: factor on scores by the vector alone, whose softmax are calibrated probabilities.
        words: evidence of words; None where training had no texts.
        weights: of the score by vector and of the evidence of words, where there is a text.
        least_energy: energy below which a prompt is like none of the training.
    """

    parts: DomainParts
    sharpness: float
    words: WordEvidence | None
    weights: tuple[float, float]
    least_energy: float

    def predict(self, vectors: Matrix, texts: Sequence[str] | None = None) -> DomainPredictions:
        """Classify prompts.

        Args:
            vectors: float32, P x T, by the encoder of the training.
            texts: of the prompts, read for words; None classifies by the vectors alone.

        Raises:
            ValueError: for vectors of another size, or that are no numbers.
        """
        if vectors.ndim != 2 or vectors.shape[1] + 1 != self.parts.vectors.shape[1]:  # noqa: PLR2004
            raise ValueError(
                f"prompts are to be P x {self.parts.vectors.shape[1] - 1}, not {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("a prompt's vector has entries that are no finite numbers")
        scores = self.parts.scores(vectors)
        highest = scores.max(axis=1)
        energies = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
        if texts is not None and self.words is not None:
            found = self.words.scores([word_counts(each) for each in texts])
            scores = self.weights[0] * scores + self.weights[1] * found
        else:
            scores = self.sharpness * scores
        return DomainPredictions(softmax(scores), energies.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class LearnedClassifier:
    """A classifier of all items, and its figures on items that were left out.

    Attributes:
        classifier: of all items.
        by_vector: figures of the form that reads the vector alone.
        by_text: figures of the form that reads words too; None without texts.
        left_out: float32, N x D: probabilities of each item by classifiers that were not fitted to
            it, by vector alone.
    """

    classifier: DomainClassifier
    by_vector: ClassifierFigures
    by_text: ClassifierFigures | None
    left_out: Matrix


def learn_classifier(
    vectors: Matrix,
    domains: Places,
    count: int,
    texts: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> LearnedClassifier:
    """Learn a classifier, calibrated on items that were left out.

    Args:
        vectors: float32, N x T.
        domains: int, N, from 0 to below `count`.
        count: number of domains, D.
        texts: of the items; None learns from vectors alone.
        seed: of folds and first centres.

    Raises:
        ValueError: when there are not two domains, or one has fewer than 5 items.
    """
    numbers = np.bincount(domains, minlength=count)
    if count < 2 or numbers.min() < LEAST_ITEMS:  # noqa: PLR2004
        raise ValueError(f"there are to be two domains or more, each of {LEAST_ITEMS} items")
    counted = None if texts is None else [word_counts(each) for each in texts]
    folds = _folds(domains, seed)
    by_scale, found = _left_out(vectors, domains, count, counted, (folds, seed))
    sharpness = {each: _sharpness(scores, domains) for each, scores in by_scale.items()}
    scale = min(SCALES, key=lambda each: log_loss_of(sharpness[each] * by_scale[each], domains))
    parts = learn_parts(vectors, domains, count, seed=seed).scaled(scale)
    weights, by_text = (1.0, 0.0), None
    if found is not None:
        weights, by_text = _joined(by_scale[scale], found, domains, folds)
    words = None if counted is None else learn_words(counted, domains, count)
    left_out = softmax(sharpness[scale] * by_scale[scale])
    return LearnedClassifier(
        DomainClassifier(parts, sharpness[scale], words, weights, _least_energy(by_scale[scale])),
        classifier_figures(left_out, domains),
        by_text,
        left_out,
    )


def _sharpness(scores: Matrix, domains: Places) -> float:
    return float(evidence_weights(scores[None].astype(np.float64), domains)[0])


def _folds(domains: Places, seed: int) -> Places:
    """Return the fold of each item, the items of each domain spread evenly over the folds."""
    order = np.random.default_rng(seed).permutation(len(domains))
    order = order[np.argsort(domains[order], kind="stable")]
    folds: Places = np.zeros(len(domains), np.intp)
    folds[order] = np.arange(len(domains)) % FOLDS
    return folds


def _left_out(
    vectors: Matrix,
    domains: Places,
    count: int,
    texts: Sequence[WordCounts] | None,
    split: tuple[Places, int],
) -> tuple[dict[float, Matrix], Matrix | None]:
    """Return scores of items that were left out, by vector at each scale and by words, N x D."""
    folds, seed = split
    by_scale = {scale: np.zeros((len(domains), count), np.float32) for scale in SCALES}
    found = None if texts is None else np.zeros((len(domains), count), np.float32)
    for fold in range(FOLDS):
        out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        parts = learn_parts(vectors[rest], domains[rest], count, seed=seed)
        for scale, scores in by_scale.items():
            scores[out] = parts.scores(vectors[out], scale)
        if found is not None and texts is not None:
            words = learn_words([texts[each] for each in rest.tolist()], domains[rest], count)
            found[out] = words.scores([texts[each] for each in out.tolist()])
    return by_scale, found


def _joined(
    scores: Matrix, found: Matrix, domains: Places, folds: Places
) -> tuple[tuple[float, float], ClassifierFigures]:
    """Return the weights of vector and words, and figures with weights that each fold lacked."""
    evidence: Reals = np.stack([scores, found]).astype(np.float64)
    probabilities = np.zeros_like(scores)
    for fold in range(FOLDS):
        out = folds == fold
        weights = evidence_weights(evidence[:, ~out], domains[~out])
        probabilities[out] = softmax(np.tensordot(weights, evidence[:, out], 1))
    weights = evidence_weights(evidence, domains)
    return (float(weights[0]), float(weights[1])), classifier_figures(probabilities, domains)


def _least_energy(scores: Matrix) -> float:
    highest = scores.max(axis=1)
    energies = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    return float(np.quantile(energies, UNLIKE))
