import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from forks import Ended, forks
from generated_hub.models import generate
from planted import fill
from sqlalchemy import Engine, text

from registry.db import jobs
from registry.demo.hub.server import HubServer

ROOT = Path(__file__).resolve().parents[2]
ENCODER = [name for name in ("sentence_transformers",) if importlib.util.find_spec(name)]


def run(job: str, database_url: str, hub: str, *modules: str) -> Ended:
    return forks().run(
        str(ROOT / "jobs" / f"{job}.py"),
        modules=modules,
        environ={"REGISTRY_DATABASE_URL": database_url, "HF_ENDPOINT": hub},
    )


def train(database_url: str) -> Ended:
    # What takes seconds to import in each process.
    return run("train", database_url, "unused", "registry.embeddings.training", *ENCODER)


@pytest.mark.parametrize("job", ["sync", "sweep"])
def test_a_job_brings_the_catalog_up_to_date(engine: Engine, database_url: str, job: str) -> None:
    with HubServer(generate(60)) as server:
        result = run(job, database_url, server.url)
        assert result.returncode == 0, result.stderr
        assert "\nnew,60\n" in result.stdout
        server.remove(next(iter(generate(1)))["id"])
        again = run(job, database_url, server.url)
    assert again.returncode == 0, again.stderr
    with engine.connect() as connection:
        gone = connection.scalar(text("SELECT count(*) FROM registry.models WHERE state = 'gone'"))
    assert gone == (1 if job == "sweep" else 0)


@pytest.mark.parametrize("job", ["sync", "sweep", "train"])
def test_a_job_runs_as_cron_starts_it(database_url: str, tmp_path: Path, job: str) -> None:
    with HubServer(generate(5)) as server:
        result = subprocess.run(
            [sys.executable, ROOT / "jobs" / f"{job}.py"],
            cwd=tmp_path,
            env={**os.environ, "REGISTRY_DATABASE_URL": database_url, "HF_ENDPOINT": server.url},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stderr


def test_a_job_that_finds_another_says_so(engine: Engine, database_url: str) -> None:
    with HubServer(generate(5)) as server, jobs.exclusive(engine, jobs.Lock.CATALOG):
        result = run("sync", database_url, server.url)
    assert result.returncode == 5
    assert result.stderr.startswith("Error: Another sync is running: sync, process ")


@pytest.mark.long
def test_a_training_is_left_out_where_nothing_changed(engine: Engine, database_url: str) -> None:
    fill(engine)
    first, again = train(database_url), train(database_url)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert re.search(r"\n1,blend,current,.*the first version", first.stdout), first.stdout
    assert "Version 1 has vectors of" in first.stderr
    assert again.stdout == first.stdout
    assert "Nothing changed since version 1, so nothing was trained." in again.stderr
    fill(engine, models=41)
    assert "\n2,blend," in train(database_url).stdout


def test_a_training_of_two_models_places_no_others(engine: Engine, database_url: str) -> None:
    fill(engine, models=2)
    result = train(database_url)
    assert (result.returncode, "has vectors of" in result.stderr) == (0, False), result.stderr
    assert "\n1,blend,current,2," in result.stdout


def test_a_training_without_outcomes_says_how_to_get_some(
    engine: Engine, database_url: str
) -> None:
    result = train(database_url)
    assert (result.returncode, result.stdout) == (0, "")
    assert "registry evals import" in result.stderr
    with engine.connect() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM registry.job_runs"))
