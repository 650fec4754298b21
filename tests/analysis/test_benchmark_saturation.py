"""Saturation of benchmarks: from dates, items and outcomes to stored results, SQL and commands."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import ACC, block, run, write
from factories import model
from sqlalchemy import Engine, text

from registry.analysis.paired_scores import compare_pairs
from registry.analysis.statistics.benchmark_saturation import (
    ALL,
    SaturationAnalysis,
    SaturationResult,
    run_saturation,
)
from registry.analysis.statistics.groupings import labels
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping, Period
from registry.errors import UsageError
from registry.evaluations.records import Benchmark, Block, Measure, Source
from registry.learning.statistics.saturation import sampling_errors, saturation

YEARS = (2022, 2023, 2024)
ELO = Measure(metric="elo", lower=None, upper=None, unit="elo")
SCORES = np.array([0.2, 0.5, 0.9, 0.3, 0.6, 0.91, 0.25, 0.55, 0.92, 0.35, 0.65, 0.93])
WIDTH = 40


@pytest.fixture
def filled(engine: Engine) -> Engine:
    rng = np.random.default_rng(2)
    names = [f"lab/m{place:02}" for place in range(12)]
    with engine.begin() as connection:
        for place, name in enumerate(names):
            created = datetime(YEARS[place % 3], 5, 2, tzinfo=UTC)
            model(connection, name, created_at=None if place == 11 else created)
        for benchmark, measure in (("exam", ACC), ("arena", ELO)):
            runs = [run(name, score=float(score), measure=measure)
                    for name, score in zip(names, SCORES, strict=True)]  # fmt: skip
            write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))
        answered = [
            run(name, [float(each) for each in rng.random(WIDTH) < score])
            for name, score in zip(names, SCORES, strict=True)
        ]
        write(connection, block("quiz", *answered))
    return engine


def of(found: SaturationAnalysis, benchmark: str) -> dict[str, SaturationResult]:
    return {each.period: each for each in found.results if each.benchmark == benchmark}


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def test_each_period_is_judged_by_all_models_so_far(filled: Engine) -> None:
    found = run_saturation(filled, FrameOptions(), items={"exam": 1000}, level=0.9)
    exam = of(found, "exam")
    assert list(exam) == ["2022 or before", "2023", "2024", ALL]
    nan = np.full(12, np.nan)
    errors = sampling_errors(SCORES, nan, np.full(12, 1000.0))
    dated = np.arange(12) < 11
    for place, (period, result) in enumerate(exam.items()):
        own = (np.arange(12) % 3 == place) & dated if period != ALL else np.ones(12, np.bool_)
        so_far = (np.arange(12) % 3 <= place) & dated if period != ALL else np.ones(12, np.bool_)
        expected = saturation(SCORES[so_far], errors[so_far], level=0.9)
        assert (result.n, result.models, result.position) == (own.sum(), so_far.sum(), place)
        assert (result.best, result.headroom, result.noise) == pytest.approx(expected[:3])
        assert (result.near_best, result.separated) == pytest.approx(expected[3:5])
        assert result.pairs == expected.pairs
        assert result.median == np.median(SCORES[own])
        assert (result.lower_quartile, result.upper_quartile) == pytest.approx(
            tuple(np.quantile(SCORES[own], [0.25, 0.75]))
        )
        assert result.deviation == pytest.approx(SCORES[own].std(ddof=1))
        assert not result.paired
    assert exam["2024"].best_model == "lab/m08"
    assert exam[ALL].best_model == "lab/m11"
    assert found.stored.notes == [
        "1 model in no period, of unknown year.",
        "1 benchmark left out, whose scores have no ceiling.",
    ]
    assert "arena" not in {each.benchmark for each in found.results}
    again = run_saturation(filled, FrameOptions(), items={"exam": 1000}, level=0.9)
    assert again.stored == replace(found.stored, reused=True)
    assert again.results == found.results
    other = run_saturation(filled, FrameOptions(), items={"exam": 999}, level=0.9)
    assert other.stored.analysis_id != found.stored.analysis_id
    with filled.connect() as connection:
        rows = connection.execute(
            text("SELECT * FROM registry.benchmark_saturation WHERE analysis_id = :key"),
            {"key": found.stored.analysis_id},
        ).mappings()
        stored = [dict(row) for row in rows]
        assert {row.pop("grouping") for row in stored} == {"year"}
        assert [{key: row[key] for key in row if key != "analysis_id"} for row in stored] == [
            asdict(each) for each in found.results
        ]


def test_the_best_models_are_compared_on_shared_items(filled: Engine) -> None:
    found = of(run_saturation(filled, FrameOptions(benchmarks=["quiz"])), "quiz")
    assert [each.paired for each in found.values()] == [False, False, False, True]
    with filled.connect() as connection:
        rows = connection.execute(
            text("SELECT model, score FROM registry.scores WHERE benchmark = 'quiz'")
        )
        scores: dict[str, float] = {row.model: row.score for row in rows}
        best = sorted(sorted(scores), key=lambda name: -scores[name])[:10]
        pairs = compare_pairs(connection, best, benchmarks=["quiz"])
    apart = [each.p_value is not None and each.p_value < 0.05 for each in pairs]
    assert found[ALL].pairs == 45
    assert found[ALL].separated == pytest.approx(np.mean(apart))
    half = run_saturation(filled, FrameOptions(benchmarks=["quiz"]), level=0.5)
    apart = [each.p_value is not None and each.p_value < 0.5 for each in pairs]
    assert of(half, "quiz")[ALL].separated == pytest.approx(np.mean(apart))
    assert found[ALL].verdict != "unknown"
    # Outcomes of another source are none of these scores'.
    options = FrameOptions(benchmarks=["quiz"], source="tests")
    assert of(run_saturation(filled, options), "quiz")[ALL].paired
    with filled.begin() as connection:
        write(connection, block("quiz", run("lab/m00", [1.0] * WIDTH, source=Source(name="b"))))
        connection.execute(text("TRUNCATE store.analyses CASCADE"))
    restricted = of(run_saturation(filled, options), "quiz")[ALL]
    assert not restricted.paired
    assert restricted.n == 12
    assert restricted.noise == pytest.approx(found[ALL].noise)


def test_versions_and_changed_outcomes_are_comparisons_of_their_own(filled: Engine) -> None:
    options = FrameOptions(benchmarks=["quiz"])
    first = run_saturation(filled, options)
    rng = np.random.default_rng(4)
    names = [f"lab/m{place:02}" for place in range(12)]
    with filled.begin() as connection:
        answers = [run(name, [float(each) for each in rng.random(WIDTH) < 0.5]) for name in names]
        write(connection, block("quiz", *answers, version="2"))
    both = run_saturation(filled, options)
    rows = {each.version: each for each in both.results if each.period == ALL}
    assert {version: each.pairs for version, each in rows.items()} == {"": 45, "2": 45}
    assert rows[""].separated == of(first, "quiz")[ALL].separated
    # As many right answers, but to other items: the differences' errors are others.
    with filled.begin() as connection:
        scores = connection.execute(
            text(
                "SELECT model, score FROM registry.scores WHERE (benchmark, version) = ('quiz', '')"
            )
        ).all()
        moved = [
            run(row.model, [float(each) for each in rng.permutation(WIDTH) < WIDTH * row.score])
            for row in scores
        ]
        write(connection, block("quiz", *moved))
    again = run_saturation(filled, options)
    assert not again.stored.reused
    assert {each.version: each for each in again.results if each.period == ALL}["2"] == rows["2"]


def test_some_pairs_of_the_best_models_say_nothing_of_all(filled: Engine) -> None:
    with filled.begin() as connection:
        names = [f"lab/m{place:02}" for place in range(12)]
        for name in names[3:6]:
            write(connection, block("exam", run(name, [1.0] * 30 + [0.0] * 10)))
    found = of(
        run_saturation(filled, FrameOptions(benchmarks=["exam"]), items={"exam": 500}), "exam"
    )
    assert not found[ALL].paired
    assert found[ALL].pairs == 45


def test_without_items_or_errors_noise_is_unknown_and_said(filled: Engine) -> None:
    found = run_saturation(filled, FrameOptions(benchmarks=["exam"]))
    assert {each.verdict for each in found.results} == {"unknown"}
    assert {(each.noise, each.near_best, each.separated) for each in found.results} == {
        (None, None, None)
    }
    assert found.stored.notes[-1].startswith("Noise is unknown on exam, as no run states")


def test_periods_are_of_the_hub_or_of_an_upload() -> None:
    def said(created: datetime | None, uploaded: str | None, grouping: Grouping) -> str | None:
        row: Any = SimpleNamespace(created_at=created, uploaded=uploaded)
        return labels({1: row}, grouping).get(1)

    for month, quarter in ((1, 1), (3, 1), (4, 2), (6, 2), (9, 3), (10, 4), (12, 4)):
        at = datetime(2024, month, 1, tzinfo=UTC)
        assert said(at, "2023-01-01", Grouping.QUARTER) == f"2024-Q{quarter}"
    assert said(None, "2023-07-01", Grouping.QUARTER) == "2023-Q3"
    assert said(None, "2023-07-01", Grouping.YEAR) == "2023"
    assert said(None, "2022-03-31", Grouping.QUARTER) == "2022-Q1 or before"
    assert said(None, "2022-04-01", Grouping.QUARTER) == "2022-Q2"
    assert said(None, "2022-04-01", Grouping.YEAR) == "2022 or before"
    assert said(None, "soon", Grouping.YEAR) is None
    assert said(None, None, Grouping.QUARTER) is None


def test_what_cannot_be_judged_is_refused_and_stores_nothing(filled: Engine) -> None:
    refused: Sequence[tuple[dict[str, Any], dict[str, Any], str]] = (
        ({"benchmarks": ["arena"]}, {}, "No benchmark has scores with a ceiling"),
        ({}, {"items": {"exma": 9}}, "There are items of exma, which is none of the benchmarks"),
        ({}, {"items": {"exam": 0}}, "one item or more; exam is given 0"),
        ({}, {"level": 1.0}, "between 0 and 1"),
        ({"condition": "name = 'no/one'"}, {}, "No evaluated model fulfils"),
    )
    for options, others, message in refused:
        with pytest.raises(UsageError, match=message):
            run_saturation(filled, FrameOptions(**options), **others)
    assert count(filled) == 0


def test_commands_draw_and_say(filled: Engine, database_url: str, tmp_path: Path) -> None:
    commands = Commands(database_url)
    page = tmp_path / "time.html"
    found = commands.json("stats", "saturation", "--items", "exam=1000", f"--plot={page}",
                          "--by", str(Period.QUARTER))  # fmt: skip
    assert [row["period"] for row in found if row["benchmark"] == "exam"] == [
        "2022-Q2", "2023-Q2", "2024-Q2", ALL,
    ]  # fmt: skip
    assert page.read_text().count("<figure>") == 2
    assert "median, quartiles" in page.read_text()
    for bad in ("exam", "=3", "exam=many", "exam=-1"):
        assert "as gsm8k=1319" in commands.refused(2, "stats", "saturation", "--items", bad)
