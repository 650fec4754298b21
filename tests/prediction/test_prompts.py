"""Predictions on prompts: as on stored items of the same text, and what cannot be read."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from planted import fill
from sqlalchemy import Engine, text

from registry.embeddings import item_vectors, training
from registry.embeddings.training import TrainingOptions
from registry.errors import ModelNotFoundError, RegistryError, UnreadableFileError, UsageError
from registry.evaluations.records import Item
from registry.learning.encoders import open_encoder
from registry.prediction.outcomes import predict_outcomes
from registry.prediction.prompts import Prompt, predict_prompts, read_prompts

TEXT = "What is the capital of France, and which river flows through it?"


def test_a_prompt_is_predicted_as_a_stored_item_of_its_text(engine: Engine) -> None:
    fill(engine)
    trained = training.train(engine, TrainingOptions(method="irt", encoder="hashing"))
    assert trained is not None
    assert trained.metrics["intervals"]["text_calibration_error"] < 0.2
    with engine.begin() as connection:
        asked = [Item("capital", TEXT)]
        write(connection, block("later", run("lab/other", [1.0]), asked=asked))
    item_vectors.refresh(engine, open_encoder("hashing"), benchmarks=["later"])
    models = ["org/m3", "org/m1"]
    prompts = [Prompt("b", "Add two numbers. " * 2000), Prompt("a", TEXT)]
    found = predict_prompts(engine, models, prompts)
    with engine.connect() as connection:
        stored = predict_outcomes(connection, models, "later:capital")
    assert stored.basis.tolist() == ["text"]
    assert (found.version, found.models, found.prompts) == (trained.version, models, ["b", "a"])
    assert found.kind.tolist() == ["trained"] * 2
    for name in ("probability", "lower", "upper"):
        ours, theirs = getattr(found, name)[:, 1], getattr(stored, name)[:, 0]
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert (found.lower < found.probability).all()
    assert (found.probability < found.upper).all()
    assert not found.cut[1]
    assert abs(found.probability[:, 0] - found.probability[:, 1]).max() > 1e-4
    for error, holds in ((0.05, True), (0.06, False)):
        with engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE store.embedding_versions SET metrics = metrics || CAST(:held AS jsonb)"
                ),
                {
                    "held": json.dumps(
                        {
                            "intervals": {
                                "coverage": 0.9,
                                "calibration_error": 0.01,
                                "text_calibration_error": error,
                            }
                        }
                    )
                },
            )
        assert predict_prompts(engine, models, prompts).calibrated is holds
    half = predict_prompts(engine, models, prompts, level=0.5)
    assert (half.probability == found.probability).all()
    assert (half.upper - half.lower < 0.6 * (found.upper - found.lower)).all()
    for wrong, problem in (
        ([], "There is no prompt"),
        ([Prompt("x", " \n")], "Prompt 'x' is empty"),
        ([Prompt("x", "a"), Prompt("x", "b")], "two prompts 'x'"),
    ):
        with pytest.raises(UsageError, match=problem):
            predict_prompts(engine, models, wrong)
    with pytest.raises(ModelNotFoundError):
        predict_prompts(engine, "nobody/x", prompts)


def test_the_command_prints_a_row_a_model_and_prompt(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    training.train(engine, TrainingOptions(method="irt", encoder="hashing"))
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"id": n, "prompt": f"{TEXT} {n}"}) + "\n" for n in (1, 2)))
    command = Commands(engine.url.render_as_string(hide_password=False))
    asked = ("predict", "org/m1", "--prompts", str(file), "--format", "json")
    done = command(*asked, "--only", "org/m0")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(row["model"], row["id"]) for row in found] == [
        ("org/m1", "1"), ("org/m1", "2"), ("org/m0", "1"), ("org/m0", "2")]  # fmt: skip
    expected = predict_prompts(engine, ["org/m1", "org/m0"], read_prompts(file))
    for name in ("probability", "lower", "upper"):
        ours = [row[name] for row in found]
        np.testing.assert_allclose(ours, getattr(expected, name).reshape(-1))
    assert {row["calibrated"] for row in found} == {expected.calibrated}
    assert ("take them as weak" in done.stderr) is not expected.calibrated
    narrow = json.loads(command(*asked, "--level", "0.5").stdout)
    assert narrow[0]["upper"] < found[0]["upper"]
    assert "Give a MODEL" in command.refused(2, "predict", "--prompts", str(file))
    refused = command.refused(2, "predict", "org/m1", "--prompts", str(file), "--missing")
    assert "--prompts goes with" in refused
    assert "no-such" in command.refused(1, "predict", "org/m1", "--prompts", "no-such.jsonl")


def test_a_version_without_texts_predicts_no_prompts(engine: Engine) -> None:
    with pytest.raises(RegistryError, match="`registry train`"):
        predict_prompts(engine, "org/m0", [Prompt("a", TEXT)])
    fill(engine)
    training.train(engine, TrainingOptions(method="irt"))
    with pytest.raises(RegistryError, match="trained without texts"):
        predict_prompts(engine, "org/m0", [Prompt("a", TEXT)])


def test_prompts_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"id": "x", "prompt": "One?"}, {"id": 7, "prompt": "Two?", "more": 1}]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert read_prompts(file) == [Prompt("x", "One?", 1), Prompt("7", "Two?", 2)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "y"}', "line 2.*prompt.*missing"),
        ('{"prompt": "Two?"}', "line 2.*id.*missing"),
        ('{"id": 1.5, "prompt": "Two?"}', "line 2.*text or a whole number"),
        ('{"id": true, "prompt": "Two?"}', "line 2.*text or a whole number"),
        ('{"id": "y", "prompt": 3}', "line 2.*not empty"),
        ('{"id": "y", "prompt": "  "}', "line 2.*not empty"),
        ('{"id": "x", "prompt": "Two?"}', "line 2.*'x' before"),
        ("{", "line 2"),
    ],
)
def test_what_is_no_prompt_is_named_by_its_line(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"id": "x", "prompt": "One?"}\n' + line + "\n")
    with pytest.raises(UnreadableFileError, match=problem):
        read_prompts(file)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(UnreadableFileError, match="no prompt in it"):
        read_prompts(empty)
