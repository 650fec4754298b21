"""Rotations that are found again, and those that are not to be found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learned import drawn

from registry.learning.alignment import align, padded, rotate


def orthogonal(
    dimension: int, seed: int = 1
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    return np.asarray(np.linalg.qr(drawn(dimension, dimension, seed))[0], np.float64)


@given(
    count=st.integers(1, 40), dimension=st.integers(1, 12), seed=st.integers(0, 1000)
)  # fmt: skip
def test_a_rotation_is_undone(count: int, dimension: int, seed: int) -> None:
    old = drawn(count, dimension, seed)
    new = np.asarray(old @ orthogonal(dimension, seed + 1), np.float32)
    found = align(new, old)
    assert found is not None
    assert np.allclose(found.rotation @ found.rotation.T, np.eye(dimension), atol=1e-9)
    assert np.allclose(rotate(new, found), old, atol=1e-4)
    assert found.residual == pytest.approx(0, abs=1e-4)
    assert (found.shared, found.determined) == (count, count >= dimension)


def test_a_reflection_too() -> None:
    old = drawn(20)
    new = old.copy()
    new[:, 2] *= -1
    found = align(new, old)
    assert found is not None
    assert np.linalg.det(found.rotation) == pytest.approx(-1)
    assert np.allclose(rotate(new, found), old, atol=1e-5)


def test_no_rotation_fits_better() -> None:
    old, new = drawn(30, 5), drawn(30, 5, seed=1)
    found = align(new, old)
    assert found is not None
    assert found.residual is not None
    for seed in range(200):
        other = np.linalg.norm(new @ orthogonal(5, seed) - old) / np.linalg.norm(old)
        assert other >= found.residual - 1e-9
    assert found.residual == pytest.approx(
        np.linalg.norm(rotate(new, found) - old) / np.linalg.norm(old), abs=1e-6
    )


def test_inner_products_stay() -> None:
    found = align(drawn(30, 5, seed=1), drawn(30, 5))
    assert found is not None
    models, items = drawn(7, 5, seed=2), drawn(9, 5, seed=3)
    assert np.allclose(rotate(models, found) @ rotate(items, found).T, models @ items.T, atol=1e-4)


def test_what_is_not_told_is_turned_as_little_as_possible() -> None:
    """One shared model of three dimensions, already in place: nothing is to be turned."""
    old = np.array([[2, 0, 0]], np.float32)
    found = align(old, old)
    assert found is not None
    assert not found.determined
    assert np.allclose(found.rotation, np.eye(3))


def test_zeros() -> None:
    found = align(drawn(3), np.zeros((3, 4), np.float32))
    assert found is not None
    assert found.residual is None
    assert np.allclose(found.rotation @ found.rotation.T, np.eye(4))


@pytest.mark.parametrize(("fewer", "more"), [(3, 5), (1, 4)])
def test_fewer_dimensions_are_padded(fewer: int, more: int) -> None:
    """The same models in a space of fewer dimensions, and in one of more, rotated."""
    small = drawn(30, fewer)
    large = np.asarray(padded(small, more) @ orthogonal(more), np.float32)
    onto_large, onto_small = align(small, large), align(large, small)
    assert onto_large is not None
    assert onto_small is not None
    assert np.allclose(rotate(small, onto_large), large, atol=1e-5)
    assert np.allclose(rotate(large, onto_small), padded(small, more), atol=1e-5)
    assert onto_large.residual == pytest.approx(0, abs=1e-5)
    assert onto_small.residual == pytest.approx(0, abs=1e-5)
    for found in (onto_large, onto_small):
        assert np.allclose(found.rotation @ found.rotation.T, np.eye(more), atol=1e-9)


def test_what_fewer_dimensions_lack_is_the_residual() -> None:
    old = np.asarray(np.linalg.qr(drawn(30, 5))[0], np.float32)
    found = align(old[:, :3], old)
    assert found is not None
    assert found.residual == pytest.approx(np.sqrt(2 / 5), abs=1e-5)
    assert rotate(old[:, :3], found).shape == (30, 5)


def test_there_is_none_without_models_in_common() -> None:
    assert align(drawn(0), drawn(0)) is None
    assert align(drawn(0), drawn(0, 6)) is None
    with pytest.raises(ValueError, match="cannot be paired"):
        align(drawn(3), drawn(2))
