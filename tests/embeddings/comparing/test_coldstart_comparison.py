"""The four tests on the registry's own outcomes, and their command."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from cli_commands import Commands
from planted import fill
from sqlalchemy import Engine, text

from registry.embeddings.comparing import coldstart_comparison
from registry.embeddings.comparing.coldstart_comparison import Draws
from registry.embeddings.training import TrainingOptions
from registry.errors import UsageError
from registry.learning.coldstart import predictors

QUICK = {name: predictors.METHODS[name] for name in ("means", "nearest-relative", "default")}
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Forty models with outcomes; of m0 to m34 it is known when they were created, day by day."""
    fill(engine)
    with engine.begin() as connection:
        for number in range(35):
            connection.execute(
                text("UPDATE store.models SET created_at = :at WHERE name = :name"),
                {"at": FIRST + timedelta(days=number), "name": f"org/m{number}"},
            )
    return engine


def test_all_tests_are_run_for_each_size(filled: Engine) -> None:
    draws = Draws(sizes=(15, 100), seeds=2, methods=QUICK)
    seen: list[str] = []
    found = coldstart_comparison.run(
        filled,
        TrainingOptions(encoder="hashing", benchmarks=["arc"]),
        draws,
        on_progress=lambda what, *_: seen.append(what),
    )
    assert (found.models, found.items, found.left_out) == (40, 60, [100])
    assert {(row.train, row.test, row.method) for row in found.rows} == {
        (size, test, name) for size in (15, 28) for test in "ABCD" for name in QUICK
    }
    assert all(row.seeds == 2 and row.new == 12 for row in found.rows)
    assert all(0 < row.rmse_m.mean < row.rmse.mean < 1 for row in found.rows)
    shares = [row.share for row in found.rows if row.method == "means"]
    assert all(share is None or share.mean == 0 for share in shares)
    assert "default, T = 28" in seen


def test_later_models_are_new(filled: Engine) -> None:
    draws = Draws(sizes=(12,), seeds=1, before=FIRST + timedelta(days=30), methods=QUICK)
    found = coldstart_comparison.run(filled, TrainingOptions(), draws)
    assert {(row.train, row.new) for row in found.rows} == {(12, 5), (35, 5)}
    assert found.undated == 5


def test_too_few_models_are_an_error(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no outcomes to learn from"):
        coldstart_comparison.run(engine, TrainingOptions())
    fill(engine, models=12, items=30)
    with pytest.raises(UsageError, match="12 models have outcomes; with 4 of them held out, 8"):
        coldstart_comparison.run(engine, TrainingOptions())
    with pytest.raises(UsageError, match="12 were created before 2024-01-01 and 0 later"):
        coldstart_comparison.run(engine, TrainingOptions(), Draws(before=FIRST))


def test_the_command_prints_a_row_for_each_method(filled: Engine) -> None:
    command = Commands(filled.url.render_as_string(hide_password=False))
    told = ("embeddings", "coldstart-test", "--encoder", "none", "--benchmark", "arc")
    done = command(*told, "--seeds", "2", "--new-items", "0", "--format", "json")
    assert done.exit_code == 0, done.output
    rows = orjson.loads(done.stdout)
    assert [row["method"] for row in rows] == [
        *("means", "mf", "mf-stopped", "simrmf-stopped", "average", "kernel-ridge"),
        *("nearest-relative", "default", "oracle-simrmf", "oracle"),
    ]
    assert all(row["rmse"]["lower"] < row["rmse"]["mean"] for row in rows)
    assert "too few models for T = 100, 300, 1,000" in done.stderr
    wrong = ("--held", "0.2", "--before", "2024-01-01")
    assert "not by both" in command.refused(2, *told, *wrong)
