"""Decision whether a new version of embeddings becomes current.

It must predict held-out outcomes no worse, and keep most of models' nearest neighbours, which
downstream tools rely on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError

NEIGHBOURS = 10
"""Nearest neighbours of a model to compare."""

MARGIN = 0.002
"""Log loss by which a candidate may be worse: seeds alone make as much difference."""

MOST_CHURN = 0.5
"""Share of neighbours that may change."""

_SAMPLE = 2_000
"""Models whose neighbours are compared: the standard error of the mean is then about 0.01."""

_AT_ONCE = 1 << 24
"""Distances in memory at once: 64 MB."""

_TIE = 1e-5
"""Squared distances are equal that differ by less than this share of the two vectors' squared
lengths: a rotation in float32 changes them by as much."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A version to judge.

    Attributes:
        models: names of its M models.
        vectors: float32, (M, d).
        log_loss: on outcomes that neither version was trained on, the same ones for both; in
            nats, lower being better.
    """

    models: Sequence[str]
    vectors: NDArray[np.float32]
    log_loss: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision about a candidate, and its reason.

    Attributes:
        promoted: whether it becomes the current version.
        reason: a sentence for people.
        churn: mean share, in [0, 1], of models' nearest neighbours in the current version that
            are not among them in the candidate; None without two models in both.
    """

    promoted: bool
    reason: str
    churn: float | None


def judge(
    current: Contender | None,
    candidate: Contender,
    *,
    margin: float = MARGIN,
    most_churn: float = MOST_CHURN,
    baseline: float | None = None,
) -> Verdict:
    """Decide whether a candidate becomes the current version.

    Args:
        current: the current version; None where there is none.
        candidate: the new one.
        margin: log loss that it may lose against the current version, in nats; a negative margin
            demands an improvement.
        most_churn: share of neighbours that may change, in [0, 1].
        baseline: log loss of predicting means on the same outcomes; a candidate that is not better
            is refused, even the first one. None skips this test.

    Raises:
        UsageError: when a limit is out of range.
    """
    check_limits(margin, most_churn)
    loss = candidate.log_loss
    churn = None if current is None else neighbour_churn(current, candidate)

    def refused(reason: str) -> Verdict:
        return Verdict(promoted=False, reason=reason, churn=churn)

    if not np.isfinite(loss):
        return refused(f"its held-out log loss is {loss}, not a finite number")
    if baseline is not None and not loss < baseline:
        return refused(
            f"its held-out log loss of {loss:.4f} is no better than that of means, {baseline:.4f}"
        )
    if current is None:
        reason = f"the first version; held-out log loss {loss:.4f}"
        return Verdict(promoted=True, reason=reason, churn=None)
    reason = f"held-out log loss {loss:.4f} against {current.log_loss:.4f}"
    if loss > current.log_loss + margin:
        return refused(f"{reason}: worse by more than {margin:g}")
    if churn is None:
        return Verdict(promoted=True, reason=f"{reason}; no neighbours to compare", churn=None)
    reason += f", {churn:.0%} of neighbours changed"
    if churn > most_churn:
        return refused(f"{reason}: more than {most_churn:.0%}")
    return Verdict(promoted=True, reason=reason, churn=churn)


def check_limits(margin: float, most_churn: float) -> None:
    """Check the limits: no candidate would fail a NaN.

    Args:
        margin: in nats, finite.
        most_churn: in [0, 1].

    Raises:
        UsageError: when a limit is out of range.
    """
    if not math.isfinite(margin):
        raise UsageError(f"The margin of log loss is {margin}; it must be finite.")
    if not 0 <= most_churn <= 1:
        raise UsageError(f"The most churn is {most_churn}; it must be in [0, 1].")


def neighbour_churn(
    current: Contender, candidate: Contender, *, k: int = NEIGHBOURS, seed: int = 0
) -> float | None:
    """Return the share of the k nearest neighbours, by Euclidean distance, that change.

    Over the models that both have, or a sample of them, each compared with all. Equally near
    neighbours count as unchanged.

    Args:
        current: the version before.
        candidate: the version after; dimensions may differ.
        k: neighbours of each model.
        seed: of the sample.

    Returns:
        Churn in [0, 1]; None where fewer than two models are shared.
    """
    places = {name: place for place, name in enumerate(current.models)}
    shared = [(places[name], at) for at, name in enumerate(candidate.models) if name in places]
    if len(shared) < 2:  # noqa: PLR2004
        return None
    pairs = np.array(shared)
    old = _centred(current.vectors[pairs[:, 0]])
    new = _centred(candidate.vectors[pairs[:, 1]])
    squares = np.square(new).sum(axis=1)
    count, k = len(pairs), min(k, len(pairs) - 1)
    sample = np.arange(count)
    if count > _SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(count, _SAMPLE, replace=False))
    unchanged = 0
    step = max(1, _AT_ONCE // count)
    for start in range(0, len(sample), step):
        rows = sample[start : start + step]
        before, after = _distances(old, rows), _distances(new, rows)
        nearest = np.argpartition(before, k - 1, axis=1)[:, :k]
        farthest = np.partition(after, k - 1, axis=1)[:, k - 1]
        tie = _TIE * (squares[rows][:, None] + squares[nearest])
        near = np.take_along_axis(after, nearest, axis=1) <= farthest[:, None] + tie
        unchanged += int(np.count_nonzero(near))
    return 1 - unchanged / (len(sample) * k)


def _centred(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors around their mean: distances stay, and sums of squares round off less."""
    return np.asarray(vectors - vectors.mean(axis=0, dtype=np.float64), np.float32)


def _distances(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return squared distances of rows to all vectors; a vector is not its own neighbour."""
    squares = np.square(vectors).sum(axis=1)
    found: NDArray[np.float32] = vectors[rows] @ vectors.T
    found *= -2
    found += squares
    found += squares[rows][:, None]
    found[np.arange(len(rows)), rows] = np.inf
    return found
