"""Scores that a file does not state the scale of: what is read of them, and what is said."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, rows
from harness_runs import HarnessRun
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from registry.errors import RegistryError
from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.records import Benchmark, Block, Notes, Run, Source
from registry.evaluations.scales import known_measure
from registry.evaluations.scales.measured import measured
from registry.evaluations.scales.rescaling import rescale_stored

ROLES = {"model": "model", "benchmark": "benchmark", "metric": "metric", "score": "score"}
HEAD = "model,benchmark,metric,score\n"
FOUND = "SELECT benchmark, score, raw_score FROM registry.runs ORDER BY benchmark"


def imported(engine: Engine, path: Path, **options: Any) -> FileReport:
    roles = ROLES if path.suffix == ".csv" else {}
    [report] = import_files(engine, [path], ImportOptions(roles=roles, **options))
    return report


def table(folder: Path, lines: str) -> Path:
    path = folder / "scores.csv"
    path.write_text(HEAD + lines)
    return path


def test_a_share_among_percentages_of_other_metrics_is_not_read(
    engine: Engine, tmp_path: Path
) -> None:
    """A 1.0 beside 45.2 and 7.5 is 1%, or all: the file does not say."""
    path = table(tmp_path, "a/m,x,acc,45.2\na/m,y,f1,1.0\na/m,z,exact_match,0\na/m,w,elo,1200\n")
    report = imported(engine, path)
    said = [what for what in report.left_out if "up to 1, while scores by other metrics" in what]
    assert len(said) == 1
    assert "scores by f1" in said[0]
    assert "--scale percent" in said[0]
    with engine.connect() as connection:
        assert rows(connection, FOUND) == [("w", None, 1200.0), ("z", 0.0, 0.0)]
    report = imported(engine, path, scale="percent")
    assert report.left_out == {}
    with engine.connect() as connection:
        assert [row[:2] for row in rows(connection, FOUND)] == [
            ("w", None), ("x", pytest.approx(0.452)), ("y", pytest.approx(0.01)), ("z", 0.0),
        ]  # fmt: skip


def test_a_file_without_anything_usable_says_what_to_state(engine: Engine, tmp_path: Path) -> None:
    report = imported(engine, table(tmp_path, "a/m,squad2,f1,0.8\n"))
    assert report.status == "failed"
    assert "lm-eval states them in percent" in (report.error or "")
    assert "--scale percent" in (report.error or "")
    report = imported(engine, table(tmp_path, "a/m,b,zonk,-1\n"))
    assert "nothing in it is usable: scores of -1 by zonk" in (report.error or "")


SHARES = ("acc", "f1", "exact_match", "win_rate")
entries = st.lists(
    st.tuples(
        st.sampled_from(SHARES),
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from(["one", "other"]),
        st.sampled_from([0.0, 0.008, 0.4, 1.0, 7.5, 62.0, -1.0]),
    ),
    min_size=1,
    max_size=8,
)


@given(entries, st.booleans())
def test_whoever_states_percentages_states_no_shares(
    scores: Sequence[tuple[str, str, str, float]],
    is_log: bool,  # noqa: FBT001 - a fact
) -> None:
    """No score up to 1 of a source is read beside one above 1 of it, unless it is a log."""
    blocks = [
        Block(
            benchmark=Benchmark(name=name),
            runs=[
                Run(
                    model=f"m{place}",
                    measure=known_measure(metric),
                    source=Source(name=source),
                    score=score,
                )
            ],
        )
        for place, (metric, name, source, score) in enumerate(scores)
    ]
    notes = Notes()
    try:
        read = [
            run for each in measured(blocks, notes, file="f", is_log=is_log) for run in each.runs
        ]
    except RegistryError as error:
        assert "--scale" in str(error)  # noqa: PT017
        read = []
    above = [each for each in scores if each[3] > 1]
    metrics, names = {each[0] for each in above}, {each[1] for each in above}
    sources = set() if is_log else {each[2] for each in above}
    expected = {
        f"m{place}"
        for place, (metric, name, source, score) in enumerate(scores)
        if 0 <= score <= 1
        and metric not in metrics
        and name not in names
        and (score == 0 or source not in sources)
    }
    assert {run.model for run in read} == expected
    if len(expected) < len(scores) and read:
        assert sum(notes.counts.values()) == len(scores) - len(expected)


def test_what_a_harness_has_in_percent_is_not_read_as_a_share(
    engine: Engine, tmp_path: Path
) -> None:
    roles = ROLES | {"harness": "harness"}
    path = tmp_path / "scores.csv"
    path.write_text(
        "model,benchmark,metric,score,harness\n"
        "a/one,squad2,f1,0.8,lm-evaluation-harness\n"
        "a/two,squad2,f1,0.8,\n"
        "a/three,squad2,f1,0.8,other\n"
        "a/four,squad2,f1,0,\n"
    )
    [report] = import_files(engine, [path], ImportOptions(roles=roles))
    assert [what for what in report.left_out if "on squad2 up to 1: lm-eval states" in what]
    with engine.connect() as connection:
        assert rows(connection, "SELECT model, score FROM registry.runs ORDER BY model") == [
            ("a/four", 0.0), ("a/one", pytest.approx(0.008)), ("a/three", 0.8),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "bounds", "higher"),
    [
        ("acc (%)", (0, 100), True),
        ("Accuracy %", (0, 100), True),
        ("accuracy_pct", (0, 100), True),
        ("exact_match_percent", (0, 100), True),
        ("percent_correct", (0, 100), True),
        ("zonk [%]", (0, 100), None),
        ("spearman (%)", (-100, 100), True),
        ("rougeL (%)", (0, 100), True),
        ("wer (%)", (0, None), False),
        ("pct_stereotype", (0, 1), False),
        ("acc at 5% of items", (None, None), None),
    ],
)
def test_names_that_say_percent(
    metric: str,
    bounds: tuple[float | None, float | None],
    higher: bool | None,  # noqa: FBT001
) -> None:
    measure = known_measure(metric)
    assert (measure.lower, measure.upper, measure.higher_is_better) == (*bounds, higher)


def test_columns_whose_names_say_percent(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,ARC (%),Winogrande (%)\na/m,1.0,0.8\n")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "layout: scores-by-model\ncolumns: {model: model}\n"
        "series: [{pattern: '(?P<benchmark>.+)', metric: acc}]\n"
    )
    import_files(engine, [path], ImportOptions(mapping=str(mapping)))
    with engine.connect() as connection:
        assert [row[1] for row in rows(connection, FOUND)] == pytest.approx([0.01, 0.008])


def test_minus_one_is_measured_where_the_file_has_other_negative_scores(
    engine: Engine, tmp_path: Path
) -> None:
    lines = "a/m,x,zonk,-1\na/n,x,zonk,3\na/m,y,reward,-1\na/n,y,reward,-2.5\na/m,z,elo,-1\n"
    report = imported(engine, table(tmp_path, lines))
    assert {what.partition(",")[0] for what in report.left_out} == {
        "scores of -1 by zonk", "scores of -1 by elo",
    }  # fmt: skip
    with engine.connect() as connection:
        assert rows(connection, FOUND + ", raw_score") == [
            ("x", None, 3.0), ("y", None, -2.5), ("y", None, -1.0),
        ]  # fmt: skip
    imported(engine, table(tmp_path, "a/m,x,zonk,-1\na/n,x,zonk,3\n"), scale="-5:5")
    with engine.connect() as connection:
        scores = "SELECT score FROM registry.runs WHERE benchmark = 'x' ORDER BY 1"
        assert rows(connection, scores) == [(pytest.approx(0.4),), (pytest.approx(0.8),)]


@pytest.mark.parametrize("metric", ["zonk", "my_judge"])
def test_minus_one_in_results_of_lm_eval(engine: Engine, tmp_path: Path, metric: str) -> None:
    path = tmp_path / "results.json"
    scores = {f"{metric},none": -1.0, "acc,none": 0.5}
    path.write_text(
        json.dumps({"results": {"t": scores}, "config": {"model_args": "pretrained=a/m"}})
    )
    report = imported(engine, path)
    assert [what for what in report.left_out if f"-1 by {metric}" in what]
    with engine.connect() as connection:
        assert rows(connection, "SELECT metric FROM registry.runs") == [("acc",)]


@pytest.mark.parametrize(
    ("items", "lines", "expected"),
    [(1000, [0, 1, 2], []), (4, None, [(0.5, 4)]), (None, None, [(0.5, 4)])],
)
def test_outcomes_beside_a_score_on_an_unknown_scale(
    engine: Engine,
    tmp_path: Path,
    items: int | None,
    lines: list[int] | None,
    expected: list[tuple[float, int]],
) -> None:
    """A percentage that no one states is not replaced by the mean of some of its outcomes."""
    run = HarnessRun(
        questions=["a", "b", "c", "d"],
        outcomes={"none": [1, 0, 0, 1]},
        scores={"none": 50.0},
        items=items,
        lines=lines,
    )
    run.write(tmp_path)
    import_files(engine, [tmp_path], ImportOptions())
    with engine.connect() as connection:
        assert rows(connection, "SELECT score, items FROM registry.runs") == expected
    reports = import_files(engine, [tmp_path], ImportOptions(scale="percent"))
    assert [report.error for report in reports] == [None, None]
    with engine.connect() as connection:
        assert rows(connection, "SELECT score FROM registry.runs") == [(0.5,)]


def test_a_sentinel_is_listed_once(engine: Engine, tmp_path: Path) -> None:
    """By the upgrade; not again by the import of its file, which does not state it any more."""
    path = table(tmp_path, "a/m,x,acc,0.25\na/m,y,acc,0.5\n")
    imported(engine, path)
    path.write_text(path.read_text().replace("0.25", "-1"))
    # As an earlier version has stored it.
    with engine.begin() as connection:
        connection.execute(text("UPDATE store.runs SET score = -1 WHERE score = 0.25"))
        connection.execute(
            text("UPDATE store.imports SET sha256 = :digest, bytes = :bytes"),
            {"digest": sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size},
        )
    with engine.begin() as connection:
        assert rescale_stored(connection, NOON) == 1
    for _ in range(2):
        imported(engine, path)
    with engine.connect() as connection:
        listed = "SELECT model, old_score, new_score FROM registry.score_changes"
        assert rows(connection, listed) == [("a/m", 0.0, None)]
        assert rows(connection, "SELECT benchmark FROM registry.runs") == [("y",)]
