"""Each baseline finds the structure that it is made for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.learning.scores import score_baselines
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.score_baselines import SCORE_BASELINES, KnownTable

Reals = NDArray[np.float64]
Places = NDArray[np.intp]


def known_table(values: Reals, known: NDArray[np.bool_], features: Reals) -> KnownTable:
    rows, columns = np.nonzero(known)
    models, benchmarks = values.shape
    observations = ScoreObservations(
        rows, columns, values[known], np.zeros(len(rows)), models, benchmarks, features,
        [str(place) for place in range(benchmarks)],
    )  # fmt: skip
    nothing = np.full(models, np.nan)
    return KnownTable(
        observations, np.full(models, -1, np.intp), np.zeros(models, np.int64), nothing, nothing
    )


def drawn(seed: int = 0) -> tuple[KnownTable, Reals, Places, Places]:
    """Models of two families and five sizes, whose abilities follow from both and from parents."""
    rng = np.random.default_rng(seed)
    families, sizes = rng.integers(2, size=160), rng.integers(5, size=160).astype(np.float64)
    level = 0.4 * sizes * (1 + families) - families + rng.normal(size=160) * 0.1
    parents = np.full(160, -1, np.intp)
    parents[80:] = np.arange(80)
    families[80:], sizes[80:] = families[:80], sizes[:80]
    level[80:] = level[:80] + rng.normal(size=80) * 0.05
    values = level[:, None] * np.linspace(0.5, 1.5, 8) + np.linspace(-1, 1, 8)
    values += rng.normal(size=values.shape) * 0.02
    known = rng.random(values.shape) < 0.7
    known[:80] = True
    known[150:] = False
    features = np.column_stack([families, sizes, families * sizes]).astype(np.float64)
    table = known_table(values, known, features - features.mean(axis=0))
    table = KnownTable(
        table.observations, parents, families.astype(np.int64), sizes, np.full(160, np.nan)
    )
    rows, columns = np.nonzero(~known)
    return table, values[rows, columns], rows, columns


@pytest.mark.parametrize("name", [name for name in SCORE_BASELINES if name != "benchmark mean"])
def test_every_baseline_is_better_than_the_mean(name: str) -> None:
    table, truth, rows, columns = drawn()
    # Without features, nothing is known of models without scores.
    if name in {"soft-impute", "probabilistic PCA"}:
        some = rows < 150
        truth, rows, columns = truth[some], rows[some], columns[some]
    mean, found = (
        np.abs(SCORE_BASELINES[each](table, rows, columns) - truth).mean()
        for each in ("benchmark mean", name)
    )
    assert found < 0.4 * mean


def test_parents_give_their_score_where_they_have_one() -> None:
    table, _, rows, columns = drawn()
    found = score_baselines.parent(table, rows, columns)
    assert np.array_equal(found, table.filled()[rows - 80, columns])
    first = score_baselines.parent(table, np.array([3]), np.array([2]))
    assert first == score_baselines.benchmark_mean(table, np.array([3]), np.array([2]))


def test_means_are_of_scores() -> None:
    values = np.array([[-3.0, 0], [0, 0], [4, 0]])
    table = known_table(values, np.ones((3, 2), bool), np.zeros((3, 1)))
    mean = score_baselines.benchmark_mean(table, np.array([0]), np.array([0]))
    scales = table.observations.scales
    scores = scales.scores(values[:, 0], np.zeros(3, np.intp))
    assert scales.scores(mean, np.zeros(1, np.intp))[0] == pytest.approx(scores.mean())


def test_the_nearest_relative_is_another_model() -> None:
    features = np.array([[1.0, 0], [0.9, 0.1], [-1, 0], [-0.9, 0.3]])
    values = np.arange(8.0).reshape(4, 2)
    table = known_table(values, np.ones((4, 2), bool), features)
    rows = np.arange(4)
    found = score_baselines.nearest_relative(table, rows, np.ones(4, np.intp))
    assert found.tolist() == values[[1, 0, 3, 2], 1].tolist()


def test_tables_with_little_in_them_are_predicted() -> None:
    known = np.zeros((6, 3), bool)
    known[:4, :2] = True
    values = np.random.default_rng(0).normal(size=(6, 3))
    table = known_table(values, known, np.eye(6) - 1 / 6)
    rows, columns = np.nonzero(~known)
    for baseline in SCORE_BASELINES.values():
        assert np.isfinite(baseline(table, rows, columns)).all()
