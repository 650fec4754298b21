"""Results of LLMRouterBench: values computed by hand, from files as it stores them."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import llmrouterbench
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes


def record(index: int, score: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "index": index,
        "origin_query": f"What is {index}?",
        "prompt": f"Question: What is {index}?\nAnswer:",
        "prediction": str(index),
        "ground_truth": "4",
        "score": score,
        "prompt_tokens": 15,
        "completion_tokens": 5,
        "cost": 0.0001,
        "raw_output": "It is.",
    } | fields


FOUR = [record(1, 1.0), record(2, 0.0), record(3, 0.5), record(4, 1.0)]


def results(**fields: Any) -> dict[str, Any]:
    return {
        "performance": 0.625,
        "time_taken": 120.5,
        "prompt_tokens": 60,
        "completion_tokens": 20,
        "cost": 0.15,
        "counts": 4,
        "model_name": "acme/m",
        "dataset_name": "aime",
        "split": "test",
        "demo": False,
        "records": FOUR,
    } | fields


def written(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def read(path: Path, notes: Notes | None = None) -> Block:
    (block,) = llmrouterbench.read(path, notes or Notes())
    return block


def test_a_file_gives_what_it_says(tmp_path: Path) -> None:
    path = written(tmp_path / "aime-test-m-20251103_120102.json", results())
    assert Reader().format_of(path) == "llmrouterbench"
    notes = Notes()
    block = read(path, notes)
    assert (block.benchmark.name, block.benchmark.version) == ("aime", "")
    assert [item.item for item in block.items] == ["1", "2", "3", "4"]
    assert (block.items[0].prompt, block.items[0].answer) == ("What is 1?", "4")
    (run,) = block.runs
    assert (run.model, run.evaluated_at) == ("acme/m", datetime(2025, 11, 3, 12, 1, 2, tzinfo=UTC))
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [1, 0, 0.5, 1]
    assert run.answers == ["1", "2", "3", "4"]
    assert run.output_tokens is not None
    assert run.output_tokens.tolist() == [5] * 4
    assert run.complete
    assert notes.counts == {}


def test_the_first_files_have_their_names_in_the_path(tmp_path: Path, engine: Engine) -> None:
    content = results(model_name=None, dataset_name=None, split=None)
    written(tmp_path / "results" / "bench" / "gpqa" / "hard" / "Qwen3-8B" / "1.json", content)
    (report,) = import_files(engine, [tmp_path])
    assert report.error is None
    query = "SELECT model, benchmark, version, score, items FROM registry.runs"
    with engine.connect() as connection:
        assert rows(connection, query) == [("Qwen3-8B", "gpqa", "hard", 0.625, 4)]


def test_other_places_say_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "gpqa" / "test" / "m" / "1.json", results(model_name=None))
    assert "field 'model_name': add it, or put the file at bench/" in refusal(path)


def test_prompts_without_a_score_are_not_observed(tmp_path: Path) -> None:
    content = results(records=[*FOUR, record(5, None)], demo=True)
    (run,) = read(written(tmp_path / "x.json", content)).runs
    np.testing.assert_equal(run.outcomes, np.array([1, 0, 0.5, 1, np.nan], np.float32))
    assert not run.complete


def test_without_a_stated_mean_what_has_no_score_is_not_observed(tmp_path: Path) -> None:
    content = results(records=[*FOUR, record(5, None)], performance=None)
    (run,) = read(written(tmp_path / "x.json", content)).runs
    np.testing.assert_equal(run.outcomes, np.array([1, 0, 0.5, 1, np.nan], np.float32))


def test_prompts_without_a_score_are_wrong_where_the_mean_says_so(tmp_path: Path) -> None:
    content = results(records=[*FOUR, record(5, None)], performance=0.5)
    (run,) = read(written(tmp_path / "x.json", content)).runs
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [1, 0, 0.5, 1, 0]


@pytest.mark.parametrize("change", [{"performance": 62.5}, {"records": [record(1, 7.0)]}])
def test_a_performance_that_is_no_mean_stands_alone(tmp_path: Path, change: dict[str, Any]) -> None:
    notes = Notes()
    content = results(**change)
    (run,) = read(written(tmp_path / "x.json", content), notes).runs
    assert (run.outcomes, run.score) == (None, content["performance"])
    assert run.measure.width is None
    assert notes.counts == {"scores of prompts that are not outcomes of the stated performance": 1}


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"records": []}, "field 'records': there are no prompts in it."),
        ({"records": 3}, "field 'records': Expected `array`, got `int`."),
        ({"records": [3]}, "field 'records[0]': Expected `object`, got `int`."),
        ({"records": [{}]}, "field 'records[0].index': Object missing required field `index`."),
        ({"records": [*FOUR, FOUR[2]]}, "field 'records[4].index': another record has this index."),
        ({"performance": "x"}, "field 'performance': Expected `float | null`, got `str`."),
        ({"performance": None, "records": [record(1, 9)]}, "field 'performance': neither this nor"),
        ({"model_name": 3}, "field 'model_name': Expected `str | null`, got `int`."),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    assert said in refusal(written(tmp_path / "x.json", results(**change)))


def test_a_file_that_is_cut_off_fails(tmp_path: Path, engine: Engine) -> None:
    path = written(tmp_path / "x.json", results())
    path.write_bytes(path.read_bytes()[:-200])
    (report,) = import_files(engine, [tmp_path])
    assert (report.status, report.format) == ("failed", "llmrouterbench")
    assert "not JSON, or was cut off" in str(report.error)


@given(at=st.integers(0, 10_000), turned=st.integers(0, 255))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, turned: int
) -> None:
    path = written(tmp_path_factory.mktemp("bench") / "x.json", results())
    whole = bytearray(path.read_bytes())
    at %= len(whole)
    whole[at] ^= turned
    path.write_bytes(whole if turned else whole[:at])
    Reader().format_of(path)
    with suppress(UnreadableFileError):
        read(path)
