"""Blocks of benchmarks that the same models took, and predictions across them.

Holes of a table of scores are not spread at random: a model of one leaderboard often has no score
of another at all. Predictions from scores of other blocks alone are worse than those from random
ones, so their intervals are measured on whole blocks that were hidden.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.factorization.problem import CPU, Context
from registry.learning.scores.conformal import GROUPS, ScoreCalibration, ScorePredictions
from registry.learning.scores.links import ScoreLinks
from registry.learning.scores.names import name_features
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.score_estimate import EstimatedFactors
from registry.learning.scores.score_fit import ScoreFit, intervals

SHARED = 0.5
"""Share of the models of either of two benchmarks that took both, from which they are one block."""

PARTS = 3
"""Parts of the models of several blocks, each of which has one block hidden in a fit of its own."""

LEAST_HIDDEN = 40
"""Hidden scores that quantiles of their own need."""

LEAST_TIES = 10
"""Models with scores in both of two blocks that predictions from one to the other take. With fewer,
nobody knows how their populations compare: models of a board of the best ones would be predicted as
the middle of one of all models."""

NAME = "only scores of other blocks"
"""Of the evidence, as those in `conformal.GROUPS`."""

GROUP = GROUPS.index("many scores")


class CrossedBlocks(NamedTuple):
    """Intervals of predictions from scores of other blocks alone.

    Attributes:
        blocks: intp, B: block of each benchmark, from 0.
        tied: bool, K x K: which of the K blocks have enough models in common.
        quantiles: float64, L: |error| / deviation of hidden scores at `conformal.LEVELS`; those of
            scores hidden at random where there are too few.
        factors: float64, B: on deviations, before quantiles.
        hidden: number of hidden scores.
        figures: of intervals of 0.9, each part's by the quantiles of the others: coverage, mean
            absolute error and median width (of shares); empty where too few are hidden.
    """

    blocks: Places
    tied: NDArray[np.bool_]
    quantiles: Reals
    factors: Reals
    hidden: int
    figures: Mapping[str, float]


def blocks_of(observations: ScoreObservations) -> Places:
    """Return the block of each benchmark, B, the one with most scores first.

    A benchmark is of the first block whose largest benchmark shares enough models with it.
    """
    _, counts = observations.counts()
    models = [
        frozenset(observations.rows[own].tolist())
        for own in np.split(np.argsort(observations.columns, kind="stable"), np.cumsum(counts)[:-1])
    ]
    blocks = np.empty(observations.benchmarks, np.intp)
    heads: list[frozenset[int]] = []
    for column in np.argsort(-counts, kind="stable").tolist():
        own = models[column]
        shares = (len(own & head) / max(len(own | head), 1) >= SHARED for head in heads)
        place = next((place for place, share in enumerate(shares) if share), len(heads))
        if place == len(heads):
            heads.append(own)
        blocks[column] = place
    return blocks


def tied(observations: ScoreObservations, blocks: Places) -> NDArray[np.bool_]:
    """Return which blocks have enough models in common, K x K; each is tied to itself.

    Args:
        observations: scores of M models.
        blocks: B, of the benchmarks.
    """
    count = int(blocks.max()) + 1
    took = np.zeros((observations.models, count))
    took[observations.rows, blocks[observations.columns]] = 1
    return np.asarray((took.T @ took >= LEAST_TIES) | np.eye(count, dtype=bool))


def crossed(
    observations: ScoreObservations, fit: ScoreFit, context: Context = CPU
) -> CrossedBlocks:
    """Measure predictions of hidden blocks of models that have several.

    Args:
        observations: that the fit is of.
        fit: whose intervals are measured.
        context: its seed draws the blocks that are hidden.
    """
    blocks = blocks_of(observations)
    ties = tied(observations, blocks)
    part = _hidden_parts(observations, blocks, np.random.default_rng(context.seed))
    hidden = int((part >= 0).sum())
    if hidden < LEAST_HIDDEN:
        usual = fit.calibration
        quantiles, factors = usual.quantiles[-1], usual.factors[1]
        return CrossedBlocks(blocks, ties, quantiles, factors, hidden, {})
    similar = name_features(observations.names)
    places, parts = [], []
    for number in range(PARTS):
        context.on_progress("hiding blocks of scores", number, PARTS)
        own = part == number
        if own.any() and not own.all():
            estimate = EstimatedFactors.of(observations.only(~own), fit.dimensions, similar)
            places.append(np.flatnonzero(own))
            rows = observations.rows[own]
            alone = fit.error_scales.alone[rows, 1]
            parts.append(_scaled(estimate.predict(rows, observations.columns[own]), alone))
    found, place = _stacked(parts), np.concatenate(places)
    values = observations.values[place]
    calibration = ScoreCalibration.of(found, values, observations.benchmarks)
    return CrossedBlocks(
        blocks,
        ties,
        calibration.quantiles[GROUP],
        calibration.factors[1],
        hidden,
        _figures(found, values, part[place], fit.links),
    )


def _scaled(found: ScorePredictions, scales: Reals) -> ScorePredictions:
    """Return predictions with deviations times the models' scales."""
    return ScorePredictions(found.columns, found.mean, found.sd * scales, found.groups)


def _stacked(parts: Sequence[ScorePredictions]) -> ScorePredictions:
    """Return predictions one after the other, all in the group of many scores."""
    columns, mean, sd = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("columns", "mean", "sd")
    )
    return ScorePredictions(columns, mean, sd, np.full(len(mean), GROUP))


def _hidden_parts(
    observations: ScoreObservations, blocks: Places, rng: np.random.Generator
) -> Places:
    """Return the part in which each score is hidden, n; -1 for those that never are.

    One block of each model of several is hidden, drawn at random.
    """
    cells = observations.rows * (int(blocks.max()) + 1) + blocks[observations.columns]
    pairs, first = np.unique(cells, return_index=True)
    owners = observations.rows[first]
    order = np.lexsort((rng.random(len(pairs)), owners))
    taken = np.concatenate([[True], owners[order][1:] != owners[order][:-1]])
    several = np.bincount(owners, minlength=observations.models) > 1
    chosen = np.zeros(len(pairs), bool)
    chosen[order[taken]] = True
    chosen &= several[owners]
    parts = rng.integers(PARTS, size=observations.models)
    hidden = chosen[np.searchsorted(pairs, cells)]
    return np.where(hidden, parts[observations.rows], -1)


def _figures(
    found: ScorePredictions, values: Reals, part: Places, links: ScoreLinks
) -> Mapping[str, float]:
    """Return figures of intervals of 0.9, each part's by the quantiles of the others."""
    truth = links.scores(values, found.columns)
    score, lower, upper = (np.empty(len(values)) for _ in range(3))
    for number in np.unique(part):
        own = part == number
        others = own if own.all() else ~own
        calibration = ScoreCalibration.of(found.only(others), values[others], len(links.bounded))
        score[own], lower[own], upper[own] = intervals(calibration, links, found.only(own), 0.9)
    figures = {"coverage": float(((lower <= truth) & (truth <= upper)).mean())}
    shares = links.bounded[found.columns]
    if shares.any():
        errors = np.abs(score - truth)[shares]
        figures |= {
            "mean_error": float(errors.mean()),
            "median_error": float(np.median(errors)),
            "width": float(np.median((upper - lower)[shares])),
        }
    return figures
