"""Pickles of RouterEval: values computed by hand, in the shapes that its code reads."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import rows
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import routereval
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes

MODELS = ["open-llm-leaderboard/details_acme__m", "acme/n"]
CORRECTNESS = np.array([[1, 0], [0.5, 1], [0, np.nan]])


def written(folder: Path, value: Any, name: str = "x.pickle") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(value))
    return path


def scores(**parts: Any) -> dict[str, Any]:
    return {
        "models": MODELS,
        "data": {"harness_gsm8k_5": {"correctness": CORRECTNESS, "predictions": np.zeros(3)}},
    } | parts


def read(path: Path) -> list[Block]:
    return list(routereval.read(path, Notes()))


def test_scores(tmp_path: Path) -> None:
    path = written(tmp_path, scores())
    assert Reader().format_of(path) == "routereval"
    (block,) = read(path)
    assert block.benchmark.name == "gsm8k"
    assert [item.item for item in block.items] == ["0", "1", "2"]
    first, second = block.runs
    assert (first.model, second.model) == ("acme/m", "acme/n")
    assert first.outcomes is not None
    assert first.outcomes.tolist() == [1, 0.5, 0]
    np.testing.assert_equal(second.outcomes, np.array([0, 1, np.nan], np.float32))
    assert first.setup.shots == 5


def test_scores_and_prompts_are_of_the_same_items(tmp_path: Path, engine: Engine) -> None:
    written(tmp_path, scores(), "a.pickle")
    prompts = {"harness_gsm8k_5": np.array(["One?", "Two?", "Three?"], object)}
    written(tmp_path, prompts, "b.pickle")
    reports = import_files(engine, [tmp_path])
    assert [(report.format, report.error) for report in reports] == [("routereval", None)] * 2
    with engine.connect() as connection:
        assert rows(connection, "SELECT item, prompt FROM registry.items ORDER BY item") == [
            ("0", "One?"),
            ("1", "Two?"),
            ("2", "Three?"),
        ]
        assert rows(connection, "SELECT model, score FROM registry.runs ORDER BY model") == [
            ("acme/m", 0.5),
            ("acme/n", 0.5),
        ]


def test_a_pool_of_models(tmp_path: Path) -> None:
    pool = {
        "model": ["a", "b"],
        "prompt": {"train_prompt": ["One?"], "test_prompt": ["Two?"]},
        "data": {"train_score": [[0.75, 0.5]], "test_score": [[1, 0]]},
    }
    (block,) = read(written(tmp_path, pool, "gsm8k_pool.pkl"))
    assert block.benchmark.name == "gsm8k_pool"
    assert [(item.item, item.prompt) for item in block.items] == [
        ("train.0", "One?"),
        ("test.0", "Two?"),
    ]
    first, second = block.runs
    assert first.outcomes is not None
    assert first.outcomes.tolist() == [0.75, 1]
    assert second.outcomes is not None
    assert second.outcomes.tolist() == [0.5, 0]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"models": []}, "field 'models': a list of models was expected here."),
        ({"models": ["a", 3]}, "field 'models[1]': no model is named."),
        ({"models": ["a", "a"]}, "field 'models': 'a' is there twice."),
        ({"models": ["a"]}, "field 'data.harness_gsm8k_5.correctness': a matrix of items by 1"),
        (
            {"data": {"x": {"correctness": [[2.0, 0.0]]}}},
            "field 'data.x.correctness': an outcome is not from 0 to 1.",
        ),
        ({"data": {"x": {"correctness": "y"}}}, "field 'data.x.correctness': a matrix of items"),
        ({"data": {"": {"correctness": [[1, 0]]}}}, "field 'data': a benchmark has no name."),
    ],
)
def test_what_is_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read(written(tmp_path, scores(**parts)))
    assert said in str(caught.value)


def test_a_pool_without_its_prompts_is_refused(tmp_path: Path) -> None:
    pool = {"model": ["a"], "prompt": {"train_prompt": []}, "data": {"train_score": [[1]]}}
    with pytest.raises(UnreadableFileError, match="field 'prompt.train_prompt': 1 prompts were"):
        read(written(tmp_path, pool))
