"""Corrections of p-values for many tests, by statsmodels."""

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
    # Loading it takes a second.
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    tested = ~np.isnan(p)
    found = np.full(len(p), np.nan)
    if tested.any():
        found[tested] = multipletests(p[tested], method=method)[1]
    return found
