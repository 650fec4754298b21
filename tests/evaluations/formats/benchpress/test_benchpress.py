"""The score matrix of BenchPress: values computed by hand, in the shape that it documents."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import benchpress
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Notes, Run

SETTING = {
    "mode": "thinking",
    "effort": "high",
    "tools": "none",
    "sampling": "pass@1",
    "judge": "rule-based",
    "harness": "matharena",
    "prompt_style": "zeroshot-cot",
    "temperature": 0.0,
}
BENCHMARKS = [
    {
        "id": "aime_2025",
        "name": "AIME 2025",
        "category": "Math",
        "source_url": "https://maa.org",
        "canonical_setting": {"metric_type": "pct", "range": [0, 100], "higher_is_better": True},
    },
    {"id": "arena", "canonical_setting": {"metric_type": "elo", "range": [800, 1600]}},
]


def score(benchmark: str, value: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "model_id": "acme-1",
        "benchmark_id": benchmark,
        "score": value,
        "reference_url": "https://acme.com/blog",
        "reported_setting": SETTING,
        "matches_canonical": True,
        "source_type": "official_blog",
        "audit_status": "verified",
        "notes": "",
    } | fields


def written(folder: Path, *scores: Any, **parts: Any) -> Path:
    content = {"models": [{"id": "acme-1"}], "benchmarks": BENCHMARKS, "scores": scores} | parts
    path = folder / "llm_benchmark_data.json"
    path.write_text(json.dumps(content))
    return path


def runs(path: Path, notes: Notes | None = None) -> list[tuple[str, Run]]:
    return [
        (block.benchmark.name, run)
        for block in benchpress.read(path, notes or Notes())
        for run in block.runs
    ]


def test_a_matrix_gives_what_it_says(tmp_path: Path) -> None:
    candidate = {"score": 92.8, "reference_url": "https://matharena.ai", "reported_setting": {}}
    path = written(tmp_path, score("aime_2025", 93.5, candidates=[candidate]), score("arena", 1417))
    assert Reader().format_of(path) == "benchpress"
    (_, aime), (_, other), (_, arena) = runs(path)
    assert (aime.model, aime.score, aime.measure.normalised(93.5)) == ("acme-1", 93.5, 0.935)
    assert (aime.measure.unit, arena.measure.unit, arena.measure.width) == ("%", "Elo", None)
    assert (aime.setup.variant, other.setup.variant) == ("effort=high", None)
    assert aime.setup.details == {
        "mode": "thinking",
        "judge": "rule-based",
        "harness": "matharena",
        "prompt_style": "zeroshot-cot",
        "temperature": "0.0",
        "stated_by": "https://acme.com/blog",
    }
    assert (other.score, other.setup.details) == (92.8, {"stated_by": "https://matharena.ai"})


@pytest.mark.parametrize(
    ("change", "variant"),
    [
        ({"effort": "n/a"}, None),
        ({"effort": "n/a", "tools": "benchmark-specified"}, None),
        ({"tools": "code"}, "effort=high, tools=code"),
        ({"effort": "n/a", "sampling": "cons@64"}, "sampling=cons@64"),
    ],
)
def test_a_system_is_not_its_model(
    tmp_path: Path, change: dict[str, str], variant: str | None
) -> None:
    path = written(tmp_path, score("aime_2025", 50, reported_setting=SETTING | change))
    ((_, run),) = runs(path)
    assert run.setup.variant == variant


def test_what_is_not_verified_or_not_measured_is_left_out(tmp_path: Path, engine: Engine) -> None:
    path = written(
        tmp_path,
        score("aime_2025", 93.5),
        score("aime_2025", 12, audit_status="pending", model_id="b"),
        score("aime_2025", -1, model_id="c"),
        score("aime_2025", None, model_id="d"),
    )
    (report,) = import_files(engine, [path])
    assert report.left_out == {
        "scores that are not verified": 1,
        "scores by score that are not from 0 to 100, so that nothing was measured": 1,
        "scores that are no finite numbers": 1,
    }
    with engine.connect() as connection:
        assert rows(connection, "SELECT model FROM registry.runs") == [("acme-1",)]


def test_an_import_stores_it(tmp_path: Path, engine: Engine) -> None:
    (report,) = import_files(engine, [written(tmp_path, score("aime_2025", 93.5))])
    assert (report.status, report.format) == ("imported", "benchpress")
    with engine.connect() as connection:
        assert rows(connection, "SELECT model, score, variant FROM registry.runs") == [
            ("acme-1", 0.935, "effort=high")
        ]


@pytest.mark.parametrize(
    ("scores", "parts", "said"),
    [
        ([], {}, "field 'scores': there are no scores in it."),
        ([score("x", 1)], {}, "field 'scores[0].benchmark_id': 'x' is not among the benchmarks."),
        ([score("arena", 1, model_id="")], {}, "field 'scores[0].model_id': no model is named."),
        ([score("arena", 1, score="x")], {}, "field 'scores[0].score': Expected `float | null`"),
        ([{"score": 3}], {}, "field 'scores[0].model_id': Object missing required field"),
        ([score("arena", 1)], {"benchmarks": {}}, "field 'benchmarks': Expected `array`"),
        (
            [score("x", 1)],
            {"benchmarks": [{"id": "x", "canonical_setting": {"range": [5, 1]}}]},
            "field 'benchmarks.x.canonical_setting.range': a range is its lower",
        ),
    ],
)
def test_what_is_refused(
    tmp_path: Path, scores: list[Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        runs(written(tmp_path, *scores, **parts))
    assert said in str(caught.value)


@given(at=st.integers(0, 10_000), turned=st.integers(0, 255))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, turned: int
) -> None:
    path = written(tmp_path_factory.mktemp("matrix"), score("aime_2025", 93.5))
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at] ^= turned
    path.write_bytes(whole if turned else whole[:at])
    Reader().format_of(path)
    with suppress(UnreadableFileError):
        runs(path)


def test_minus_one_without_bounds_is_not_measured(tmp_path: Path, engine: Engine) -> None:
    index = {"id": "index", "canonical_setting": {"metric_type": "index"}}
    path = written(
        tmp_path,
        score("arena", -1),
        score("arena", 1300, model_id="acme-2"),
        score("index", -1),
        score("index", 12, model_id="acme-2"),
        score("aime_2025", 0.8),
        benchmarks=[*BENCHMARKS, index],
    )
    [report] = import_files(engine, [path])
    assert [what for what in report.left_out if "scores of -1 by score, of which no" in what]
    with engine.connect() as connection:
        found = "SELECT benchmark, raw_score, score FROM registry.runs ORDER BY benchmark"
        assert rows(connection, found) == [
            ("aime_2025", 0.8, pytest.approx(0.008)), ("arena", 1300, None), ("index", 12, None),
        ]  # fmt: skip
