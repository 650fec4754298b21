"""Corrections of p-values for many tests."""

from typing import Literal

import numpy as np

from registry.learning.arrays import Reals

Method = Literal["holm", "fdr_bh"]


def corrected(p: Reals, method: Method) -> Reals:
    """Return p-values corrected for their number, n; nan where there was no test.

    Args:
        p: n, in [0, 1]; nan where there was no test, which then does not count.
        method: holm bounds the probability of any false finding (Holm 1979), fdr_bh the share of
            false ones among the findings (Benjamini and Hochberg 1995).
    """
    tested = ~np.isnan(p)
    found = np.full(len(p), np.nan)
    if tested.any():
        found[tested] = _holm(p[tested]) if method == "holm" else _by_rank(p[tested])
    return found


def _holm(p: Reals) -> Reals:
    """Return p-values times the number of tests that are left, from the least on."""
    # statsmodels' collects all garbage of the process at each call, which takes most of an
    # analysis where much is loaded; a test compares the two.
    order = np.argsort(p)
    times = p[order] * np.arange(len(p), 0, -1)
    found = np.empty_like(p)
    found[order] = np.minimum(np.maximum.accumulate(times), 1)
    return found


def _by_rank(p: Reals) -> Reals:
    """Return p-values by scipy's control of the rate of false findings."""
    # Loading it takes a second.
    from scipy.stats import false_discovery_control  # noqa: PLC0415

    return np.asarray(false_discovery_control(p), float)
