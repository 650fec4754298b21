"""Working scale of scores: the logit of a share, and standardized values of unbounded scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals

MARGIN = 0.01
"""Added to a share and to its complement before the logit, so that 0 and 1 are finite.

Of 0.005 to 0.06, the least error on hidden scores of `benchpress-scores` is between 0.005 and 0.01.
"""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreLinks:
    """Working scales of B benchmarks.

    A share s, in [0, 1], becomes ln((s + MARGIN) / (1 - s + MARGIN)); another score becomes
    (score - centre) / spread.

    Attributes:
        bounded: bool, B: whether scores of the benchmark are shares, for which more is better.
        centres: float64, B: 0 where bounded.
        spreads: float64, B: 1 where bounded; negative where less is better.
    """

    bounded: NDArray[np.bool_]
    centres: Reals
    spreads: Reals

    def __post_init__(self) -> None:
        if not len(self.bounded) == len(self.centres) == len(self.spreads):
            raise ValueError("bounded, centres and spreads are to have one length")
        if not (np.isfinite(self.centres).all() and np.isfinite(self.spreads).all()):
            raise ValueError("centres and spreads are to be finite")
        if not self.spreads.all():
            raise ValueError("a spread is not to be 0")

    @classmethod
    def shares(cls, benchmarks: int) -> Self:
        """Return the scales of benchmarks whose scores are all shares."""
        return cls(np.ones(benchmarks, bool), np.zeros(benchmarks), np.ones(benchmarks))

    @classmethod
    def of(
        cls,
        columns: Places,
        scores: Reals,
        bounded: NDArray[np.bool_],
        more_is_better: Sequence[bool] | NDArray[np.bool_] | None = None,
    ) -> Self:
        """Return scales of benchmarks, of which those without bounds are measured on scores.

        The centre is the median, the spread the standard deviation; 1 where all scores are equal.

        Args:
            columns: n, the benchmark of each score.
            scores: n.
            bounded: bool, B.
            more_is_better: B; None for all.
        """
        count = len(bounded)
        better = np.ones(count, bool) if more_is_better is None else np.asarray(more_is_better)
        centres, spreads = np.zeros(count), np.ones(count)
        for column in np.flatnonzero(~bounded):
            own = scores[columns == column]
            if len(own):
                centres[column] = np.median(own)
                spreads[column] = float(own.std()) or 1.0
            spreads[column] *= 1 if better[column] else -1
        return cls(bounded, centres, spreads)

    def working(self, scores: Reals, columns: Places) -> Reals:
        """Return scores on the working scale, n.

        Raises:
            ValueError: for a score that is not finite, or a share outside [0, 1].
        """
        if not np.isfinite(scores).all():
            raise ValueError("scores are to be finite")
        bounded = self.bounded[columns]
        outside = bounded & ((scores < 0) | (scores > 1))
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            raise ValueError(
                f"Score {scores[first]:g} of benchmark {columns[first]} is not a share in [0, 1];"
                " divide percentages by 100, or state that the benchmark has no bounds."
            )
        shares = np.where(bounded, scores, 0.5)
        logits = np.log((shares + MARGIN) / (1 - shares + MARGIN))
        plain = (scores - self.centres[columns]) / self.spreads[columns]
        return np.where(bounded, logits, plain)

    def scores(self, working: Reals, columns: Places) -> Reals:
        """Return scores of values on the working scale, n; shares are within [0, 1]."""
        bounded = self.bounded[columns]
        logits = np.clip(np.where(bounded, working, 0.0), -700, 700)
        shares = np.clip((1 + 2 * MARGIN) / (1 + np.exp(-logits)) - MARGIN, 0, 1)
        plain = self.centres[columns] + self.spreads[columns] * working
        return np.where(bounded, shares, plain)

    def ends(self, scores: Reals, columns: Places) -> Reals:
        """Return ends of intervals on the working scale, n; infinite beyond the bounds of shares.

        Args:
            scores: n, of any size.
            columns: n, benchmarks.
        """
        bounded = self.bounded[columns]
        inside = np.where(bounded, np.clip(scores, 0, 1), scores)
        beyond = np.where(scores < 0, -np.inf, np.inf)
        return np.where(bounded & (inside != scores), beyond, self.working(inside, columns))

    def slopes(self, scores: Reals, columns: Places) -> Reals:
        """Return the derivative of the working scale by the score, n.

        The variance of a score's own error, on the working scale, is that of the score times the
        square of this.
        """
        bounded = self.bounded[columns]
        shares = np.clip(np.where(bounded, scores, 0.5), 0, 1)
        logits = 1 / (shares + MARGIN) + 1 / (1 - shares + MARGIN)
        return np.where(bounded, logits, 1 / self.spreads[columns])
