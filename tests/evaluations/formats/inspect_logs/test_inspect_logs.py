"""Logs of Inspect: values computed by hand, from files as Inspect writes them."""

import json
import math
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pyarrow as pa
import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import inspect_logs
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes, Run


def sample(name: str | int, value: Any, epoch: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "epoch": epoch,
        "input": f"What is {name}?",
        "target": "4",
        "messages": [{"role": "user", "content": "x"}],
        "events": [{"event": "model"}],
        "scores": {"match": {"value": value, "answer": str(value), "explanation": "e"}},
        "model_usage": {"vllm/acme/m": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}},
        "total_time": 2.0,
    } | fields


def scored(accuracy: float, name: str = "match", **fields: Any) -> dict[str, Any]:
    metrics = {"accuracy": accuracy, "stderr": 0.25}
    return {
        "name": name,
        "scorer": name,
        "params": {},
        "metrics": {key: {"name": key, "value": value} for key, value in metrics.items()},
    } | fields


def log(
    samples: Sequence[dict[str, Any]], *scores: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    """Return a log as a JSON document; `fields` with a point are below `eval`, `plan`."""
    whole: dict[str, Any] = {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": "e",
            "run_id": "r",
            "created": "2026-03-01T12:00:00+00:00",
            "task": "sums",
            "task_version": 2,
            "task_args": {"fewshot": 5, "subject": "b"},
            "task_args_passed": {"fewshot": 5},
            "dataset": {"name": "sums", "location": "acme/sums", "samples": len(samples)},
            "model": "vllm/acme/m",
            "model_args": {"dtype": "bfloat16", "device": "cuda:0"},
            "config": {"epochs": 1},
            "packages": {"inspect_ai": "0.3.150"},
        },
        "plan": {
            "name": "plan",
            "steps": [{"solver": "prompt_template", "params": {}}, {"solver": "generate"}],
            "config": {"temperature": 0.5, "max_tokens": 64},
        },
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": list(scores),
        },
        "stats": {"started_at": "", "completed_at": ""},
        "samples": list(samples),
    }
    for key, value in fields.items():
        below, _, name = key.partition("__")
        if name:
            whole[below][name] = value
        else:
            whole[below] = value
    return whole


def as_json(folder: Path, content: dict[str, Any], name: str = "2026_sums_x.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def as_eval(folder: Path, content: dict[str, Any], name: str = "2026_sums_x.eval") -> Path:
    """Write a log as Inspect does: members for header, samples and reductions."""
    path = folder / name
    head = {key: value for key, value in content.items() if key not in ("samples", "reductions")}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps({"version": 2, "eval": head["eval"]}))
        for each in content["samples"]:
            archive.writestr(f"samples/{each['id']}_epoch_{each['epoch']}.json", json.dumps(each))
        archive.writestr("summaries.json", "[]")
        if "reductions" in content:
            archive.writestr("reductions.json", json.dumps(content["reductions"]))
        archive.writestr("header.json", json.dumps(head))
    return path


def read(path: Path, notes: Notes | None = None) -> Block:
    (block,) = inspect_logs.read(path, notes or Notes())
    return block


def runs(block: Block) -> list[Run]:
    return list(block.runs)


FOUR = [sample("q1", "C"), sample("q2", "I"), sample("q3", "P"), sample(4, "N")]


@pytest.mark.parametrize("write", [as_json, as_eval])
def test_a_log_gives_what_it_says(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path, log(FOUR, scored(0.375)))
    assert Reader().format_of(path) == "inspect"
    block = read(path)
    assert (block.benchmark.name, block.benchmark.url) == (
        "sums",
        "https://huggingface.co/datasets/acme/sums",
    )
    assert [each.item for each in block.items] == ["q1", "q2", "q3", "4"]
    assert (block.items[0].prompt, block.items[0].answer) == ("What is q1?", "4")
    (run,) = runs(block)
    assert run.model == "acme/m"
    assert (run.measure.metric, run.measure.filter) == ("accuracy", "match")
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [1.0, 0.0, 0.5, 0.0]
    assert run.answers == ["C", "I", "P", "N"]
    assert run.input_tokens is not None
    assert run.input_tokens.tolist() == [7, 7, 7, 7]
    assert run.latencies is not None
    assert run.latencies.tolist() == [2000.0] * 4
    assert run.complete
    setup = run.setup
    assert (setup.harness, setup.harness_version, setup.task_version) == ("Inspect", "0.3.150", "2")
    assert (setup.shots, setup.precision, setup.variant) == (5, "bfloat16", None)
    assert setup.details == {"provider": "vllm", "gen_kwargs": "max_tokens=64,temperature=0.5"}


