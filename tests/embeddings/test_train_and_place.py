"""The nightly job and the command are one workflow: they end alike."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_commands import REPOSITORY, Commands
from sqlalchemy import Engine, text

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
