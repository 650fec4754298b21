"""The gate: held-out log loss and churn of neighbours, against the obvious."""

import numpy as np
import pytest
from learned import drawn, names
from numpy.typing import NDArray

from registry.embeddings import promotion
from registry.embeddings.promotion import Contender, judge, neighbour_churn
from registry.errors import UsageError


def contender(
    vectors: NDArray[np.float32], log_loss: float = 0.5, models: list[str] | None = None
) -> Contender:
    return Contender(models=models or names(len(vectors)), vectors=vectors, log_loss=log_loss)


def naive_churn(old: NDArray[np.float32], new: NDArray[np.float32], k: int) -> float:
    def nearest(vectors: NDArray[np.float32], place: int) -> set[int]:
        distance = np.linalg.norm(vectors - vectors[place], axis=1)
        order = sorted(range(len(vectors)), key=lambda at: distance[at])
        return set([at for at in order if at != place][:k])

    kept = [len(nearest(old, at) & nearest(new, at)) / k for at in range(len(old))]
    return 1 - float(np.mean(kept))


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0, 5.0])
def test_churn_is_what_counting_says(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    old = drawn(60, 6)
    new = np.asarray(old + noise * drawn(60, 6, seed=1), np.float32)
    expected = naive_churn(old, new, 10)
    assert neighbour_churn(contender(old), contender(new)) == pytest.approx(expected)
    monkeypatch.setattr(promotion, "_AT_ONCE", 100)
    assert neighbour_churn(contender(old), contender(new)) == pytest.approx(expected)


def test_a_rotation_changes_no_neighbours_even_equal_ones() -> None:
    """Many models without outcomes share a vector: which of them comes first means nothing."""
    old = np.repeat(drawn(8, 6), 10, axis=0)
    new = np.asarray(3 * old @ np.linalg.qr(drawn(6, 6, seed=2))[0], np.float32)
    assert neighbour_churn(contender(old), contender(new)) == 0


def test_neighbours_that_are_equal_but_for_rounding_are_kept() -> None:
    """Copies of one vector, far from zero: their distances differ by rounding alone."""
    copies = np.repeat(drawn(4, 6), 20, axis=0)
    noise = np.random.default_rng(5).uniform(-2e-7, 2e-7, (2, 80, 6))
    old, new = (np.asarray(copies * (1 + each), np.float32) for each in noise)
    assert neighbour_churn(contender(old), contender(new)) == 0


def test_models_in_one_direction_are_no_neighbours_if_they_are_far_apart() -> None:
    """Their level differs: as cosines have it, they would all be equally near."""
    direction = drawn(1, 6)
    levels = np.arange(1, 41, dtype=np.float32)[:, None]
    order = np.random.default_rng(3).permutation(40)
    old, new = levels * direction, levels[order] * direction
    assert neighbour_churn(contender(old), contender(new)) == pytest.approx(
        naive_churn(old, new, 10), abs=0.05
    )


def test_only_models_in_common_count_in_whatever_order() -> None:
    old = drawn(40, 6)
    order = np.random.default_rng(0).permutation(40)
    new = np.concatenate([old[order], drawn(30, 6, seed=9)])
    models = [f"org/m{at}" for at in order] + [f"new/m{at}" for at in range(30)]
    assert neighbour_churn(contender(old), contender(new, models=models)) == 0


def test_other_dimensions_compare() -> None:
    old = drawn(40, 6)
    new = np.concatenate([old, np.zeros((40, 2), np.float32)], axis=1)
    assert neighbour_churn(contender(old), contender(new)) == 0


def test_of_many_a_sample_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    old = drawn(500, 6)
    new = np.asarray(old + 0.3 * drawn(500, 6, seed=1), np.float32)
    whole = neighbour_churn(contender(old), contender(new))
    monkeypatch.setattr(promotion, "_SAMPLE", 200)
    assert neighbour_churn(contender(old), contender(new)) == pytest.approx(whole, abs=0.05)


def test_without_two_models_in_common_there_is_no_churn() -> None:
    assert neighbour_churn(contender(drawn(1)), contender(drawn(1))) is None
    assert neighbour_churn(contender(drawn(2)), contender(drawn(2), models=["a", "b"])) is None


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
def test_what_limits_nothing_is_no_limit(limits: dict[str, float]) -> None:
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
