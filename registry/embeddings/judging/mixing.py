"""Exam mixing: whether near models are alike, or merely took the same exam.

The held-out log loss does not see whether models that took different exams share one space: only
their neighbours do. So the share of a model's nearest neighbours that took its exam is compared
with what the catalog alone gives (models of one exam are often of one kind) and with chance.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from registry.learning.arrays import Reals
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.kernel import Kernel
from registry.learning.factorization.problem import Mask, Matrix

NEIGHBOURS = 5
"""Nearest neighbours of a model that are counted."""

LEAST_MODELS = 10
"""Models of an exam from which on it is measured."""

MOST_SHARE = 0.95
"""Share of all models up to which an exam is measured: nearly all neighbours took a larger one."""

_SAMPLE = 200
"""Models of an exam whose neighbours are counted: the standard error of a share is then 0.02."""

Places = NDArray[np.intp]

Similarity = Callable[[Places], Reals]
"""Similarities of n models, by row, to all M by the catalog alone: float, n x M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamMixing:
    """How much the neighbours of an exam's models took the same exam.

    Attributes:
        exam: place of the exam.
        models: number of models that took it.
        only: number of those that took no other.
        share: of their nearest neighbours that took it, in [0, 1].
        chance: share of all other models that took it.
        catalog: share among the nearest by the catalog alone.
        norm: median distance of their vectors from the mean of all.
    """

    exam: int
    models: int
    only: int
    share: float
    chance: float
    catalog: float
    norm: float


def mixing(vectors: Matrix, took: Mask, similarity: Similarity, seed: int = 0) -> list[ExamMixing]:
    """Return the mixing of each exam that enough models took, and not nearly all.

    Args:
        vectors: M x d, compared by Euclidean distance.
        took: M x E, whether a model took an exam.
        similarity: by the catalog.
        seed: of the sample of models.
    """
    return list(_mixing(vectors, took, similarity, np.random.default_rng(seed)))


def _mixing(
    vectors: Matrix, took: Mask, similarity: Similarity, rng: np.random.Generator
) -> Iterator[ExamMixing]:
    norms = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    exams = took.sum(axis=1)
    for exam, members in enumerate(took.T):
        count = int(members.sum())
        if count < LEAST_MODELS or count > MOST_SHARE * len(members):
            continue
        rows = np.flatnonzero(members)
        if count > _SAMPLE:
            rows = np.sort(rng.choice(rows, _SAMPLE, replace=False))
        yield ExamMixing(
            exam=exam,
            models=count,
            only=int((exams[members] == 1).sum()),
            share=_share(-cdist(vectors[rows], vectors), rows, members),
            chance=(count - 1) / (len(members) - 1),
            catalog=_share(similarity(rows), rows, members),
            norm=float(np.median(norms[members])),
        )


def _share(nearness: Reals, rows: Places, members: Mask) -> float:
    """Return the share of members among the nearest of n models; equally near ones share places.

    Args:
        nearness: n x M; changed.
        rows: n, the place of each model among the M.
        members: bool, M.
    """
    nearness[np.arange(len(rows)), rows] = -np.inf
    k = min(NEIGHBOURS, nearness.shape[1] - 1)
    least = -np.partition(-nearness, k - 1, axis=1)[:, k - 1 : k]
    nearer, equal = nearness > least, nearness == least
    places = k - nearer.sum(axis=1)
    found = (nearer & members).sum(axis=1) + places * (equal & members).sum(axis=1) / equal.sum(1)
    return float(found.mean() / k)


def catalog_similarity(models: Sequence[Description], context: Sequence[Description]) -> Similarity:
    """Return the similarity of models by names, sizes, lineage and other facts of the catalog.

    Args:
        models: M.
        context: these and their ancestors.
    """
    featurizer = Featurizer.of([context])
    blocks = featurizer.blocks(models)
    kernel = Kernel()

    def similarity(rows: Places) -> Reals:
        # Prepared for the few models, not for all: common features of those are stored dense.
        return np.array(kernel.towards(blocks.rows(rows))(blocks).T, np.float64)

    return similarity
