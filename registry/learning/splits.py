"""Training, validation and test splits by cell, by item or by group of items.

A split by cell measures known models on known items, by item known models on new items (the
80/10/10 split of EmbedLLM, METHODS.md section 1), by group a benchmark that was never observed. The
same seed gives the same split on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""M x N: which models were observed on which items."""

Items = NDArray[np.intp]
"""Indices of items, rising."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Disjoint sets of cells, which together are all observed cells."""

    train: Mask
    validation: Mask
    test: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ItemSplit:
    """Disjoint sets of items, which together are all N."""

    train: Items
    validation: Items
    test: Items

    def cells(self, mask: Mask) -> Split:
        """Return the observed cells of the items.

        Args:
            mask: M x N, the observed cells.
        """
        return Split(*(_columns(mask, items) for items in (self.train, self.validation, self.test)))


def by_cell(mask: Mask, share: float, seed: int) -> Split:
    """Hold out the same share of each model's observed cells, at random.

    Args:
        mask: M x N, the observed cells.
        share: of each model's cells, for test, and the same for validation; more than 0, less
            than a half. Fractions of a cell are rounded at random, up or down.
        seed: of the choice.

    Returns:
        A split in which each observed model keeps a training cell; with few cells per model,
        test or validation may be empty.

    Raises:
        ValueError: for a share out of range, or without observed cells.
    """
    _check(mask, share)
    rng = np.random.default_rng(seed)
    test, validation = np.zeros_like(mask), np.zeros_like(mask)
    for row, observed in enumerate(mask):
        cells = rng.permutation(np.flatnonzero(observed))
        counts = np.floor(share * cells.size + rng.random(2)).astype(int)
        first = min(counts[0], max(cells.size - 1, 0))
        second = min(first + counts[1], max(cells.size - 1, 0))
        test[row, cells[:first]] = True
        validation[row, cells[first:second]] = True
    return Split(mask & ~test & ~validation, validation, test)


def by_item(mask: Mask, share: float, seed: int, groups: Sequence[str] | None = None) -> ItemSplit:
    """Hold out whole items at random.

    Args:
        mask: M x N, the observed cells.
        share: of the items, for test, and the same for validation; more than 0, less than a
            half.
        seed: of the choice.
        groups: N labels; items of one label (the same text, the same passage) stay together, so
            that training does not leak what is held out. None is each item alone.

    Returns:
        A split that holds out no more than the shares. A group that has the last training cell
        of a model, or that is larger than the remaining share, is for training, so that test or
        validation may be smaller, and even empty.

    Raises:
        ValueError: for a share out of range, without observed cells, or if there are not N
            labels.
    """
    _check(mask, share)
    width = mask.shape[1]
    blocks = [np.array([item]) for item in range(width)]
    if groups is not None:
        if len(groups) != width:
            raise ValueError(f"There are {width} items, but {len(groups)} labels of groups.")
        blocks = [items for _, items in _members(groups)]
    rng = np.random.default_rng(seed)
    left = np.count_nonzero(mask, axis=1)
    parts: list[list[Items]] = [[], [], []]
    rooms = [int(share * width + 1e-9)] * 2
    for place in rng.permutation(len(blocks)):
        block = blocks[place]
        part = next((part for part, room in enumerate(rooms) if len(block) <= room), 2)
        if part < 2:  # noqa: PLR2004 - test or validation, not training
            taken = np.count_nonzero(mask[:, block], axis=1)
            if ((taken == left) & (taken > 0)).any():
                part = 2
            else:
                left -= taken
                rooms[part] -= len(block)
        parts[part].append(block)
    test, validation, train = (_joined(part) for part in parts)
    return ItemSplit(train, validation, test)


def by_group(groups: Sequence[str]) -> Iterator[tuple[str, ItemSplit]]:
    """Yield, for each benchmark or category, its items as test and all others for training.

    A model that was observed on no other group has no training cell then.

    Args:
        groups: N labels, one for each item.

    Yields:
        Label and split, by label; validation is empty.

    Raises:
        ValueError: for fewer than two labels, since nothing is left to train on.
    """
    members = _members(groups)
    if len(members) < 2:  # noqa: PLR2004 - one to leave out, one to train on
        raise ValueError(f"To leave one group out takes at least two, not {len(members)}.")
    every = np.arange(len(groups))
    for label, items in members:
        yield label, ItemSplit(np.delete(every, items), every[:0], items)


def _members(groups: Sequence[str]) -> list[tuple[str, Items]]:
    """Return each label's items, by label."""
    items: dict[str, list[int]] = {}
    for item, label in enumerate(groups):
        items.setdefault(label, []).append(item)
    return [(label, np.array(items[label], np.intp)) for label in sorted(items)]


def _check(mask: Mask, share: float) -> None:
    if not 0 < share < 0.5:  # noqa: PLR2004 - test and validation leave something
        raise ValueError(f"A share held out is more than 0 and less than 0.5, not {share}.")
    if mask.ndim != 2:  # noqa: PLR2004 - M x N
        raise ValueError(f"A mask is a matrix of models by items, not of shape {mask.shape}.")
    if not mask.any():
        raise ValueError("Nothing was observed, so nothing can be held out.")


def _columns(mask: Mask, items: Items) -> Mask:
    cells = np.zeros_like(mask)
    cells[:, items] = mask[:, items]
    return cells


def _joined(blocks: list[Items]) -> Items:
    return np.sort(np.concatenate([np.zeros(0, np.intp), *blocks]))