def test_a_latency_is_the_time_of_work_where_it_is_stated(tmp_path: Path) -> None:
    """Without the waits for a server's limits; in milliseconds."""
    times: list[dict[str, Any]] = [
        {"total_time": 5.0, "working_time": 0.25},
        {"total_time": 5.0, "working_time": None},
        {"total_time": None, "working_time": 0.5},
        {"total_time": None},
    ]
    samples = [sample(f"q{n}", "C", **each) for n, each in enumerate(times)]
    (run,) = runs(read(as_json(tmp_path, log(samples, scored(1.0)))))
    assert run.latencies is not None
    np.testing.assert_equal(run.latencies, np.array([250, 5000, 500, np.nan], np.float32))


def test_a_standard_error_is_of_the_only_metric(tmp_path: Path) -> None:
    """Of several it is not stated which one it belongs to."""
    metrics = {
        name: {"name": name, "value": value}
        for name, value in (("accuracy", 0.5), ("stderr", 0.25), ("other", 0.75))
    }
    several = runs(read(as_json(tmp_path, log([], scored(0.5, metrics=metrics)))))
    assert {(run.measure.metric, run.standard_error) for run in several} == {
        ("accuracy", None), ("other", None),
    }  # fmt: skip
    (single,) = runs(read(as_json(tmp_path, log([], scored(0.5)))))
    assert single.standard_error == 0.25


def test_an_import_stores_it(tmp_path: Path, engine: Engine) -> None:
    as_eval(tmp_path, log(FOUR, scored(0.375)))
    (report,) = import_files(engine, [tmp_path])
    assert (report.status, report.format, report.left_out) == ("imported", "inspect", {})
    with engine.connect() as connection:
        assert rows(connection, "SELECT model, score, items, shots FROM registry.runs") == [
            ("acme/m", 0.375, 4, 5)
        ]


@pytest.mark.parametrize(
    ("model", "args", "expected"),
    [
        ("openai/gpt-4o", {}, "openai/gpt-4o"),
        ("openai/azure/gpt-4o", {}, "openai/gpt-4o"),
        ("anthropic/bedrock/claude", {}, "anthropic/claude"),
        ("hf/acme/m", {}, "acme/m"),
        ("together/meta-llama/Llama-3-8B", {}, "meta-llama/Llama-3-8B"),
        ("openrouter/google/gemma-2-9b-it", {}, "google/gemma-2-9b-it"),
        ("openai-api/deepseek/deepseek-chat", {}, "deepseek/deepseek-chat"),
        ("vllm/acme/m:mine/lora", {}, "mine/lora"),
        ("hf/local", {"model_path": "acme/other"}, "acme/other"),
        ("ollama/llama3.1", {}, "ollama/llama3.1"),
    ],
)
def test_whose_result_it_is(
    tmp_path: Path, model: str, args: dict[str, str], expected: str
) -> None:
    content = log(FOUR, scored(0.375), eval__model=model, eval__model_args=args)
    (run,) = runs(read(as_json(tmp_path, content)))
    assert run.model == expected
    assert run.setup.details.get("base") == ("acme/m" if "lora" in model else None)


@pytest.mark.parametrize(
    ("steps", "config", "variant"),
    [
        (["generate"], {}, None),
        (["system_message", "multiple_choice"], {}, None),
        (["acme/react"], {}, "react"),
        (["chain_of_thought", "generate", "self_critique"], {}, "chain_of_thought, self_critique"),
        (["generate"], {"reasoning_effort": "high"}, "reasoning_effort=high"),
        (["use_tools", "generate"], {"best_of": 4}, "use_tools, best_of=4"),
    ],
)
def test_a_system_is_not_its_model(
    tmp_path: Path, steps: list[str], config: dict[str, Any], variant: str | None
) -> None:
    content = log(FOUR, scored(0.375), plan={"steps": [{"solver": s} for s in steps]})
    content["eval"]["model_generate_config"] = config
    (run,) = runs(read(as_json(tmp_path, content)))
    assert run.setup.variant == variant


