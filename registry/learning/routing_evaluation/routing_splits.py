"""Splits of a routing problem: items within each group, or whole groups, held out by a seed.

Items with the same vector, as of the same text, are held out together: a router that has seen a
prompt's outcomes would not predict them.
"""

import numpy as np

from registry.errors import UsageError
from registry.learning.arrays import Places
from registry.learning.factorization.problem import Matrix


def hold_out_items(groups: Places, vectors: Matrix, share: float, seed: int) -> Places:
    """Return items to hold out: the same share of each group, at random.

    Args:
        groups: int, N: group of each item.
        vectors: N x T; items with equal ones are held out with the first of them, or not at all.
        share: of the distinct items of a group, in (0, 1); of a group of one, none.
        seed: of the choice.

    Returns:
        int, rising.

    Raises:
        UsageError: when nothing is held out, or everything.
    """
    first = _first_of_equal(vectors)
    held = np.zeros(len(groups), np.bool_)
    rng = np.random.default_rng(seed)
    for group in np.unique(groups):
        members = np.flatnonzero((groups == group) & (first == np.arange(len(groups))))
        count = min(round(share * len(members)), len(members) - 1)
        held[rng.permutation(members)[: max(count, 0)]] = True
    return _checked(held[first])


def hold_out_groups(groups: Places, share: float, seed: int) -> Places:
    """Return the items of groups to hold out, such as subjects or benchmarks, at random.

    Groups are added while the share of items is not reached; one at least, and never all.

    Args:
        groups: int, N: group of each item.
        share: of the items, in (0, 1).
        seed: of the choice.

    Returns:
        int, rising.

    Raises:
        UsageError: for fewer than two groups.
    """
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < 2:  # noqa: PLR2004 - one to leave out, one to learn from
        raise UsageError("There is one group of items only, so none can be left out.")
    order = np.random.default_rng(seed).permutation(len(names))[:-1]
    before = np.concatenate([[0], np.cumsum(counts[order])[:-1]])
    # A group that begins below the share is held out whole.
    chosen = names[order[before < share * len(groups) - 0.5]]
    return _checked(np.isin(groups, chosen if len(chosen) else names[order[:1]]))


def _first_of_equal(vectors: Matrix) -> Places:
    places: dict[bytes, int] = {}
    rows = np.ascontiguousarray(vectors)
    return np.array([places.setdefault(row.tobytes(), at) for at, row in enumerate(rows)], np.intp)


def _checked(held: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Places:
    if not held.any() or held.all():
        raise UsageError(
            f"Of {len(held):,} items {int(held.sum()):,} would be held out: there are too few to "
            "learn from some and measure on others."
        )
    return np.flatnonzero(held)
