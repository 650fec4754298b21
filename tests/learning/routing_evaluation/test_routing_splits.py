"""Splits of a routing problem."""

import numpy as np
import pytest

from registry.errors import UsageError
from registry.learning.routing_evaluation.routing_splits import hold_out_groups, hold_out_items

GROUPS = np.repeat([0, 1, 2], [40, 20, 1])
VECTORS = np.arange(61, dtype=np.float32)[:, None]


def test_the_same_share_of_each_group_is_held_out() -> None:
    held = hold_out_items(GROUPS, VECTORS, 0.2, 0)
    assert np.bincount(GROUPS[held], minlength=3).tolist() == [8, 4, 0]
    assert (np.diff(held) > 0).all()
    assert held.tolist() == hold_out_items(GROUPS, VECTORS, 0.2, 0).tolist()
    assert held.tolist() != hold_out_items(GROUPS, VECTORS, 0.2, 1).tolist()


def test_items_of_the_same_text_stay_together() -> None:
    vectors = VECTORS % 10
    held = np.isin(np.arange(61), hold_out_items(GROUPS, vectors, 0.3, 5))
    for value in range(10):
        assert len(set(held[vectors[:, 0] == value])) == 1
    assert held.any()


def test_whole_groups_are_held_out() -> None:
    for seed in range(6):
        held = hold_out_groups(GROUPS, 0.2, seed)
        groups = set(GROUPS[held])
        assert 0 < len(groups) < 3
        assert len(held) == np.isin(GROUPS, list(groups)).sum()
    many = np.repeat(np.arange(20), 5)
    sizes = {len(hold_out_groups(many, 0.2, seed)) for seed in range(4)}
    assert sizes == {20}
    assert len({tuple(hold_out_groups(many, 0.2, seed)) for seed in range(4)}) == 4


def test_too_little_is_said() -> None:
    with pytest.raises(UsageError, match="one group of items only"):
        hold_out_groups(GROUPS * 0, 0.2, 0)
    with pytest.raises(UsageError, match="Of 3 items 0 would be held out"):
        hold_out_items(np.arange(3), VECTORS[:3], 0.2, 0)
