"""Lineage of generated models, drawn by a few formulas on their numbers.

Numbers run in blocks of 40. Twenty-one of a block are roots, the rest have generation 1 to 8. A
record of generation 1 belongs to a group of five that share a root; one of a later generation
picks its parent among all earlier records of the generation before. So any record's ancestors are
known without making the others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.splitmix import mix

Numbers = NDArray[np.int64]
Shares = NDArray[np.float64]

ROOT, FINETUNE, ADAPTER, QUANTIZED, MERGE = range(5)
BLOCK, ROOTS, GROUP = 40, 21, 5
MOST_SOURCES = 6
_DEEPEST = 8
_FIRST_SLOT = {0: 0, 1: 21, 2: 31, 3: 35, 4: 37, 5: 38, 6: 39, 7: 39, 8: 39}
_SLOTS = {0: 21, 1: 10, 2: 4, 3: 2, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}
_GENERATIONS = np.array([0] * 21 + [1] * 10 + [2] * 4 + [3] * 2 + [4, 5, 6])
_FIRST_KINDS = np.array([QUANTIZED, ADAPTER, FINETUNE])
_LATER_KINDS = np.array([MERGE, QUANTIZED, ADAPTER, FINETUNE])


def shares(numbers: Numbers, seed: int, column: int) -> Shares:
    """Return a share in [0, 1) for each number, fixed by number, seed and column (splitmix64)."""
    salt = (seed * 0x9E3779B97F4A7C15 + column * 0xD1B54A32D192ED03) % 2**64
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
    return (mix(x) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def heavy(share: Shares, size: Numbers | int) -> Numbers:
    """Return ranks from 0 below `size`, rank r with a frequency of about 1 / (r + 1)."""
    return np.floor(np.power(np.asarray(size, dtype=np.float64), share)).astype(np.int64) - 1


@dataclass(frozen=True, slots=True)
class Descent:
    """The descent of n models: root number, kind (ROOT to MERGE) and sources, by row.

    `sources` is n x 6, filled from the left, -1 where there is none; `missing` marks models whose
    only parent is not on the Hub.
    """

    root: Numbers
    kind: Numbers
    sources: Numbers
    missing: NDArray[np.bool_]


def generations(numbers: Numbers) -> Numbers:
    """Return 0 for roots, else how many steps a model is from its root."""
    generation = _GENERATIONS[numbers % BLOCK]
    return np.where(generation == 6, 6 + numbers // BLOCK % 3, generation)  # noqa: PLR2004


def kinds(numbers: Numbers, seed: int) -> Numbers:
    """Return how each model was made."""
    share, generation = shares(numbers, seed, 1), generations(numbers)
    first = _FIRST_KINDS[np.searchsorted([0.25, 0.42], share, side="right")]
    later = _LATER_KINDS[np.searchsorted([0.26, 0.48, 0.58], share, side="right")]
    return np.where(generation == 0, ROOT, np.where(generation == 1, first, later))


def parents(numbers: Numbers, seed: int) -> Numbers:
    """Return the first parent of each model, itself for a root.

    A fifth of the roots have children, root r about 1 / (r + 1) of them; one child in a hundred
    has a parent of the block after its own, made a little later.
    """
    block, generation = numbers // BLOCK, generations(numbers)
    group = block * 2 + (numbers % BLOCK - _FIRST_SLOT[1]) // GROUP
    late = (shares(group, seed, 2) < 0.01).astype(np.int64)  # noqa: PLR2004
    rank = heavy(shares(group, seed, 3), np.maximum(ROOTS, block * ROOTS // 5))
    of_rank = rank // ROOTS * BLOCK + rank % ROOTS
    root = np.where(late, (block + 1) * BLOCK + rank % ROOTS, of_rank)
    root = np.where(_odd(block, seed) & (numbers % BLOCK == _FIRST_SLOT[1]), block * BLOCK, root)
    share, slot_share = shares(numbers, seed, 4), shares(numbers, seed, 5)
    earlier = np.floor(share * (block + 1)).astype(np.int64)
    found = np.where(generation == 1, root, numbers)
    for at in range(2, _DEEPEST + 1):
        before, home = at - 1, earlier
        if before >= 6:  # noqa: PLR2004
            home = earlier - earlier % 3 + before - 6
            home = np.where(home > block, home - 3, home)
        slot = _FIRST_SLOT[before] + np.floor(slot_share * _SLOTS[before]).astype(np.int64)
        found = np.where(generation == at, home * BLOCK + slot, found)
    return found


def descend(numbers: Numbers, seed: int) -> Descent:
    """Work out the descent of the models of these numbers."""
    kind, first = kinds(numbers, seed), parents(numbers, seed)
    chain = [first]
    for _ in range(_DEEPEST):
        chain.append(parents(chain[-1], seed))
    sources = np.full((len(numbers), MOST_SOURCES), -1)
    sources[:, 0] = np.where(kind == ROOT, -1, first)
    _add_merge_sources(sources, np.stack(chain, axis=1), kind, shares(numbers, seed, 6))
    odd, slot = _odd(numbers // BLOCK, seed), numbers % BLOCK
    # A cycle of two (the block's first root names its first child) and a model that names itself.
    sources[:, 0] = np.where(odd & (slot == 0), numbers + _FIRST_SLOT[1], sources[:, 0])
    sources[:, 0] = np.where(odd & (slot == 1), numbers, sources[:, 0])
    kind = np.where(odd & (slot <= 1), FINETUNE, kind)
    missing = (generations(numbers) == 1) & (shares(numbers, seed, 7) < 0.04)  # noqa: PLR2004
    missing &= ~(odd & (slot == _FIRST_SLOT[1]))
    return Descent(chain[-1], kind, sources, missing)


def _odd(block: Numbers, seed: int) -> NDArray[np.bool_]:
    return shares(block, seed, 8) < 0.004  # noqa: PLR2004


def _add_merge_sources(sources: Numbers, chain: Numbers, kind: Numbers, share: Shares) -> None:
    # Merges need equal shapes, so the sources are of one family: the parent, the group of the
    # ancestor of generation 1, and the ancestors between.
    wanted = 2 + np.searchsorted([0.40, 0.65, 0.82, 0.92], share, side="right")
    for row in np.flatnonzero(kind == MERGE):
        line = chain[row].tolist()
        eldest = line[line.index(line[-1]) - 1]
        start = eldest - (eldest % BLOCK - _FIRST_SLOT[1]) % GROUP
        pool = dict.fromkeys([line[0], *range(start, start + GROUP), *line])
        chosen = list(pool)[: wanted[row]]
        sources[row, : len(chosen)] = chosen