EPOCHS = [
    sample("a", "C", 1),
    sample("a", "I", 2),
    sample("b", "C", 1),
    sample("b", "C", 2),
]


def test_epochs_are_averaged(tmp_path: Path) -> None:
    content = log(EPOCHS, scored(0.75, reducer="mean"), eval__config={"epochs": 2})
    (run,) = runs(read(as_eval(tmp_path, content)))
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [0.5, 1.0]
    assert run.setup.details["epochs"] == "2"
    assert run.measure.filter == "match"


@pytest.mark.parametrize("write", [as_json, as_eval])
def test_reducers_are_measures_of_their_own(tmp_path: Path, write: Any) -> None:
    content = log(
        EPOCHS,
        scored(0.75, reducer="mean"),
        scored(1.0, reducer="pass_at_2"),
        scored(0.5, reducer="median"),
        eval__config={"epochs": 2},
        reductions=[
            {
                "scorer": "match",
                "reducer": reducer,
                "samples": [
                    {"sample_id": "a", "value": a},
                    {"sample_id": "b", "value": 1.0},
                ],
            }
            for reducer, a in (("mean", 0.5), ("pass_at_2", 1.0))
        ],
    )
    mean, best, median = runs(read(write(tmp_path, content)))
    assert mean.outcomes is not None
    assert mean.outcomes.tolist() == [0.5, 1.0]
    assert best.outcomes is not None
    assert (best.measure.filter, best.outcomes.tolist()) == ("match,pass_at_2", [1.0, 1.0])
    assert (median.measure.filter, median.outcomes, median.score) == ("match,median", None, 0.5)


def test_outcomes_are_those_of_the_stated_score(tmp_path: Path) -> None:
    notes = Notes()
    (run,) = runs(read(as_json(tmp_path, log(FOUR, scored(0.9))), notes))
    assert (run.outcomes, run.score, run.standard_error) == (None, 0.9, 0.25)
    assert notes.counts == {"samples' scores that are not outcomes of the stated score": 1}


def test_samples_without_a_score_are_not_observed(tmp_path: Path) -> None:
    samples = [
        sample("a", "C"),
        sample("b", "I"),
        sample("c", "C", error={"message": "x", "traceback": ""}),
        sample("d", math.nan),
        sample("e", None, scores=None),
    ]
    content = log(samples, scored(0.5), results__completed_samples=4)
    (run,) = runs(read(as_json(tmp_path, content)))
    assert run.outcomes is not None
    np.testing.assert_equal(run.outcomes, np.array([1, 0, np.nan, np.nan, np.nan], np.float32))
    assert not run.complete


def test_a_limited_run_is_not_complete(tmp_path: Path) -> None:
    content = log(FOUR, scored(0.375), eval__config={"limit": 4})
    (run,) = runs(read(as_json(tmp_path, content)))
    assert not run.complete


def test_scorers_with_several_values(tmp_path: Path) -> None:
    samples = [
        sample("a", None, scores={"judge": {"value": {"style": 1, "fact": 0}}}),
        sample("b", None, scores={"judge": {"value": {"style": 0, "fact": 0}}}),
    ]
    content = log(
        samples,
        scored(0.5, "style", scorer="judge"),
        scored(0.0, "fact", scorer="judge"),
    )
    style, fact = runs(read(as_json(tmp_path, content)))
    assert style.measure.filter == "judge/style"
    assert style.outcomes is not None
    assert style.outcomes.tolist() == [1, 0]
    assert fact.outcomes is not None
    assert fact.outcomes.tolist() == [0, 0]


def test_scores_outside_their_scale_are_not_measured(tmp_path: Path, engine: Engine) -> None:
    content = log(FOUR, scored(-1.0), scored(0.5, "other"))
    (report,) = import_files(engine, [as_json(tmp_path, content)])
    what = "scores by accuracy that are not from 0 to 1, so that nothing was measured"
    assert report.left_out[what] == 1
    with engine.connect() as connection:
        assert rows(connection, "SELECT filter, score FROM registry.runs") == [("other", 0.5)]


