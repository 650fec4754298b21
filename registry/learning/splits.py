"""What to train on, what to choose by and what to measure on: cells, items or whole benchmarks.

By cell tells how well known models do on known items, by item how they do on new ones (the 80/10/10
split of EmbedLLM, METHODS section 1), by group how they do on a benchmark that was never seen. The
same seed gives the same split on every machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""M x N: which models were observed on which items."""

Items = NDArray[np.intp]
"""Places of items among the N, rising."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which cells are for what; no cell is in two, and together they are all that was observed."""

    train: Mask
    validation: Mask
    test: Mask


@dataclass(frozen=True, slots=True, eq=False)
class ItemSplit:
    """Which items are for what; no item is in two, and together they are all N."""

    train: Items
    validation: Items
    test: Items

    def cells(self, mask: Mask) -> Split:
        """Return the observed cells of the items.

        Args:
            mask: M x N, what was observed.
        """
        return Split(*(_columns(mask, items) for items in (self.train, self.validation, self.test)))


def by_cell(mask: Mask, share: float, seed: int) -> Split:
    """Hold out observed cells of each model at random, so that all models are held out alike.

    Args:
        mask: M x N, what was observed.
        share: of each model's cells, for test, and as much again for validation; more than 0,
            less than a half. What is no whole number is rounded at random, up or down.
        seed: of the choice.

    Returns:
        A split in which each model that was observed keeps a cell to train on; with few cells a
        model, test or validation may be empty.

    Raises:
        ValueError: for another share, or when nothing was observed.
    """
    _check(mask, share)
    random = np.random.default_rng(seed)
    test, validation = np.zeros_like(mask), np.zeros_like(mask)
    for row, seen in enumerate(mask):
        cells = random.permutation(np.flatnonzero(seen))
        wanted = np.floor(share * cells.size + random.random(2)).astype(int)
        first = min(wanted[0], max(cells.size - 1, 0))
        second = min(first + wanted[1], max(cells.size - 1, 0))
        test[row, cells[:first]] = True
        validation[row, cells[first:second]] = True
    return Split(mask & ~test & ~validation, validation, test)


def by_item(mask: Mask, share: float, seed: int, groups: Sequence[str] | None = None) -> ItemSplit:
    """Hold out whole items at random.

    Args:
        mask: M x N, what was observed.
        share: of the items, for test, and as much again for validation; more than 0, less than
            a half.
        seed: of the choice.
        groups: N labels; items of one label (the same text, the same passage) stay together, so
            that nothing of what is held out is told in training. None is each item alone.

    Returns:
        A split that holds out no more than the shares. What would take the last training cell
        from a model, and a group larger than what is still wanted, is for training, so that
        test or validation may be smaller, and even empty.

    Raises:
        ValueError: for another share, when nothing was observed, or when labels are not N.
    """
    _check(mask, share)
    width = mask.shape[1]
    blocks = [np.array([item]) for item in range(width)]
    if groups is not None:
        if len(groups) != width:
            raise ValueError(f"There are {width} items, but {len(groups)} labels of groups.")
        blocks = [items for _, items in _members(groups)]
    random = np.random.default_rng(seed)
    left = np.count_nonzero(mask, axis=1)
    parts: list[list[Items]] = [[], [], []]
    wanted = [int(share * width + 1e-9)] * 2
    for place in random.permutation(len(blocks)):
        block = blocks[place]
        part = next((part for part, room in enumerate(wanted) if len(block) <= room), 2)
        if part < 2:  # noqa: PLR2004 - test or validation, not training
            taken = np.count_nonzero(mask[:, block], axis=1)
            if ((taken == left) & (taken > 0)).any():
                part = 2
            else:
                left -= taken
                wanted[part] -= len(block)
        parts[part].append(block)
    test, validation, train = (_joined(part) for part in parts)
    return ItemSplit(train, validation, test)


def by_group(groups: Sequence[str]) -> Iterator[tuple[str, ItemSplit]]:
    """Yield, for each benchmark or category, its items as test and all others for training.

    A model that was observed on nothing but what is left out has no training cell then.

    Args:
        groups: N labels, one for each item.

    Yields:
        Label and split, by label; validation is empty.

    Raises:
        ValueError: when there are less than two labels, so that nothing is left to train on.
    """
    members = _members(groups)
    if len(members) < 2:  # noqa: PLR2004 - one to leave out, one to train on
        raise ValueError(f"To leave one group out takes at least two, not {len(members)}.")
    every = np.arange(len(groups))
    for label, items in members:
        yield label, ItemSplit(np.delete(every, items), every[:0], items)


def _members(groups: Sequence[str]) -> list[tuple[str, Items]]:
    """Return each label's items, by label."""
    places: dict[str, list[int]] = {}
    for item, label in enumerate(groups):
        places.setdefault(label, []).append(item)
    return [(label, np.array(places[label], np.intp)) for label in sorted(places)]


def _check(mask: Mask, share: float) -> None:
    if not 0 < share < 0.5:  # noqa: PLR2004 - test and validation leave something
        raise ValueError(f"A share held out is more than 0 and less than 0.5, not {share}.")
    if mask.ndim != 2:  # noqa: PLR2004 - M x N
        raise ValueError(f"A mask is a matrix of models by items, not of shape {mask.shape}.")
    if not mask.any():
        raise ValueError("Nothing was observed, so nothing can be held out.")


def _columns(mask: Mask, items: Items) -> Mask:
    found = np.zeros_like(mask)
    found[:, items] = mask[:, items]
    return found


def _joined(blocks: list[Items]) -> Items:
    return np.sort(np.concatenate([np.zeros(0, np.intp), *blocks]))
