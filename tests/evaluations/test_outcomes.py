"""Outcomes as arrays, whole, in parts and on disk, against the plainest merge of runs."""

from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from evaluated import block, day, generated, grid, run, setup, write
from numpy.typing import NDArray
from sqlalchemy import Connection

from registry.errors import UsageError
from registry.evaluations.outcomes import OutcomeMatrix, read_outcomes, select, stream_outcomes
from registry.evaluations.records import Measure

MADE = {
    ("a", ""): generated(1, 7, 20),
    ("b", "1"): generated(2, 9, 33, graded=True),
    ("b", "2"): generated(3, 4, 15),
}


@pytest.fixture
def stored(connection: Connection) -> Connection:
    for (name, version), made in MADE.items():
        runs = (run(*each) for each in made.items())
        write(connection, block(name, *runs, version=version))
    # Scores alone are no outcomes.
    write(connection, block("a", run("bare", score=0.5)), block("none", run("bare", score=0.5)))
    return connection


def naive(*benchmarks: tuple[str, str]) -> tuple[list[str], NDArray[np.float32]]:
    models = sorted({model for each in benchmarks for model in MADE[each]})
    rows = []
    for model in models:
        row: list[float] = []
        for each in benchmarks:
            width = len(next(iter(MADE[each].values())))
            told = MADE[each].get(model, [None] * width)
            row += [np.nan if outcome is None else outcome for outcome in told]
        rows.append(row)
    return models, np.array(rows, np.float32)


def same(matrix: OutcomeMatrix, *benchmarks: tuple[str, str]) -> None:
    models, values = naive(*benchmarks)
    assert list(matrix.models) == models
    np.testing.assert_array_equal(matrix.values, values)
    assert matrix.values.dtype == np.float32
    assert matrix.mask.tolist() == (~np.isnan(values)).tolist()
    assert [(column.benchmark, column.version, column.item) for column in matrix.columns] == [
        (*each, f"i{place}")
        for each in benchmarks
        for place in range(len(next(iter(MADE[each].values()))))
    ]


def test_all_there_is(stored: Connection) -> None:
    same(read_outcomes(stored), *MADE)


def test_on_disk_it_is_the_same(stored: Connection, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.npy"
    matrix = read_outcomes(stored, path=path)
    same(matrix, *MADE)
    assert isinstance(matrix.values, np.memmap)
    matrix.values.flush()
    np.testing.assert_array_equal(np.load(path), naive(*MADE)[1])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["a"], [("a", "")]),
        (["b"], [("b", "1"), ("b", "2")]),
        (["b@2"], [("b", "2")]),
        (["b@2", "a@"], [("a", ""), ("b", "2")]),
    ],
)
def test_some_benchmarks(
    stored: Connection, asked: list[str], found: list[tuple[str, str]]
) -> None:
    same(read_outcomes(stored, benchmarks=asked), *found)


def test_some_models_by_any_name(stored: Connection) -> None:
    factories.alias(stored, "org/m3", "three")
    matrix = read_outcomes(stored, models=["org/m8", "three", "org/m3"], benchmarks=["b"])
    models, values = naive(("b", "1"), ("b", "2"))
    places = [models.index(each) for each in ("org/m3", "org/m8")]
    assert list(matrix.models) == ["org/m3", "org/m8"]
    np.testing.assert_array_equal(matrix.values, values[places])


@pytest.mark.parametrize("at_once", [1, 2, 3, 8, 9, 10])
def test_parts_are_the_whole(stored: Connection, at_once: int) -> None:
    parts = list(stream_outcomes(stored, select(stored), models_at_once=at_once))
    assert all(len(part.models) == at_once for part in parts[:-1])
    assert all(len(part.models) == len(part.values) for part in parts)
    models, values = naive(*MADE)
    assert [model for part in parts for model in part.models] == models
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), values)


def test_what_there_is_none_of(stored: Connection) -> None:
    for wrong in ("nope", "b@3", "none"):
        with pytest.raises(UsageError, match=f"no outcomes on a benchmark named '{wrong}'"):
            read_outcomes(stored, benchmarks=["a", wrong])
    with pytest.raises(UsageError, match="No model named 'nobody'"):
        read_outcomes(stored, models=["org/m1", "nobody"])


def test_nothing_at_all(connection: Connection, tmp_path: Path) -> None:
    matrix = read_outcomes(connection, path=tmp_path / "none.npy")
    assert (matrix.values.shape, list(matrix.models), matrix.columns) == ((0, 0), [], [])


@pytest.mark.parametrize("seed", range(3))
def test_each_item_is_of_the_run_preferred_for_it(connection: Connection, seed: int) -> None:
    """Several runs of one model: from the least preferred on, what each observed is laid over.

    Those of another metric or filter give nothing, whatever else speaks for them.
    """
    rng = np.random.default_rng(seed)
    order: list[dict[str, Any]] = [
        {"measure": Measure(metric="other"), "verified": True, "evaluated_at": day(9)},
        {"measure": Measure(metric="acc", filter="strict"), "evaluated_at": day(9)},
        {"complete": False, "verified": True, "evaluated_at": day(8)},
        {"evaluated_at": None},
        {"evaluated_at": day(1)},
        {"evaluated_at": day(2)},
        {"verified": True},
    ]
    runs = []
    expected = np.full(40, np.nan, np.float32)
    # The benchmark's shown measure is the first one met.
    write(connection, grid("b", {"first": [1.0] * 40}))
    for number, told in enumerate(order):
        values = rng.random(40).astype(np.float32)
        seen = rng.random(40) < 0.4
        seen[number] = True
        if "measure" not in told:
            expected[seen] = values[seen]
        outcomes = [float(v) if s else None for v, s in zip(values, seen, strict=True)]
        runs.append(run("m", outcomes, setup=setup(n=str(number)), **told))
    rng.shuffle(runs)
    write(connection, block("b", *runs))
    matrix = read_outcomes(connection, models=["m"])
    np.testing.assert_array_equal(matrix.values[0], expected)


def test_a_model_without_the_shown_metric_has_its_preferred_one_alone(
    connection: Connection,
) -> None:
    write(connection, grid("b", {"first": [1.0] * 3}))
    lenient, strict = (Measure(metric="match", filter=each) for each in ("lenient", "strict"))
    write(
        connection,
        block(
            "b",
            run("m", [None, 1.0, 1.0], measure=lenient, evaluated_at=day(1)),
            run("m", [0.0, 0.0, None], measure=strict, evaluated_at=day(2)),
        ),
    )
    matrix = read_outcomes(connection, models=["m"])
    np.testing.assert_array_equal(matrix.values[0], [0.0, 0.0, np.nan])