def test_version_1(tmp_path: Path) -> None:
    samples = [
        sample("a", "C", scores=None, score={"value": "C", "answer": "4"}),
        sample("b", "I", scores=None, score={"value": "I"}),
    ]
    del samples[0]["scores"], samples[1]["scores"]
    content = log(samples, version=1)
    content["results"] = {
        "scorer": {"name": "includes"},
        "metrics": {"accuracy": {"name": "accuracy", "value": 0.5}},
    }
    (run,) = runs(read(as_json(tmp_path, content)))
    assert run.outcomes is not None
    assert (run.measure.filter, run.outcomes.tolist()) == ("includes", [1, 0])


def test_inputs_that_are_conversations(tmp_path: Path) -> None:
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One?"}, {"type": "image"}]},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"},
    ]
    samples = [sample("a", "C", input=asked, target=["x"], choices=["x", "y"])]
    block = read(as_json(tmp_path, log(samples, scored(1.0))))
    assert block.items[0].prompt == "One?\n\nTwo?"
    assert (block.items[0].choices, block.items[0].answer) == (("x", "y"), "x")


def zstd(path: Path) -> None:
    """Rewrite an archive with members compressed by zstd, which zipfile cannot write."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    body, directory = b"", b""
    for name, content in members.items():
        packed = pa.compress(content, "zstd", asbytes=True)
        sizes = struct.pack("<III", zlib.crc32(content), len(packed), len(content))
        common = struct.pack("<HHHHH", 63, 0, 93, 0, 33) + sizes
        names = struct.pack("<HH", len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 63) + common + names
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\3\4" + common + names + name.encode() + packed
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)


def test_members_compressed_by_zstd(tmp_path: Path) -> None:
    path = as_eval(tmp_path, log(FOUR, scored(0.375)))
    expected = runs(read(path))[0].outcomes
    zstd(path)
    np.testing.assert_equal(runs(read(path))[0].outcomes, expected)
    whole = path.read_bytes()
    at = whole.index(b"header.json") + len(b"header.json") + 12
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    with pytest.raises(UnreadableFileError, match="field 'header.json': it cannot be read"):
        read(path)


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "error"}, ", field 'status': the evaluation ended as 'error'"),
        ({"status": "started"}, ", field 'status': the evaluation ended as 'started'"),
        ({"status": 3}, ", field 'status': Expected `str`, got `int`."),
        ({"invalidated": True}, ", field 'invalidated': "),
        ({"results": None}, ", field 'results.scores': there are no scores in it."),
        ({"results": {"scores": [3]}}, ", field 'results.scores[0]': Expected `object`, got `int`"),
        ({"eval__model": " "}, ", field 'eval.model': no model is named."),
        ({"eval__model": ["a"]}, ", field 'eval.model': Expected `str`, got `array`."),
        ({"eval__task": ""}, ", field 'eval.task': no task is named."),
        ({"eval": {"model": "m"}}, ", field 'eval.task': Object missing required field `task`."),
        ({"eval__dataset": 3}, ", field 'eval.dataset': Expected `object`, got `int`."),
    ],
)
@pytest.mark.parametrize("write", [as_json, as_eval])
def test_what_is_refused(tmp_path: Path, write: Any, fields: dict[str, Any], said: str) -> None:
    content = log(FOUR, scored(0.375), **fields)
    problem = refusal(write(tmp_path, content))
    assert problem.replace("header.json: ", "").startswith(said)


def test_samples_that_contradict_each_other(tmp_path: Path) -> None:
    content = log([sample("a", "C"), sample("a", "I")], scored(0.5))
    assert "field 'samples/a_epoch_1': another sample" in refusal(as_json(tmp_path, content))


def test_broken_archives(tmp_path: Path) -> None:
    path = as_eval(tmp_path, log(FOUR, scored(0.375)))
    whole = path.read_bytes()
    with ZipFile(tmp_path / "unfinished.eval", "w") as archive:
        archive.writestr("_journal/start.json", "{}")
    assert "the evaluation did not finish" in refusal(tmp_path / "unfinished.eval")
    with ZipFile(tmp_path / "other.eval", "w") as archive:
        archive.writestr("x", "{}")
    assert ", field 'header.json': there is no such member" in refusal(tmp_path / "other.eval")
    with ZipFile(tmp_path / "bad.eval", "w") as archive:
        archive.writestr("header.json", json.dumps(log([], scored(0.5))))
        archive.writestr("samples/1_epoch_1.json", '{"id": 1, "epoch": "x"}')
    assert ", field 'samples/1_epoch_1.json: epoch': Expected `int`" in refusal(
        tmp_path / "bad.eval"
    )
    path.write_bytes(whole[: len(whole) // 2])
    assert inspect_logs.recognizes(path)
    assert ": it is not a whole zip archive" in refusal(path)


@pytest.mark.parametrize("write", [as_json, as_eval])
def test_a_log_that_is_cut_off_fails(tmp_path: Path, engine: Engine, write: Any) -> None:
    path = write(tmp_path, log(FOUR, scored(0.375)))
    path.write_bytes(path.read_bytes()[:-200])
    (report,) = import_files(engine, [tmp_path])
    assert (report.status, report.format) == ("failed", "inspect")
    assert str(path) in str(report.error)


@given(cut=st.integers(0, 3000), turned=st.integers(0, 255))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, cut: int, turned: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for write in (as_eval, as_json):
        path = write(folder, log(FOUR, scored(0.375)))
        whole = bytearray(path.read_bytes())
        at = cut % len(whole)
        whole[at] ^= turned
        path.write_bytes(whole if turned else whole[:at])
        Reader().format_of(path)
        with suppress(UnreadableFileError):
            list(read(path).runs)


@given(
    values=st.lists(st.sampled_from(["C", "I", "P", "N", 0, 1, 0.25, True]), min_size=1, max_size=9)
)
def test_means_of_outcomes_are_the_stated_ones(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    worth = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
    numbers = [float(worth.get(value, value)) for value in values]
    samples = [sample(f"s{number}", value) for number, value in enumerate(values)]
    mean = sum(numbers) / len(numbers)
    path = as_json(tmp_path_factory.mktemp("log"), log(samples, scored(mean)))
    (run,) = runs(read(path))
    assert run.outcomes is not None
    assert run.outcomes.tolist() == numbers


@given(
    st.lists(st.sampled_from(["C", "I"]), min_size=1, max_size=6),
    st.sampled_from([0.62, 0.5, 1.0]),
    st.booleans(),
    st.sampled_from([1, 2]),
)
def test_a_part_of_the_samples_stays_beside_the_score(
    kept: list[str],
    score: float,
    counted: bool,  # noqa: FBT001 - a fact
    epochs: int,
) -> None:
    """Logs cut for size: the score is of all samples, which the results count."""
    samples = [
        sample(f"q{number}", value, epoch)
        for number, value in enumerate(kept)
        for epoch in range(1, epochs + 1)
    ]
    whole = log(samples, scored(score, scored_samples=1000) if counted else scored(score))
    whole["eval"]["config"] = {"epochs": epochs}
    whole["results"] |= {"total_samples": 1000 * epochs, "completed_samples": 1000 * epochs}
    with TemporaryDirectory() as folder:
        notes = Notes()
        [run] = runs(read(as_json(Path(folder), whole), notes))
    assert notes.counts == {}
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [float(value == "C") for value in kept]
    assert (run.score, run.standard_error, run.items, run.complete) == (score, 0.25, 1000, True)


def test_an_import_keeps_both(tmp_path: Path, engine: Engine) -> None:
    as_eval(tmp_path, log(FOUR, scored(0.62, scored_samples=1000)))
    import_files(engine, [tmp_path])
    with engine.connect() as connection:
        found = "SELECT score, items, outcomes, has_outcomes FROM registry.runs"
        assert rows(connection, found) == [(0.62, 1000, 4, True)]


def test_samples_without_a_score_are_no_part_of_a_log(tmp_path: Path) -> None:
    """All samples are there, and one failed: the score is of those that did not."""
    failed = sample("q3", "I", error={"message": "timeout"})
    nan = sample("q4", math.nan)
    content = log([sample("q1", "C"), sample("q2", "I"), failed, nan], scored(0.5))
    [run] = runs(read(as_json(tmp_path, content)))
    assert (run.score, run.items, run.outcome_count) == (None, None, 2)
