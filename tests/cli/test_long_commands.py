"""Commands that take long say what they do from the start, where stderr is a file too."""

import os
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from cli_commands import REPOSITORY
from evaluated import block, run, write
from factories import model
from planted import fill
from sqlalchemy import Engine

FIRST = 5.0
"""Seconds to the first line: 0.3 on a machine of one's own, where loading torch takes 4."""

LINE = re.compile(r"(\d+ min )?[\d.]+ s: (?P<stage>.+?)(, (?P<share>[\d,]+%? of .*))?")
SHARE = re.compile(
    r"([\d,]+ of [\d,]+ \(\d+%\)|\d+% of the whole)(, about (\d+ min )?[\d.]+ s left)?"
)

pytestmark = pytest.mark.long


def stages(folder: Path, url: str, *arguments: str) -> list[str]:
    """Run a command that must succeed, with stderr in a file; return the stages that it names."""
    path = folder / "stderr"
    with path.open("wb") as file:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "registry", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "REGISTRY_DATABASE_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
        while not path.stat().st_size and process.poll() is None:
            time.sleep(0.01)
        first = time.monotonic() - began
        assert not process.wait(), path.read_text()
    written = path.read_bytes().decode()
    assert first < FIRST
    assert "\r" not in written
    assert "\x1b" not in written
    found = [line for each in written.splitlines() if (line := LINE.fullmatch(each))]
    assert all(SHARE.fullmatch(line["share"]) for line in found if line["share"])
    assert all(
        (here["stage"], here["share"]) != (then["stage"], then["share"])
        for here, then in pairwise(found)
        if then["share"]
    )
    return list(dict.fromkeys(line["stage"] for line in found))


def test_each_stage_is_named_in_lines(engine: Engine, database_url: str, tmp_path: Path) -> None:
    fill(engine, models=20, items=120)
    with engine.begin() as connection:
        model(connection, "org/m1-chat")

    def of(*arguments: str) -> list[str]:
        return stages(tmp_path, database_url, *arguments)

    placing = [
        "reading the catalog",
        "learning to predict vectors from the catalog",
        "placing models",
    ]
    training = of("train", "--encoder", "hashing", "--device", "cpu")
    kept = [each for each in training if not each.startswith(("choosing", "final"))]
    assert kept == [
        "loading torch",
        "reading outcomes",
        "loading encoder hashing",
        "encoding texts",
        "reading outcomes and texts",
        "comparing models by the catalog",
        "measuring on held-out outcomes",
        "learning routers",
        "checking routers",
        "saving the version",
        "judging the version",
        *placing,
        "reading scores",
        "estimating scores from some items",
        "fitting predicted scores",
    ]
    computing = training[6 : 6 + len(training) - len(kept)]
    candidates = [each for each in computing if each.startswith("choosing settings: ")]
    assert len(candidates) > 1
    assert candidates + [each for each in computing if each.startswith("final fit: ")] == computing
    assert len(computing) > len(candidates)
    assert of("embeddings", "place") == placing
    assert of("embeddings", "map", str(tmp_path / "map.html")) == [
        "reading vectors",
        "finding neighbours",
        "laying out models by t-SNE",
        "writing the page",
    ]
    assert of("embeddings", "probe", "communities") == ["reading vectors", "comparing distances"]
    probed = of("embeddings", "probe", "benchmarks", "--splits", "3", "--device", "cpu")
    assert probed[:2] == ["loading torch", "reading outcomes"]
    assert any(each.startswith("2 of 2, without gsm: irt") for each in probed)
    methods = ("--method", "item-mean", "--method", "rasch", "--seeds", "1", "--split", "cell")
    assert of("embeddings", "compare", *methods, "--encoder", "none") == [
        "loading torch",
        "reading outcomes",
        "comparing models by the catalog",
        "item-mean, split by cell",
        "rasch, split by cell",
    ]
    with engine.begin() as connection:
        for benchmark in ("quiz", "riddle"):
            runs = [run(f"org/m{place}", score=0.01 * place) for place in range(20)]
            write(connection, block(benchmark, *runs))
    assert of("stats", "map") == [
        "reading scores",
        "finding neighbours",
        "laying out models by t-SNE",
        "comparing groups and neighbours",
    ]
    assert of("evals", "preferences", "gsm", "--replicates", "20") == [
        "reading outcomes",
        "rating models",
    ]
    assert of("stats", "report", str(tmp_path / "report.html"), "--by", "size") == [
        "data",
        "The best models",
        "Are the best models better?",
        "Differences by size",
        "Pairs of groups by size",
        "Models that share a family or an author",
        "Models beside their parents",
        "Correlations of benchmarks",
        "Abilities",
        "Scores over size",
        "Scaling curves",
        "Benchmarks over time",
        "Map of models",
    ]
