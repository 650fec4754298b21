"""Splits are disjoint, complete and repeatable, and leave every model something to train on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.learning.splits import ItemSplit, Mask, Split, by_cell, by_group, by_item

SHARES = st.floats(0.01, 0.49)
SEEDS = st.integers(0, 2**32)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 20))
    random = np.random.default_rng(draw(SEEDS))
    mask = random.random((rows, columns)) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    mask[draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))] = True
    return mask


def assert_whole(split: Split, mask: Mask) -> None:
    parts = np.stack([split.train, split.validation, split.test])
    assert (parts.sum(axis=0) == mask).all()
    assert (split.train.any(axis=1) == mask.any(axis=1)).all()


def assert_same(one: Split | ItemSplit, other: Split | ItemSplit) -> None:
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


@given(masks(), SHARES, SEEDS)
def test_cells(mask: Mask, share: float, seed: int) -> None:
    split = by_cell(mask, share, seed)
    assert_whole(split, mask)
    assert_same(split, by_cell(mask, share, seed))
    counts = mask.sum(axis=1)
    for part in (split.validation, split.test):
        assert (part.sum(axis=1) <= share * counts + 1).all()


@given(masks(), SHARES, SEEDS, st.data())
def test_items(mask: Mask, share: float, seed: int, data: st.DataObject) -> None:
    width = mask.shape[1]
    groups = data.draw(
        st.none() | st.lists(st.sampled_from("abcdefgh"), min_size=width, max_size=width)
    )
    split = by_item(mask, share, seed, groups)
    every = np.concatenate([split.train, split.validation, split.test])
    assert sorted(every) == list(range(width))
    assert_whole(split.cells(mask), mask)
    assert_same(split, by_item(mask, share, seed, groups))
    assert max(split.test.size, split.validation.size) <= share * width + 1e-6
    if groups is not None:
        parts = [{groups[item] for item in part} for part in (split.train, split.test)]
        parts.append({groups[item] for item in split.validation})
        assert sum(map(len, parts)) == len(set(groups))


def test_shares_are_kept_where_there_is_enough() -> None:
    mask = np.random.default_rng(0).random((40, 500)) < 0.8
    split = by_cell(mask, 0.1, seed=3)
    for part, share in ((split.train, 0.8), (split.validation, 0.1), (split.test, 0.1)):
        assert part.sum() / mask.sum() == pytest.approx(share, abs=0.002)
    items = by_item(mask, 0.1, seed=3)
    assert (items.train.size, items.validation.size, items.test.size) == (400, 50, 50)


def test_a_model_that_was_never_observed_leaves_the_shares_of_items() -> None:
    mask = np.ones((5, 50), bool)
    mask[2] = False
    items = by_item(mask, 0.1, seed=3)
    assert (items.train.size, items.validation.size, items.test.size) == (40, 5, 5)


def test_every_cell_is_as_likely_to_be_held_out() -> None:
    mask = np.ones((3, 7), bool)
    held = sum(by_cell(mask, 0.2, seed).test.astype(int) for seed in range(2000))
    np.testing.assert_allclose(held / 2000, 0.2, atol=0.04)


def test_seeds_differ() -> None:
    mask = np.ones((5, 50), bool)
    assert (by_cell(mask, 0.2, 0).test != by_cell(mask, 0.2, 1).test).any()
    assert set(by_item(mask, 0.2, 0).test) != set(by_item(mask, 0.2, 1).test)


def test_a_model_with_one_cell_keeps_it() -> None:
    mask = np.eye(6, dtype=bool)
    assert by_cell(mask, 0.4, 0).train.sum() == 6
    assert by_item(mask, 0.4, 0).test.size == 0


def test_one_group_is_left_out_at_a_time() -> None:
    groups = ["mmlu", "gsm8k", "mmlu", "arc"]
    found = [
        (label, split.train.tolist(), split.validation.tolist(), split.test.tolist())
        for label, split in by_group(groups)
    ]
    assert found == [
        ("arc", [0, 1, 2], [], [3]),
        ("gsm8k", [0, 2, 3], [], [1]),
        ("mmlu", [1, 3], [], [0, 2]),
    ]


@pytest.mark.parametrize("share", [0.0, 0.5, -1.0, float("nan")])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValueError, match="more than 0 and less than 0.5"):
        by_cell(np.ones((2, 2), bool), share, 0)
    with pytest.raises(ValueError, match="more than 0 and less than 0.5"):
        by_item(np.ones((2, 2), bool), share, 0)


def test_other_bad_input() -> None:
    with pytest.raises(ValueError, match="Nothing was observed"):
        by_cell(np.zeros((2, 2), bool), 0.1, 0)
    with pytest.raises(ValueError, match="matrix of models by items"):
        by_cell(np.ones(3, bool), 0.1, 0)
    with pytest.raises(ValueError, match="2 items, but 1 labels"):
        by_item(np.ones((2, 2), bool), 0.1, 0, ["a"])
    for groups in ([], ["a", "a"]):
        with pytest.raises(ValueError, match="at least two"):
            next(by_group(groups))
