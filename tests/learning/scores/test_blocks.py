"""Blocks of benchmarks that the same models took, and intervals of predictions across them."""

import numpy as np
import pytest

from registry.learning.factorization.problem import Context
from registry.learning.scores import blocks
from registry.learning.scores.blocks import blocks_of, crossed
from registry.learning.scores.conformal import LEVELS
from registry.learning.scores.fit import fit
from registry.learning.scores.observations import ScoreObservations


def two_leaderboards(shared: int = 60, seed: int = 0) -> ScoreObservations:
    """Three benchmarks of each of two leaderboards of 100 models, some of which took both."""
    rng = np.random.default_rng(seed)
    models = 200 - shared
    level = rng.normal(size=(models, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    rows, columns, values = [], [], []
    for column in range(6):
        board = column // 3
        took = np.arange(100) if board == 0 else np.arange(100 - shared, models)
        rows.append(took)
        columns.append(np.full(len(took), column))
        values.append(level[took, board] + 0.3 * rng.normal(size=len(took)))
    return ScoreObservations(
        rows=np.concatenate(rows),
        columns=np.concatenate(columns),
        values=np.concatenate(values),
        variances=np.zeros(600),
        models=models,
        benchmarks=6,
        features=np.zeros((models, 0)),
        names=[f"{'first' if column < 3 else 'second'} {column}" for column in range(6)],
    )


def test_benchmarks_of_the_same_models_are_a_block() -> None:
    assert blocks_of(two_leaderboards()).tolist() == [0, 0, 0, 1, 1, 1]
    assert blocks_of(two_leaderboards(shared=100)).tolist() == [0] * 6


def test_the_block_of_most_scores_comes_first() -> None:
    table = two_leaderboards()
    kept = (table.columns != 0) | (table.rows < 90)
    assert blocks_of(table.only(kept)).tolist() == [0, 0, 0, 1, 1, 1]
    fewer = (table.columns > 2) | (table.rows < 60)
    assert blocks_of(table.only(fewer)).tolist() == [1, 1, 1, 0, 0, 0]


def test_a_benchmark_without_scores_is_a_block_of_its_own() -> None:
    table = two_leaderboards()
    assert blocks_of(table.only(table.columns != 5)).tolist() == [0, 0, 0, 1, 1, 2]


def test_one_block_of_each_model_of_several_is_hidden() -> None:
    table = two_leaderboards()
    of = blocks_of(table)
    part = blocks._hidden_parts(table, of, np.random.default_rng(0))
    hidden = part >= 0
    both = set(range(40, 100))
    assert {int(row) for row in table.rows[hidden]} == both
    for model in both:
        own = table.rows == model
        (block,) = set(of[table.columns[own & hidden]].tolist())
        # The whole block, in one part, and nothing of the other.
        assert (hidden[own] == (of[table.columns[own]] == block)).all()
        assert len(set(part[own & hidden].tolist())) == 1
    assert set(part[hidden].tolist()) == {0, 1, 2}


def test_intervals_across_blocks_are_measured_on_hidden_blocks() -> None:
    table = two_leaderboards()
    found = fit(table, Context(seed=0))
    across = crossed(table, found, Context(seed=0))
    assert across.hidden == 180
    assert across.figures["coverage"] == pytest.approx(0.9, abs=0.06)
    # The other leaderboard says less than two more scores of the same one.
    same = found.held_out["few other scores"]
    assert across.figures["mean_error"] > 1.2 * same.mean_error
    ninety = LEVELS.tolist().index(0.9)
    assert across.quantiles[0] == 0
    assert (np.diff(across.quantiles) > 0).all()
    assert across.quantiles[ninety] > 1
    assert (across.factors > 0).all()
    assert across.factors.shape == (6,)


def test_without_models_of_two_blocks_the_usual_intervals_serve() -> None:
    table = two_leaderboards(shared=0)
    found = fit(table, Context(seed=0))
    across = crossed(table, found, Context(seed=0))
    assert (across.hidden, across.figures) == (0, {})
    assert (across.quantiles == found.calibration.quantiles[-1]).all()
    assert (across.factors == found.calibration.factors[1]).all()
