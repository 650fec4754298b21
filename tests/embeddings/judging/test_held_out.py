"""Held-out outcomes by cell, against matrices of models by items."""

import numpy as np
import pytest
from learned import drawn

from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging import held_out
from registry.embeddings.judging.held_out import HeldOut
from registry.evaluations.outcomes import Column, OutcomeMatrix
from registry.learning.factorization.problem import sigmoid
from registry.learning.factorization.selection import METHODS
from registry.learning.metrics import holdout_metrics


@pytest.fixture(params=[1, 7, 1_000])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "_ITEMS_AT_ONCE", request.param)
    monkeypatch.setattr(held_out, "_CELLS_AT_ONCE", request.param)


@pytest.mark.usefixtures("at_once")
def test_cells_are_those_of_the_matrices() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((20, 30)) < 0.8, rng.integers(0, 2, (20, 30)), np.nan)
    matrix = OutcomeMatrix(
        [f"org/m{n}" for n in range(20)],
        [Column("quiz", "", f"i{n}") for n in range(30)],
        values.astype(np.float32),
    )
    data = TrainingData(matrix, None, None, [None] * 30)
    hidden = matrix.mask & (rng.random((20, 30)) < 0.2)
    held = HeldOut.of(data, hidden)
    assert len(held) == hidden.sum()
    assert (held.outcomes == values[hidden]).all()
    means = METHODS["item-mean"].fit(data.problem.without(hidden)).probabilities(30)
    assert (held.means == means[hidden]).all()
    models, items = drawn(20, 4), drawn(30, 5, seed=1)
    table = sigmoid(models @ items[:, :-1].T + items[:, -1])
    assert np.allclose(held.served(models, items), table[hidden], atol=1e-6)
    assert (held.predicted(lambda columns: table[:, columns]) == table[hidden]).all()
    found = held.metrics(table[hidden])
    assert found == holdout_metrics(np.nan_to_num(matrix.values), table, hidden)
