"""Churn of nearest neighbours, against counting."""

import numpy as np
import pytest
from learned import drawn, names
from numpy.typing import NDArray

from registry.embeddings.judging import churn
from registry.embeddings.judging.churn import Named, neighbour_churn, rank


def named(vectors: NDArray[np.float32], models: list[str] | None = None) -> Named:
    return models or names(len(vectors)), vectors


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
    assert neighbour_churn(named(old), named(new)) == pytest.approx(expected)
    monkeypatch.setattr(churn, "_AT_ONCE", 100)
    assert neighbour_churn(named(old), named(new)) == pytest.approx(expected)


def test_a_rotation_changes_no_neighbours_even_equal_ones() -> None:
    """Many models without outcomes share a vector: which of them comes first means nothing."""
    old = np.repeat(drawn(8, 6), 10, axis=0)
    new = np.asarray(3 * old @ np.linalg.qr(drawn(6, 6, seed=2))[0], np.float32)
    assert neighbour_churn(named(old), named(new)) == 0


def test_neighbours_that_are_equal_but_for_rounding_are_kept() -> None:
    """Copies of one vector far from the origin, each rounded for itself."""
    copies = np.repeat(100 * drawn(4, 6), 20, axis=0)
    old, new = (
        np.asarray(copies * (1 + 1e-7 * drawn(80, 6, seed=seed)), np.float32) for seed in (1, 2)
    )
    assert neighbour_churn(named(old), named(new)) == 0


def test_models_in_one_direction_are_no_neighbours_if_they_are_far_apart() -> None:
    """Their level differs: as cosines have it, they would all be equally near."""
    direction = drawn(1, 6)
    levels = np.arange(1, 41, dtype=np.float32)[:, None]
    order = np.random.default_rng(3).permutation(40)
    old, new = levels * direction, levels[order] * direction
    assert neighbour_churn(named(old), named(new)) == pytest.approx(
        naive_churn(old, new, 10), abs=0.05
    )


def test_only_models_in_common_count_in_whatever_order() -> None:
    old = drawn(40, 6)
    order = np.random.default_rng(0).permutation(40)
    new = np.concatenate([old[order], drawn(30, 6, seed=9)])
    models = [f"org/m{at}" for at in order] + [f"new/m{at}" for at in range(30)]
    assert neighbour_churn(named(old), named(new, models=models)) == 0


def test_other_dimensions_compare() -> None:
    old = drawn(40, 6)
    new = np.concatenate([old, np.zeros((40, 2), np.float32)], axis=1)
    assert neighbour_churn(named(old), named(new)) == 0


def test_of_many_a_sample_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    old = drawn(500, 6)
    new = np.asarray(old + 0.3 * drawn(500, 6, seed=1), np.float32)
    whole = neighbour_churn(named(old), named(new))
    monkeypatch.setattr(churn, "_SAMPLE", 200)
    assert neighbour_churn(named(old), named(new)) == pytest.approx(whole, abs=0.05)


def test_without_two_models_in_common_there_is_no_churn() -> None:
    assert neighbour_churn(named(drawn(1)), named(drawn(1))) is None
    assert neighbour_churn(named(drawn(2)), named(drawn(2), models=["a", "b"])) is None


def test_padding_adds_no_rank() -> None:
    turn = np.linalg.qr(drawn(9, 9, seed=3))[0]
    padded = np.concatenate([drawn(40, 5), np.zeros((40, 4), np.float32)], axis=1)
    assert rank(np.asarray(padded @ turn, np.float32)) == 5
    assert rank(drawn(40, 9)) == 9
    assert rank(drawn(3, 9)) == 3
    assert rank(np.zeros((3, 2), np.float32)) == 0
