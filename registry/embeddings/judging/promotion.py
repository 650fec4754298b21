"""Decision whether a new version of embeddings becomes current.

It must predict held-out outcomes no worse, on the whole and on each benchmark, and keep most of
models' nearest neighbours, which downstream tools rely on, unless it predicts clearly better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from registry.embeddings.judging.changes import Making, changes
from registry.embeddings.judging.churn import neighbour_churn
from registry.embeddings.judging.gain import SEEDS, Gain
from registry.embeddings.versions import Verdict
from registry.errors import UsageError, first_of

MARGIN = SEEDS
"""Log loss by which a candidate may be worse: seeds alone make as much difference."""

MOST_CHURN = 0.5
"""Share of neighbours that may change without a clear gain."""

LEAST_OUTCOMES = 100
"""Held-out outcomes of a benchmark from which on its loss refuses a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A version to judge.

    Attributes:
        models: names of its M models.
        vectors: float32, (M, d).
        log_loss: on outcomes that neither version was trained on, the same ones for both; in
            nats, lower being better.
        making: how it was trained; None where that is not known.
    """

    models: Sequence[str]
    vectors: NDArray[np.float32]
    log_loss: float
    making: Making | None = None


@dataclass(frozen=True, slots=True)
class Gains:
    """Gains of a candidate against the current version.

    Attributes:
        total: on all outcomes that both predict; None where their noise is not known.
        benchmarks: on those of each benchmark, by its canonical name.
    """

    total: Gain | None = None
    benchmarks: Mapping[str, Gain] = field(default_factory=dict)

    @property
    def clear(self) -> bool:
        """Whether the candidate predicts better beyond noise."""
        return self.total is not None and self.total.clear

    def lost(self, margin: float) -> list[str]:
        """Return the benchmarks that lose more than a margin beyond noise, worst first."""
        tested = {
            name: gain for name, gain in self.benchmarks.items() if gain.count >= LEAST_OUTCOMES
        }
        lost = [name for name, gain in tested.items() if gain.lost(margin, len(tested))]
        return sorted(lost, key=lambda name: tested[name].mean)


NO_GAINS = Gains()


def judge(
    current: Contender | None,
    candidate: Contender,
    *,
    margin: float = MARGIN,
    most_churn: float = MOST_CHURN,
    baseline: float | None = None,
    gains: Gains = NO_GAINS,
) -> Verdict:
    """Decide whether a candidate becomes the current version.

    Args:
        current: the current version; None where there is none.
        candidate: the new one.
        margin: log loss that it may lose against the current version, in nats; a negative margin
            demands an improvement.
        most_churn: share of neighbours that may change, in [0, 1], without a clear gain.
        baseline: log loss of predicting means on the same outcomes; a candidate that is not better
            is refused, even the first one. None skips this test.
        gains: with their noise; without them, no gain is clear.

    Raises:
        UsageError: when a limit is out of range.
    """
    check_limits(margin, most_churn)
    loss = candidate.log_loss
    churn = None if current is None else _churn(current, candidate)
    if not np.isfinite(loss):
        reason = f"its held-out log loss is {loss}, not a finite number"
        return Verdict(promoted=False, reason=reason, churn=churn)
    if baseline is not None and not loss < baseline:
        reason = (
            f"its held-out log loss of {loss:.4f} is no better than that of means, {baseline:.4f}"
        )
        return Verdict(promoted=False, reason=reason, churn=churn)
    if current is None:
        reason = f"the first version; held-out log loss {loss:.4f}"
        return Verdict(promoted=True, reason=reason, churn=None)
    reason = f"held-out log loss {loss:.4f} against {current.log_loss:.4f}"
    if loss > current.log_loss + margin:
        missed = f"worse by more than {margin:g}" if margin >= 0 else f"no gain of {-margin:g}"
        reason += f": {missed}"
        return Verdict(promoted=False, reason=reason, churn=churn)
    if lost := gains.lost(max(margin, 0)):
        reason += f", but worse beyond noise on {_named(lost, gains)}"
        return Verdict(promoted=False, reason=reason, churn=churn)
    if churn is None:
        return Verdict(promoted=True, reason=f"{reason}; no neighbours to compare", churn=None)
    promoted = churn <= most_churn or gains.clear
    reason += f", {churn:.0%} of neighbours changed"
    if churn > most_churn:
        reason += f": more than {most_churn:.0%}, {_weighed(gains)}"
    reason += _cause(current, candidate, expected=promoted)
    return Verdict(promoted=promoted, reason=reason, churn=churn)


def _churn(current: Contender, candidate: Contender) -> float | None:
    return neighbour_churn((current.models, current.vectors), (candidate.models, candidate.vectors))


def _weighed(gains: Gains) -> str:
    """Return what stands against many changed neighbours."""
    if gains.clear:
        return f"for a gain of {gains.total} beyond noise"
    return "without a gain beyond noise" + ("" if gains.total is None else f" ({gains.total})")


def _cause(current: Contender, candidate: Contender, *, expected: bool) -> str:
    """Return what the change of neighbours may be due to, where that needs words."""
    if current.making is None or candidate.making is None:
        return ""
    changed = changes(current.making, candidate.making)
    if changed:
        return f"; {', '.join(changed)}"
    if expected:
        return ""
    return "; method, rank and kind of settings are the same, so it is chance or other outcomes"


def _named(lost: Sequence[str], gains: Gains) -> str:
    return first_of([f"{name} ({gains.benchmarks[name]})" for name in lost], noun="benchmark")


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
