"""The gate: log loss, loss on a benchmark, and churn weighed against gain."""

from typing import Any

import numpy as np
import pytest
from learned import drawn, names
from numpy.typing import NDArray

from registry.embeddings.judging.promotion import Contender, judge
from registry.errors import UsageError


def contender(
    vectors: NDArray[np.float32], log_loss: float = 0.5, models: list[str] | None = None
) -> Contender:
    return Contender(models=models or names(len(vectors)), vectors=vectors, log_loss=log_loss)


@pytest.mark.parametrize(
    ("before", "after", "promoted", "reason"),
    [
        (0.5, 0.4, True, "0.4000 against 0.5000, 0% of neighbours changed"),
        (0.5, 0.501, True, "0.5010 against 0.5000"),
        (0.5, 0.503, False, "worse by more than 0.002"),
        (0.5, float("nan"), False, "nan, not a finite number"),
    ],
)
def test_the_log_loss_may_hardly_be_worse(
    before: float,
    after: float,
    promoted: bool,  # noqa: FBT001
    reason: str,
) -> None:
    verdict = judge(contender(drawn(20), before), contender(drawn(20), after))
    assert verdict.promoted is promoted
    assert reason in verdict.reason
    assert verdict.churn == 0


def test_an_improvement_can_be_asked_for() -> None:
    pair = contender(drawn(20), 0.5), contender(drawn(20), 0.495)
    assert judge(*pair, margin=0).promoted
    assert not judge(*pair, margin=-0.01).promoted


@pytest.mark.parametrize(
    "limits",
    [
        {"margin": float("nan")},
        {"margin": float("inf")},
        {"most_churn": float("nan")},
        {"most_churn": -0.1},
        {"most_churn": 1.1},
    ],
    ids=str,
)
def test_what_limits_nothing_is_no_limit(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be"):
        judge(contender(drawn(20), 0.5), contender(drawn(20), 9.0), **limits)


def test_neighbours_must_mostly_stay() -> None:
    pair = contender(drawn(100), 0.5), contender(drawn(100, seed=1), 0.4)
    verdict = judge(*pair)
    assert not verdict.promoted
    assert verdict.churn is not None
    assert verdict.churn > 0.8
    assert "more than 50%" in verdict.reason
    assert judge(*pair, most_churn=1).promoted


def test_the_first_has_to_beat_means_if_they_are_given() -> None:
    first = contender(drawn(5), 0.5)
    assert judge(None, first).promoted
    assert judge(None, first, baseline=0.51).promoted
    verdict = judge(None, first, baseline=0.5)
    assert (verdict.promoted, verdict.churn) == (False, None)
    assert "no better than that of means, 0.5000" in verdict.reason
    assert not judge(contender(drawn(5), 0.6), first, baseline=0.4).promoted
    assert judge(first, contender(drawn(2), models=["a", "b"])).promoted
