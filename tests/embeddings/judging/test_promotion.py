"""The gate: log loss, loss on a benchmark, and churn weighed against gain."""

from typing import Any

import numpy as np
import pytest
from learned import drawn, names
from numpy.typing import NDArray

from registry.embeddings.judging.changes import Making, changes
from registry.embeddings.judging.gain import Gain
from registry.embeddings.judging.promotion import Contender, Gains, judge
from registry.errors import UsageError


def contender(
    vectors: NDArray[np.float32],
    log_loss: float = 0.5,
    models: list[str] | None = None,
    making: Making | None = None,
) -> Contender:
    return Contender(
        models=models or names(len(vectors)), vectors=vectors, log_loss=log_loss, making=making
    )


def made(**given: Any) -> Making:
    values: dict[str, Any] = {
        "method": "blend",
        "rank": 9,
        "settings": {"method": "blend", "parts": [{"method": "irt", "rank": 9}], "known": [1.0]},
        "encoder": None,
        "models": frozenset(names(3)),
        "benchmarks": frozenset(["arc", "gsm8k"]),
        **given,
    }
    return Making(**values)


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


def test_a_far_better_version_is_promoted_whatever_changed() -> None:
    """As one whose 66% of changed neighbours refused it, and every later one, for ever."""
    old = drawn(100)
    new = np.asarray(old + 0.9 * drawn(100, seed=1), np.float32)
    pair = contender(old, 0.639, making=made()), contender(new, 0.454, making=made(rank=30))
    clear = Gains(Gain(0.185, 0.004, 9_000))
    verdict = judge(*pair, gains=clear)
    assert verdict.churn is not None
    assert 0.55 < verdict.churn < 0.8
    assert verdict.promoted
    changed = f"{verdict.churn:.0%} of neighbours changed"
    assert verdict.reason == (
        f"held-out log loss 0.4540 against 0.6390, {changed}: more than 50%, for a gain of "
        "+0.1850 ± 0.0040 beyond noise; rank 30 instead of 9"
    )
    assert judge(*pair, gains=clear, most_churn=0).promoted


@pytest.mark.parametrize(
    "unclear", [Gain(0.0015, 0.0001, 9_000), Gain(0.02, 0.02, 90), Gain(0.0, 0.0, 9_000)]
)
def test_churn_refuses_where_there_is_no_clear_gain(unclear: Gain) -> None:
    pair = [
        contender(vectors, 0.5 - gained, making=made())
        for vectors, gained in ((drawn(100), 0), (drawn(100, seed=1), unclear.mean))
    ]
    verdict = judge(*pair, gains=Gains(unclear))
    assert not verdict.promoted
    assert f"more than 50%, without a gain beyond noise ({unclear})" in verdict.reason
    assert "method, rank and kind of settings are the same" in verdict.reason
    other = contender(drawn(100, seed=1), 0.5, making=made(method="irt"))
    verdict = judge(pair[0], other, gains=Gains(unclear))
    assert not verdict.promoted
    assert verdict.reason.endswith("; method irt instead of blend")


def test_no_benchmark_may_be_lost_while_the_sum_gains() -> None:
    pair = contender(drawn(50), 0.5), contender(drawn(50), 0.4)
    total = Gain(0.1, 0.002, 9_000)

    def verdict(**of: Gain) -> tuple[bool, str]:
        found = judge(*pair, gains=Gains(total, of))
        return found.promoted, found.reason

    promoted, reason = verdict(arc=Gain(0.2, 0.01, 8_000), mmlu_pro=Gain(-0.05, 0.01, 1_000))
    assert not promoted
    assert reason.endswith("but worse beyond noise on mmlu_pro (-0.0500 ± 0.0100)")
    assert verdict(arc=Gain(0.2, 0.01, 8_000), mmlu_pro=Gain(-0.05, 0.01, 99))[0], "too few"
    assert verdict(arc=Gain(0.2, 0.01, 8_000), mmlu_pro=Gain(-0.02, 0.01, 1_000))[0], "noise"
    assert verdict(arc=Gain(-0.001, 0.0001, 8_000))[0], "within the margin"
    many = {f"b{number}": Gain(-0.1 - number / 100, 0.01, 500) for number in range(5)}
    assert "on b4 (-0.1400 ± 0.0100), b3 (-0.1300 ± 0.0100), b2" in verdict(**many)[1]
    assert verdict(**many)[1].endswith(" and 2 more benchmarks")
    del many["b4"]
    assert verdict(**many)[1].endswith(" and 1 more benchmark")


def test_a_negative_margin_demands_no_gain_on_every_benchmark() -> None:
    pair = contender(drawn(50), 0.5), contender(drawn(50), 0.4)
    gains = Gains(Gain(0.1, 0.002, 9_000), {"arc": Gain(0.0, 0.001, 500)})
    assert judge(*pair, gains=gains, margin=-0.05).promoted


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, []),
        ({"models": frozenset(names(5)), "benchmarks": frozenset(["arc", "gsm8k", "b"])}, []),
        # Numbers differ by chance and data, as does how many weights there are.
        ({"settings": {"method": "blend", "parts": [{"method": "irt", "rank": 30}],
                       "known": (0.5, 0.5)}}, []),
        ({"settings": {"method": "blend", "parts": [{"method": "irt"}, {"method": "rasch"}],
                       "known": [1.0]}}, ["settings of another kind"]),
        ({"method": "irt", "settings": {"method": "irt"}}, ["method irt instead of blend"]),
        ({"rank": 16}, ["rank 16 instead of 9"]),
        ({"encoder": "minilm"}, ["texts by minilm, not none"]),
        ({"models": frozenset(names(2)), "benchmarks": frozenset(["arc"])},
         ["without gsm8k", "without 1 of its models"]),
        ({"benchmarks": frozenset()}, ["without arc, gsm8k"]),
    ],
)  # fmt: skip
def test_what_is_no_noise_is_named(after: dict[str, Any], said: list[str]) -> None:
    assert changes(made(), made(**after)) == said
