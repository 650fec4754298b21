"""Whether a new version of embeddings is to take the place of the current one.

Two questions: does it predict held-out outcomes no worse, and are models' neighbours still mostly
the same, since tools downstream rely on them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError

NEIGHBOURS = 10
"""Nearest neighbours of a model that are compared."""

MARGIN = 0.002
"""Log loss by which a candidate may be worse: trainings differ by as much by their seeds alone."""

MOST_CHURN = 0.5
"""Share of neighbours that may be others."""

_ASKED = 2_000
"""Models whose neighbours are looked for: a mean over so many is known to about 0.01."""

_AT_ONCE = 1 << 24
"""Similarities held at once: 64 MB."""

_TIE = 1e-5
"""Cosines that differ by less are equal: rotating vectors in float32 moves them by as much."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A version to be judged.

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
    """What was decided about a candidate, and why.

    Attributes:
        promoted: whether it is to become the current version.
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
        current: the current version; None where there is none yet.
        candidate: the new one.
        margin: how much more log loss it may have than the current version, in nats; a negative
            margin asks for an improvement.
        most_churn: the most of the neighbours that may change, in [0, 1].
        baseline: log loss, on the same outcomes, of predicting means; a candidate that is not
            better is refused, the first one too. None asks for nothing.

    Raises:
        UsageError: where a limit is no number that anything could be compared with.
    """
    check_limits(margin, most_churn)
    loss = candidate.log_loss
    churn = None if current is None else neighbour_churn(current, candidate)
    if not np.isfinite(loss):
        return Verdict(
            promoted=False, reason=f"its held-out log loss is {loss}, no number", churn=churn
        )
    if baseline is not None and not loss < baseline:
        told = f"its held-out log loss of {loss:.4f} is no better than that of means, "
        return Verdict(promoted=False, reason=f"{told}{baseline:.4f}", churn=churn)
    if current is None:
        return Verdict(
            promoted=True, reason=f"the first version; held-out log loss {loss:.4f}", churn=None
        )
    told = f"held-out log loss {loss:.4f} against {current.log_loss:.4f}"
    if loss > current.log_loss + margin:
        return Verdict(promoted=False, reason=f"{told}: worse by more than {margin:g}", churn=churn)
    if churn is None:
        return Verdict(promoted=True, reason=f"{told}; no neighbours to compare", churn=None)
    told += f", {churn:.0%} of neighbours changed"
    if churn > most_churn:
        return Verdict(promoted=False, reason=f"{told}: more than {most_churn:.0%}", churn=churn)
    return Verdict(promoted=True, reason=told, churn=churn)


def check_limits(margin: float, most_churn: float) -> None:
    """Make sure that a candidate can fail: nothing is more than NaN.

    Args:
        margin: in nats, finite.
        most_churn: in [0, 1].

    Raises:
        UsageError: saying which limit is none.
    """
    if not math.isfinite(margin):
        raise UsageError(f"The margin of log loss is {margin}; it must be finite.")
    if not 0 <= most_churn <= 1:
        raise UsageError(f"The most churn is {most_churn}; it must be in [0, 1].")


def neighbour_churn(
    current: Contender, candidate: Contender, *, k: int = NEIGHBOURS, seed: int = 0
) -> float | None:
    """Return the share of the k nearest neighbours, by cosine, that are others in a candidate.

    Over the models that both have; where they are many, over a sample of them, each compared
    with all. Neighbours that are equally near count as kept.

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
    rows = np.array(shared)
    old = _of_length_one(current.vectors[rows[:, 0]])
    new = _of_length_one(candidate.vectors[rows[:, 1]])
    count, k = len(rows), min(k, len(rows) - 1)
    asked = np.arange(count)
    if count > _ASKED:
        asked = np.sort(np.random.default_rng(seed).choice(count, _ASKED, replace=False))
    kept = 0
    step = max(1, _AT_ONCE // count)
    for start in range(0, len(asked), step):
        some = asked[start : start + step]
        before, after = _similarities(old, some), _similarities(new, some)
        nearest = np.argpartition(before, count - k, axis=1)[:, count - k :]
        least = np.partition(after, count - k, axis=1)[:, count - k]
        near = np.take_along_axis(after, nearest, axis=1) >= least[:, None] - _TIE
        kept += int(np.count_nonzero(near))
    return 1 - kept / (len(asked) * k)


def _of_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def _similarities(vectors: NDArray[np.float32], some: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the cosines of some vectors with all; a vector is not its own neighbour."""
    found: NDArray[np.float32] = vectors[some] @ vectors.T
    found[np.arange(len(some)), some] = -np.inf
    return found
