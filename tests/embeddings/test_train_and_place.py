"""The nightly job and the command are one workflow: they end alike."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_commands import REPOSITORY, Commands
from evaluated import grid, write
from learned import kept
from sqlalchemy import Engine, text

from registry.evaluations.outcomes import Column

Run = Callable[[], "tuple[int, str]"]
"""Runs a training, and returns its exit code and all that it wrote."""


@pytest.fixture(params=["command", "job"])
def train(request: pytest.FixtureRequest, commands: Commands, database_url: str) -> Run:
    def command() -> tuple[int, str]:
        result = commands("train", "--if-changed")
        return result.exit_code, result.output

    def job() -> tuple[int, str]:
        result = subprocess.run(
            [sys.executable, str(REPOSITORY / "jobs" / "train.py")],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "REGISTRY_DATABASE_URL": database_url,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    return command if request.param == "command" else job


def test_two_models_are_trained_on_and_too_few_to_place_others(
    engine: Engine, commands: Commands, train: Run, tmp_path: Path
) -> None:
    outcomes = np.random.default_rng(0).integers(0, 2, (2, 200))
    table = tmp_path / "two.csv"
    table.write_text(
        "benchmark,model,item,outcome\n"
        + "".join(
            f"quiz,org/{model},{item},{outcome}\n"
            for model, row in zip("ab", outcomes, strict=True)
            for item, outcome in enumerate(row)
        )
    )
    commands.done("evals", "import", str(table))
    for _ in range(2):
        code, said = train()
        assert code == 0, said
    assert commands("train").exit_code == 0
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM registry.embedding_versions")) == 2
        jobs = connection.scalars(text("SELECT job FROM registry.job_runs WHERE status <> 'done'"))
        assert not list(jobs)
    assert "3" in commands.refused(1, "embeddings", "place")


def test_a_training_of_changes_waits_for_the_first_outcomes(engine: Engine, train: Run) -> None:
    code, said = train()
    assert code == 0, said
    assert "no outcomes to learn from" in said
    with engine.connect() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM registry.job_runs"))


def test_a_refused_version_ends_with_an_exit_code_that_cron_reports(
    engine: Engine, commands: Commands, train: Run
) -> None:
    rng = np.random.default_rng(0)
    right = (rng.random((12, 60)) < rng.random((12, 1))).astype(float)
    models = [f"org/m{number}" for number in range(12)]
    with engine.begin() as connection:
        write(connection, grid("quiz", {m: list(r) for m, r in zip(models, right, strict=True)}))
        # A version that knows every outcome: none that is trained predicts the held-out ones so.
        known = np.column_stack([10 * right.T - 5, np.zeros(60)]).astype(np.float32)
        items = [Column("quiz", "", f"i{number}") for number in range(60)]
        vectors = np.eye(12, dtype=np.float32)
        number = kept(connection, vectors, models, items=items, item_vectors=known)
    code, said = train()
    assert code == 3, said
    assert f"Version {number + 1} is stored, but not current: held-out log loss" in said
    assert "worse by more than 0.002" in said
    code, said = train()
    assert code == 0, said
    assert f"since version {number + 1}, which was refused, so nothing was trained" in said
    assert "is stored, but not current" not in said
    done = commands("train", "--method", "irt", "--no-promote")
    assert (done.exit_code, "candidate" in done.stdout) == (0, True), done.output
    assert "is stored, but not current" in commands.refused(3, "train", "--method", "irt")
