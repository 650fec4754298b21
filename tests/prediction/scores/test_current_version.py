"""Scores that count in the current version: by version and name, estimates but beside measured."""

import numpy as np
import pytest
from evaluated import block, run, write
from factories import model
from scored import version as stored_version
from sqlalchemy import Connection, text

from registry.prediction.scores.current_version import CurrentVersion, present, read_version


@pytest.fixture
def filled(connection: Connection) -> Connection:
    """Scores of two models on two benchmarks, as a version counts them."""
    model(connection, "org/a")
    model(connection, "org/b")
    for name in ("alpha", "beta"):
        write(connection, block(name, run("org/a", score=0.5), run("org/b", score=0.6)))
    stored_version(connection)
    version = read(connection)
    scores, _ = present(connection, version)
    for key, column, value in zip(scores.models, scores.columns, scores.values, strict=True):
        connection.execute(
            text("INSERT INTO store.fitted_scores VALUES (:m, :v, :b, :value, 0, 0, 1, 1)"),
            {
                "m": int(key),
                "v": version.number,
                "b": int(version.keys[column]),
                "value": float(value),
            },
        )
    return connection


def read(connection: Connection) -> CurrentVersion:
    found = read_version(connection)
    assert found is not None
    return found


def keys(connection: Connection) -> dict[str, int]:
    return {
        row.name: row.key
        for row in connection.execute(
            text("SELECT name, model_id AS key FROM store.models UNION ALL "
                 "SELECT name, benchmark_id FROM store.benchmarks")
        )
    }  # fmt: skip


def changed(connection: Connection) -> list[int]:
    return [int(key) for key in present(connection, read(connection))[1]]


def test_scores_of_another_version_of_a_benchmark_do_not_count(filled: Connection) -> None:
    assert changed(filled) == []
    model(filled, "org/c")
    runs = [run(name, score=0.1) for name in ("org/a", "org/c")]
    write(filled, block("alpha", *runs, version="2"))
    assert changed(filled) == []
    write(filled, block("alpha", run("org/a", score=0.1)))
    assert changed(filled) == [keys(filled)["org/a"]]


@pytest.mark.parametrize(("more", "fewer"), [("alpha", "beta"), ("beta", "alpha")])
def test_of_two_benchmarks_that_became_one_that_of_more_scores_counts(
    filled: Connection, more: str, fewer: str
) -> None:
    place = keys(filled)
    filled.execute(
        text("UPDATE store.benchmark_loadings SET score_count = 21 WHERE benchmark_id = :key"),
        {"key": place[more]},
    )
    filled.execute(text("UPDATE store.benchmarks SET canonical = 'one'"))
    version = read(filled)
    assert version.keys[version.columns["one", "", True]] == place[more]
    scores, models = present(filled, version)
    assert set(version.keys[scores.columns].tolist()) == {place[more]}
    # They lose the scores on the other.
    assert models.tolist() == sorted([place["org/a"], place["org/b"]])
    assert place[fewer] in version.keys


def test_an_estimate_does_not_count_beside_a_measured_score(filled: Connection) -> None:
    place = keys(filled)
    own = {"m": place["org/a"], "b": place["alpha"]}
    where = "WHERE model_id = :m AND benchmark_id = :b"
    filled.execute(text(f"UPDATE store.fitted_scores SET variance = 0.5 {where}"), own)
    scores, models = present(filled, read(filled))
    assert models.tolist() == [place["org/a"]]
    assert len(np.unique(scores.cells(2))) == len(scores.models) == 4
    assert not scores.variances.any()
    # Without a measured one it stays.
    filled.execute(text(f"DELETE FROM store.runs {where}"), own)
    scores, models = present(filled, read(filled))
    assert models.tolist() == []
    assert np.sort(scores.variances).tolist() == [0, 0, 0, 0.5]


def test_scores_on_parts_of_a_benchmark_stay(filled: Connection) -> None:
    place = keys(filled)
    for table in ("fitted_scores", "benchmark_loadings"):
        filled.execute(
            text(f"UPDATE store.{table} SET benchmark_id = -1001 WHERE benchmark_id = :key"),
            {"key": place["alpha"]},
        )
    scores, models = present(filled, read(filled))
    assert models.tolist() == []
    assert len(scores.models) == 4
