"""Results and details of lighteval: values computed by hand, from files as it writes them."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import lighteval
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes, Run

TIME = "2024-01-06T09-45-44.755529"
SHA = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


def content(**parts: Any) -> dict[str, Any]:
    """Return a results file as lighteval writes it."""
    return {
        "config_general": {
            "lighteval_sha": "203045a8431bc9b77245c9998e05fc54509ea07f",
            "max_samples": None,
            "job_id": "",
            "start_time": 620979.87,
            "model_name": "acme/m",
            "model_sha": SHA,
            "model_dtype": "torch.bfloat16",
            "model_size": "476.2 MB",
        },
        "results": {
            "lighteval|gsm8k|5": {"em": 0.75, "em_stderr": 0.25, "maj@8": 0.5},
            "leaderboard|arc:challenge|25": {"acc": 0.25, "acc_norm": 0.5},
            "all": {"em": 0.75, "acc": 0.25},
        },
        "versions": {"lighteval|gsm8k|5": 2},
        "config_tasks": {
            "lighteval|gsm8k": {
                "name": "gsm8k",
                "hf_repo": "openai/gsm8k",
                "metric": [{"metric_name": "em", "higher_is_better": True}],
                "original_num_docs": 1319,
                "effective_num_docs": 4,
            }
        },
        "summary_tasks": {},
    } | parts


def written(folder: Path, name: str = f"results_{TIME}.json", **parts: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(content(**parts)))
    return path


def read(path: Path, notes: Notes | None = None) -> list[Block]:
    return list(lighteval.read(path, notes or Notes()))


def runs(path: Path, notes: Notes | None = None) -> dict[tuple[str, str], Run]:
    return {
        (block.benchmark.name, run.measure.metric): run
        for block in read(path, notes)
        for run in block.runs
    }


def test_a_results_file_gives_what_it_says(tmp_path: Path) -> None:
    path, notes = written(tmp_path), Notes()
    assert Reader().format_of(path) == "lighteval"
    found = runs(path, notes)
    assert {key: run.score for key, run in found.items()} == {
        ("gsm8k", "em"): 0.75,
        ("gsm8k", "maj@8"): 0.5,
        ("arc:challenge", "acc"): 0.25,
        ("arc:challenge", "acc_norm"): 0.5,
    }
    run = found["gsm8k", "em"]
    assert (run.model, run.revision, run.standard_error) == ("acme/m", SHA, 0.25)
    assert (run.items, run.complete) == (4, False)
    assert run.evaluated_at == datetime(2024, 1, 6, 9, 45, 44, 755529, UTC)
    setup = run.setup
    assert (setup.harness, setup.shots, setup.task_version) == ("lighteval", 5, "2")
    assert (setup.precision, setup.variant, setup.details) == ("bfloat16", None, {})
    arc = found["arc:challenge", "acc"]
    assert (arc.setup.shots, arc.setup.details) == (25, {"suite": "leaderboard"})
    assert (arc.items, arc.complete) == (None, True)
    assert notes.counts == {"means over all tasks of a file": 1}


def test_results_of_the_first_leaderboard(tmp_path: Path) -> None:
    results = {
        "harness|arc:challenge|25": {"acc": 0.5, "acc_norm": 0.5486, "acc_norm_stderr": 0.0145},
        "harness|hendrycksTest-anatomy|5": {"acc": 0.5629},
        "harness|truthfulqa:mc|0": {"mc1": 0.2888, "mc2": 0.4284},
        "harness|hendrycksTest:_average|5": {"acc": 0.61},
    }
    path = written(
        tmp_path, results=results, config_tasks={key[:-2]: "LM Harness task" for key in results}
    )
    found = runs(path)
    assert found["arc:challenge", "acc_norm"].score == 0.5486
    assert found["truthfulqa:mc", "mc2"].setup.shots == 0
    assert found["hendrycksTest", "acc"].score == 0.61
    assert found["hendrycksTest-anatomy", "acc"].setup.details == {"suite": "harness"}


def test_keys_without_a_suite(tmp_path: Path) -> None:
    general = {
        "model_config": {
            "model_name": "acme/m",
            "revision": "v2",
            "dtype": "float16",
            "generation_parameters": {"temperature": 0.5, "reasoning_effort": "low"},
        }
    }
    path = written(tmp_path, results={"gsm8k|3": {"em": 1}}, config_general=general)
    run = runs(path)["gsm8k", "em"]
    assert (run.model, run.revision, run.setup.shots) == ("acme/m", "v2", 3)
    assert run.setup.precision == "float16"
    assert run.setup.variant == "reasoning_effort=low"
    assert run.setup.details == {"gen_kwargs": "temperature=0.5"}


def test_scores_outside_their_scale_are_not_measured(tmp_path: Path, engine: Engine) -> None:
    results = {"a|gsm8k|5": {"em": -1, "acc": float("nan"), "maj@8": 0.5}}
    (report,) = import_files(engine, [written(tmp_path, results=results)])
    assert report.left_out == {
        "scores by em that are not from 0 to 1, so that nothing was measured": 1,
        "scores that are no finite numbers": 1,
    }
    with engine.connect() as connection:
        assert rows(connection, "SELECT metric, score FROM registry.runs") == [("maj@8", 0.5)]


NEW = [
    {
        "__doc__": {
            "query": f"What is {n}?",
            "choices": ["a", "b"],
            "gold_index": [n % 2],
            "id": str(n),
            "task_name": "gsm8k",
        },
        "__metric__": {"em": float(n % 4 != 3), "maj@8": n % 2 == 0, "loss": 7.5},
        "__model_response__": {"text": [f"answer {n}"], "logprobs": [0.5]},
    }
    for n in range(4)
]


def details(
    folder: Path, table: Sequence[dict[str, Any]], task: str = "lighteval|gsm8k|5", time: str = TIME
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"details_{task}_{time}.parquet"
    pq.write_table(pa.Table.from_pylist(list(table)), path)
    return path


def folders(root: Path) -> tuple[Path, Path]:
    return root / "results" / "acme" / "m", root / "details" / "acme" / "m" / TIME


def test_details_are_outcomes(tmp_path: Path) -> None:
    results, below = folders(tmp_path)
    written(results)
    path, notes = details(below, NEW), Notes()
    assert Reader().format_of(path) == "lighteval"
    (block,) = read(path, notes)
    assert [item.item for item in block.items] == ["0", "1", "2", "3"]
    assert block.items[1].prompt == "What is 1?"
    assert (block.items[1].choices, block.items[1].answer) == (("a", "b"), "b")
    em, majority = block.runs
    assert em.outcomes is not None
    assert em.outcomes.tolist() == [1, 1, 1, 0]
    assert majority.outcomes is not None
    assert majority.outcomes.tolist() == [1, 0, 1, 0]
    assert em.answers == ["answer 0", "answer 1", "answer 2", "answer 3"]
    assert (em.model, em.setup.shots) == ("acme/m", 5)
    assert notes.counts == {"metrics of documents that are not outcomes of the stated score": 1}


def test_scores_and_outcomes_are_one_run(tmp_path: Path, engine: Engine) -> None:
    results, below = folders(tmp_path)
    written(results)
    details(below, NEW)
    reports = import_files(engine, [tmp_path])
    assert [(report.status, report.error) for report in reports] == [("imported", None)] * 2
    query = """SELECT metric, score, has_outcomes FROM registry.runs
                WHERE benchmark = 'gsm8k' ORDER BY metric"""
    with engine.connect() as connection:
        assert rows(connection, query) == [("em", 0.75, True), ("maj@8", 0.5, True)]


def test_details_of_some_documents_leave_the_score(tmp_path: Path, engine: Engine) -> None:
    results, below = folders(tmp_path)
    written(results)
    details(below, NEW[:2])
    reports = import_files(engine, [tmp_path])
    assert [(report.status, report.error) for report in reports] == [("imported", None)] * 2
    query = """SELECT metric, score, items, outcomes FROM registry.runs
                WHERE benchmark = 'gsm8k' ORDER BY metric"""
    with engine.connect() as connection:
        assert rows(connection, query) == [("em", 0.75, 4, 2), ("maj@8", 0.5, 4, 2)]


OLD = [
    {
        "example": f"Question {n}",
        "full_prompt": f"Shots. Question {n}",
        "predictions": ["-1.5", "-2.5"] if n else [],
        "choices": ["x", "y"],
        "gold_index": 1,
        "gold": ["y"],
        "input_tokens": [1, 2, 3],
        "metrics": {"acc": n % 2, "acc_norm": float(n > 0)},
    }
    for n in (0, 1, 1, 2)
]


@pytest.mark.parametrize("flat", [None, "metrics.", ""])
def test_details_of_old_layouts(tmp_path: Path, flat: str | None) -> None:
    table: list[dict[str, Any]] = [dict(row) for row in OLD]
    if flat is not None:
        for row in table:
            row |= {f"{flat}{name}": value for name, value in row.pop("metrics").items()}
    task = "harness|arc:challenge|25"
    written(tmp_path, results={task: {"acc": 0.5, "acc_norm": 0.75}})
    path = details(tmp_path / "below", table, task, TIME.replace("09-45-44", "09:45:44"))
    (block,) = read(path)
    assert block.benchmark.name == "arc:challenge"
    assert len({item.item for item in block.items}) == 4
    assert block.items[2].item == f"{block.items[1].item}#2"
    assert block.items[0].prompt == "Question 0"
    values = {run.measure.metric: run.outcomes for run in block.runs}
    np.testing.assert_equal(values["acc"], np.array([0, 1, 1, 0], np.float32))
    np.testing.assert_equal(values["acc_norm"], np.array([0, 1, 1, 1], np.float32))


@pytest.mark.parametrize(
    ("gold", "answer"), [([1], "y"), (0, "x"), ([-1], None), ([2], None), ([0, 1], None)]
)
def test_a_right_answer_is_a_choice_that_is_there(
    tmp_path: Path, gold: object, answer: str | None
) -> None:
    document = {"query": "?", "choices": ["x", "y"], "gold_index": gold, "id": "1"}
    row = {"__doc__": document, "__metric__": {"em": 0.75}}
    written(tmp_path)
    (block,) = read(details(tmp_path, [row]))
    assert [item.answer for item in block.items] == [answer]


def test_structs_as_text(tmp_path: Path) -> None:
    table = [{key: json.dumps(value) for key, value in row.items()} for row in NEW]
    written(tmp_path)
    (block,) = read(details(tmp_path, table))
    em, _ = block.runs
    assert em.outcomes is not None
    assert em.outcomes.tolist() == [1, 1, 1, 0]


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        runs(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"config_general": {}}, "field 'config_general.model_name': no model is named."),
        ({"config_general": 3}, "field 'config_general': Expected `object`, got `int`."),
        ({"results": [1]}, "field 'results': Expected `object`, got `array`."),
        ({"results": {}}, "field 'results': there are no scores in it."),
        ({"results": {"a|b|0": 3}}, "field 'results[...]': Expected `object`, got `int`."),
        ({"results": {"| |": {"acc": 1}}}, "field 'results.| |': this is not suite|task|shots"),
        ({"versions": 3}, "field 'versions': Expected `object`, got `int`."),
    ],
)
def test_what_is_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    assert said in refusal(written(tmp_path, **parts))


def test_details_need_their_results(tmp_path: Path) -> None:
    path = details(tmp_path, NEW)
    assert f"put results_{TIME}.json beside it" in refusal(path)
    written(tmp_path, results={"lighteval|other|5": {"em": 1}})
    assert "field 'results': there is no task 'lighteval|gsm8k|5' in it" in refusal(path)


def test_rows_that_are_no_details(tmp_path: Path) -> None:
    written(tmp_path)
    table = [*NEW, {**NEW[0], "__metric__": None}]
    assert "row 5, field '__metric__': every row needs values" in refusal(details(tmp_path, table))
    table = [*NEW, {**NEW[0], "__doc__": {"query": ""}}]
    assert "row 5, field '__doc__.query': every row needs the text" in refusal(
        details(tmp_path, table)
    )
    empty = details(tmp_path, NEW)
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    assert "there are no rows in it" in refusal(empty)


def test_damaged_details(tmp_path: Path) -> None:
    written(tmp_path)
    path = details(tmp_path, NEW)
    path.write_bytes(path.read_bytes()[:-20])
    assert lighteval.recognizes(path)
    assert "not a whole Parquet file" in refusal(path)


@given(at=st.integers(0, 10_000), turned=st.integers(1, 255))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, turned: int
) -> None:
    folder = tmp_path_factory.mktemp("lighteval")
    for path in (written(folder), details(folder, NEW)):
        whole = bytearray(path.read_bytes())
        damaged = bytearray(whole)
        damaged[at % len(whole)] ^= turned
        path.write_bytes(damaged)
        with suppress(UnreadableFileError):
            for block in read(path):
                list(block.runs)
        path.write_bytes(whole)


@given(values=st.lists(st.one_of(st.booleans(), st.floats(0, 1, width=32)), min_size=1))
def test_outcomes_are_the_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("lighteval")
    mean = sum(map(float, values)) / len(values)
    written(folder, results={"lighteval|gsm8k|5": {"em": mean}})
    table = [
        {"__doc__": {"query": "q", "id": str(n)}, "__metric__": {"em": float(value)}}
        for n, value in enumerate(values)
    ]
    (block,) = read(details(folder, table))
    (run,) = block.runs
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [float(value) for value in values]
