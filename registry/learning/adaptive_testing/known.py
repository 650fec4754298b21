"""Outcomes of known models on the items of a test, complete: observed, else imputed."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.splitmix import mix

Singles: TypeAlias = NDArray[np.float32]

LEAST_SHARE = 0.7
"""Share of the items that a model needs outcomes on to be known: of models with less, too much
would be imputed."""

LEAST_MODELS = 8
"""Known models that a plan and an estimate need."""

CALIBRATING = 4
"""One known model in this many has no say in the choice of items, so that its errors are honest:
those of models that choose are too small (Athey and Imbens, Recursive partitioning for
heterogeneous causal effects, 2016, on honest estimation)."""

LEAST_CALIBRATING = 60
"""Models that calibrate intervals, at least; where there are fewer, all choose and calibrate."""

LEAST_OBSERVED = 0.5
"""Share of the known models that an item needs outcomes of to be chosen."""

RANK = 48
"""Components by which unobserved outcomes are imputed, at most."""

SEED = 0
"""Of the outcomes that are drawn: the same ones in each call."""

ROUNDS = 8
"""Rounds of imputation."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownOutcomes:
    """Outcomes of M known models on N items of B benchmarks.

    Attributes:
        values: float32, M x N, in [0, 1]; drawn where the model was not observed: a mean would have
            less variance than an outcome, and the item would seem to say more.
        groups: intp, N: benchmark of each item, from 0 to B - 1.
        scores: float32, M x B: mean outcome over the items of each benchmark, of those not observed
            the expected one.
        rows: intp, M: the known models among those that were given.
        askable: bool, N: items on which enough of the known models were observed to be chosen.
        choosing: bool, M: models that items are chosen by.
        calibrating: bool, M: models whose errors make intervals.
    """

    values: Singles
    groups: Places
    scores: Singles
    rows: Places
    askable: NDArray[np.bool_]
    choosing: NDArray[np.bool_]
    calibrating: NDArray[np.bool_]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the number of items of each benchmark, int64, B."""
        return np.bincount(self.groups, minlength=self.scores.shape[1])

    def part(self, rows: Places) -> "KnownOutcomes":
        """Return some of the known models."""
        return KnownOutcomes(
            self.values[rows],
            self.groups,
            self.scores[rows],
            self.rows[rows],
            self.askable,
            self.choosing[rows],
            self.calibrating[rows],
        )

    @property
    def is_honest(self) -> bool:
        """Return whether intervals are of models that had no say in the choice of items."""
        return not (self.choosing & self.calibrating).any()


def known_outcomes(
    outcomes: NDArray[np.floating[Any]],
    groups: Places | None = None,
    keys: NDArray[np.uint64] | None = None,
) -> KnownOutcomes:
    """Return the models that were observed on most items, unobserved outcomes imputed.

    Args:
        outcomes: M x N, in [0, 1]; NaN where not observed.
        groups: N, the benchmark of each item, from 0; None where all are of one.
        keys: uint64, M, hashes of the models, by which they choose or calibrate alike in every
            call; None for their places.

    Raises:
        UsageError: for outcomes out of range, or too few models with outcomes on most items.
    """
    observed = ~np.isnan(outcomes)
    values = outcomes[observed]
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise UsageError("Outcomes must be within 0 and 1.")
    count = outcomes.shape[1]
    of = np.zeros(count, np.intp) if groups is None else np.asarray(groups, np.intp)
    rows = np.flatnonzero(observed.sum(axis=1) >= LEAST_SHARE * max(count, 1))
    if len(rows) < LEAST_MODELS:
        raise UsageError(
            f"Only {len(rows)} models have outcomes on at least {LEAST_SHARE:.0%} of the items; "
            f"{LEAST_MODELS} are needed."
        )
    taken = np.asarray(outcomes[rows], np.float32)
    complete = imputed(taken)
    scores = [complete[:, of == group].mean(axis=1) for group in range(int(of.max()) + 1)]
    apart = _apart(rows.astype(np.uint64) if keys is None else keys[rows])
    return KnownOutcomes(
        drawn(taken, complete),
        of,
        np.stack(scores, axis=1),
        rows,
        askable=observed[rows].mean(axis=0) >= LEAST_OBSERVED,
        choosing=~apart | apart.all(),
        calibrating=apart,
    )


def _apart(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which models have no say in the choice of items; all, where they would be too few."""
    drawn: NDArray[np.bool_] = mix(keys.copy()) % np.uint64(CALIBRATING) == 0
    return drawn if drawn.sum() >= LEAST_CALIBRATING else np.ones(len(keys), np.bool_)


def imputed(outcomes: Singles) -> Singles:
    """Return outcomes, M x N, of which those not observed are expected ones.

    They are imputed by principal components.

    The components are those of the observed outcomes and the last imputation (Mazumder, Hastie and
    Tibshirani, Spectral regularization algorithms for learning large incomplete matrices, 2010,
    hard-impute).
    """
    observed = ~np.isnan(outcomes)
    if observed.all():
        return outcomes
    values = np.where(observed, outcomes, 0).astype(np.float64)
    # The mean of an item with few outcomes is shrunk towards that of all items.
    overall = values.sum() / observed.sum()
    means = (values.sum(axis=0) + overall) / (observed.sum(axis=0) + 1)
    centred = np.where(observed, values - means, 0)
    levels = centred.sum(axis=1, keepdims=True) / (observed.sum(axis=1, keepdims=True) + 1)
    filled = np.where(observed, centred, levels)
    for _ in range(ROUNDS):
        filled = np.where(observed, centred, _projected(filled))
    return np.where(observed, outcomes, np.clip(filled + means, 0, 1)).astype(np.float32)


def drawn(outcomes: Singles, expected: Singles) -> Singles:
    """Return outcomes, M x N, of which those not observed are drawn.

    Their variance about the expected ones is that of right and wrong answers, or a share of it
    where the outcomes of an item are graded.

    Args:
        outcomes: M x N; NaN where not observed.
        expected: M x N, see `imputed`.
    """
    observed = ~np.isnan(outcomes)
    if observed.all():
        return outcomes
    counts = np.maximum(observed.sum(axis=0), 1)
    means = np.where(observed, outcomes, 0).sum(axis=0) / counts
    variances = np.where(observed, outcomes - means, 0) ** 2
    most = np.maximum(means * (1 - means), 1e-6)
    shares = np.sqrt(np.minimum(variances.sum(axis=0) / counts / most, 1))
    binary = np.random.default_rng(SEED).random(outcomes.shape) < expected
    return np.where(observed, outcomes, expected + shares * (binary - expected)).astype(np.float32)


def _projected(centred: Reals) -> Reals:
    """Return the best approximation of a matrix by a few components."""
    is_wide = centred.shape[1] > centred.shape[0]
    tall = centred.T if is_wide else centred
    rank = max(1, min(RANK, tall.shape[1] // 3))
    _, axes = np.linalg.eigh(tall.T @ tall)
    near: Reals = tall @ axes[:, -rank:] @ axes[:, -rank:].T
    return near.T if is_wide else near
