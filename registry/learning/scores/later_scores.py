"""Scores that came after a fit: abilities of their models, and predictions without each of them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.scores.conformal import ScorePredictions
from registry.learning.scores.score_estimate import EstimatedFactors, ScoreAbilities


@dataclass(frozen=True, slots=True, eq=False)
class LaterScores:
    """Scores of n models on benchmarks of a fit, s in all.

    Attributes:
        rows: intp, s: which of the models each score is of.
        columns: intp, s: benchmarks.
        values: float64, s: on the working scale.
        variances: float64, s: of each value's own error; 0 where measured.
    """

    rows: Places
    columns: Places
    values: Reals
    variances: Reals

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, which: NDArray[np.bool_] | Places) -> "LaterScores":
        """Return some of the scores."""
        return LaterScores(
            self.rows[which], self.columns[which], self.values[which], self.variances[which]
        )

    def pairs(self) -> tuple[Places, Places]:
        """Return the places of all ordered pairs of two scores of one model."""
        order = np.argsort(self.rows, kind="stable")
        counts = np.bincount(self.rows)
        starts = np.append(0, counts.cumsum())[:-1][self.rows[order]]
        repeated = counts[self.rows[order]]
        first = np.repeat(order, repeated)
        within = np.arange(len(first)) - np.repeat(repeated.cumsum() - repeated, repeated)
        second = order[np.repeat(starts, repeated) + within]
        return first[first != second], second[first != second]


def fold_in(
    estimate: EstimatedFactors, prior: ScoreAbilities, later: LaterScores
) -> ScoreAbilities:
    """Return the posterior of the n models of a prior, given scores."""
    return estimate.update(prior, later.rows, later.columns, later.values, later.variances)


def left_out(
    estimate: EstimatedFactors, prior: ScoreAbilities, later: LaterScores
) -> ScorePredictions:
    """Return the prediction of each score from all others of its model, s.

    Args:
        estimate: the fit.
        prior: of the n models, without their scores.
        later: the scores; one of each model on a benchmark.
    """
    left, others = later.pairs()
    rest = replace(later.only(others), rows=left)
    found = fold_in(estimate, prior.only(later.rows), rest)
    return estimate.predict(np.arange(len(later)), later.columns, found)
