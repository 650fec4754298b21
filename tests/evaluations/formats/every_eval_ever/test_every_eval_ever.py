import hashlib
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import ANY
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import every_eval_ever
from registry.evaluations.formats.detect import Reader
from registry.evaluations.formats.every_eval_ever.writer import write
from registry.evaluations.importer import import_files
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Notes,
    Run,
    Setup,
    Source,
    run_id,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def result(**changes: object) -> dict[str, Any]:
    return {
        "evaluation_name": "gsm8k",
        "source_data": {
            "dataset_name": "gsm8k",
            "source_type": "hf_dataset",
            "hf_repo": "openai/gsm8k",
        },
        "metric_config": {
            "metric_id": "accuracy",
            "metric_unit": "percent",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 100.0,
        },
        "score_details": {
            "score": 56.25,
            "uncertainty": {"standard_error": {"value": 1.5}, "num_samples": 1319},
        },
        "generation_config": {
            "generation_args": {
                "temperature": 0.5,
                "eval_limits": {"time_limit": 3},
                "top_p": None,
            },
            "additional_details": {"num_fewshot": "5"},
        },
        **changes,
    }


def aggregate(*results: object, **changes: object) -> dict[str, Any]:
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "gsm8k/acme/large/1770682486",
        "evaluation_timestamp": "1768964383.5",
        "retrieved_timestamp": "1770682486.623709",
        "source_metadata": {
            "source_type": "evaluation_run",
            "source_organization_name": "Acme Labs",
            "source_organization_url": "https://example.com",
            "evaluator_relationship": "first_party",
        },
        "eval_library": {"name": "lm_eval", "version": "0.4.9"},
        "model_info": {
            "name": "Large",
            "id": "acme/large",
            "inference_engine": {"name": "vllm", "version": "0.9"},
            "additional_details": {"precision": "bfloat16", "deployment_type": "unknown"},
        },
        "evaluation_results": list(results) or [result()],
        **changes,
    }


def row(**changes: object) -> dict[str, Any]:
    return {
        "schema_version": "instance_level_eval_0.3.0",
        "evaluation_id": "gsm8k/acme/large/1770682486",
        "model_id": "acme/large",
        "evaluation_name": "gsm8k",
        "sample_id": "s0",
        "sample_hash": "h0",
        "interaction_type": "single_turn",
        "input": {"raw": "1+1?", "reference": ["2", "two"], "choices": ["1", "2"]},
        "output": {"raw": ["It is 2"]},
        "answer_attribution": [],
        "evaluation": {"score": 1.0, "is_correct": True},
        "token_usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        "performance": {"latency_ms": 12.5},
        **changes,
    }


def lines(directory: Path, *rows: object, name: str = "x_samples.jsonl") -> Path:
    path = directory / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def saved(directory: Path, content: object, *rows: object, **stated: object) -> Path:
    if rows:
        file = lines(directory, *rows)
        assert isinstance(content, dict)
        content["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": file.name,
            "checksum": hashlib.sha256(file.read_bytes()).hexdigest(),
            "total_rows": len(rows),
            **stated,
        }
    path = directory / "x.json"
    path.write_text(json.dumps(content))
    return path


def blocks(path: Path, notes: Notes | None = None) -> list[Block]:
    return list(every_eval_ever.read(path, notes or Notes()))


def only(path: Path, notes: Notes | None = None) -> Run:
    (block,) = blocks(path, notes)
    (run,) = block.runs
    return run


def test_an_aggregate_is_read_with_all_it_says(tmp_path: Path) -> None:
    path = saved(tmp_path, aggregate())
    assert every_eval_ever.recognizes(path)
    (block,) = blocks(path)
    url = "https://huggingface.co/datasets/openai/gsm8k"
    assert block.benchmark == Benchmark(name="gsm8k", url=url)
    (run,) = block.runs
    assert run.measure == Measure(metric="accuracy", upper=100.0, unit="%")
    assert (run.model, run.score, run.standard_error, run.items) == ("acme/large", 56.25, 1.5, 1319)
    assert run.source == Source(name="Acme Labs", url="https://example.com")
    assert run.evaluated_at == datetime(2026, 1, 21, 2, 59, 43, 500_000, UTC)
    assert not run.verified
    assert run.setup == Setup(
        harness="lm_eval",
        harness_version="0.4.9",
        shots=5,
        precision="bfloat16",
        details={
            "evaluator_relationship": "first_party",
            "inference_engine": "vllm",
            "inference_engine_version": "0.9",
            "temperature": "0.5",
            "eval_limits.time_limit": "3",
        },
    )


def test_older_schemas_are_read_with_a_note(tmp_path: Path) -> None:
    old = result(metric_config={"lower_is_better": False, "min_score": 0, "max_score": 1})
    old["score_details"] = {"score": 0.5, "uncertainty": {"standard_error": 0.25}}
    content = aggregate(old, schema_version="0.2.0", retrieved_timestamp="2026-01-01T00:00:00Z")
    del content["evaluation_timestamp"]
    content["model_info"] = {"name": "Large"}
    notes = Notes()
    run = only(saved(tmp_path, content), notes)
    assert (run.model, run.measure, run.standard_error) == ("Large", Measure(metric="score"), 0.25)
    assert run.evaluated_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert len(notes.counts) == 1


@pytest.mark.parametrize(
    ("config", "bounds"),
    [
        ({"score_type": "binary"}, (0, 1)),
        ({"score_type": "levels", "level_names": ["a", "b", "c"]}, (0, 2)),
        ({"metric_id": "accuracy"}, (None, None)),  # 56.25 is not a share
        ({"metric_id": "mine"}, (None, None)),
        ({"min_score": 3, "max_score": 3}, (None, None)),
        ({"min_score": 1}, (1, None)),
    ],
)
def test_bounds_are_what_is_stated_or_follows(
    tmp_path: Path, config: dict[str, Any], bounds: object
) -> None:
    content = aggregate(result(metric_config={"lower_is_better": True, **config}))
    measure = only(saved(tmp_path, content)).measure
    assert (measure.lower, measure.upper) == bounds
    assert not measure.higher_is_better


def test_a_perfect_score_is_a_share(tmp_path: Path) -> None:
    config = {"metric_id": "accuracy", "lower_is_better": False}
    content = aggregate(result(metric_config=config, score_details={"score": 1.0}))
    assert only(saved(tmp_path, content)).measure == Measure(metric="accuracy")


def test_instances_give_items_and_outcomes(tmp_path: Path) -> None:
    second = row(sample_id="s1", sample_hash=None, evaluation={"score": 0, "is_correct": False})
    second |= {"token_usage": None, "performance": None, "output": None}
    second["answer_attribution"] = [{"extracted_value": "3", "is_terminal": True}]
    path = saved(tmp_path, aggregate(), row(), second)
    (block,) = blocks(path)
    assert block.items == [
        Item("h0", "1+1?", ("1", "2"), "2"),
        Item("s1", "1+1?", ("1", "2"), "2"),
    ]
    (run,) = block.runs
    np.testing.assert_array_equal(run.outcomes, [1, 0])
    assert run.answers == ["It is 2", "3"]
    np.testing.assert_array_equal(run.input_tokens, [3, -1])
    np.testing.assert_array_equal(run.output_tokens, [4, -1])
    np.testing.assert_array_equal(run.latencies, [12.5, np.nan])
    # Two of 1,319 items: the score stays as stated.
    assert (run.score, run.items, run.outcome_count) == (56.25, 1319, 2)


def test_instances_belong_to_the_result_that_they_name(tmp_path: Path) -> None:
    share = {"metric_id": "f1", "lower_is_better": False, "min_score": 0, "max_score": 1}
    content = aggregate(
        result(evaluation_result_id="a"),
        result(evaluation_result_id="b", metric_config=share),
    )
    rows = [
        row(evaluation_result_id="b", evaluation={"score": 0.25, "is_correct": False}),
        row(evaluation_result_id="a", evaluation={"score": 75, "is_correct": True}),
        row(evaluation={"score": 0.5, "is_correct": True}),
    ]
    notes = Notes()
    (block,) = blocks(saved(tmp_path, content, *rows), notes)
    outcomes = {run.measure.metric: run.outcomes for run in block.runs}
    assert outcomes == {"accuracy": [0.75], "f1": [0.25], "score": [0.5]}
    assert sum(notes.counts.values()) == 1


def test_a_sample_that_the_data_set_holds_twice_counts_twice(tmp_path: Path) -> None:
    wrong = {"score": 0.0, "is_correct": False}
    rows = [row(), row(sample_id="s7", evaluation=wrong), row(sample_id="s9"), row(sample_id="s7",
            evaluation=wrong)]  # fmt: skip
    notes = Notes()
    (block,) = every_eval_ever.read(lines(tmp_path, *rows), notes)
    assert [item.item for item in block.items] == ["h0", "h0/2", "h0/3"]
    (run,) = block.runs
    np.testing.assert_array_equal(run.outcomes, [1, 0, 1])
    assert notes.counts == {"instances that repeat another one": 1}


def test_attempts_are_averaged_and_contradictions_are_errors(tmp_path: Path) -> None:
    wrong = {"score": 0.0, "is_correct": False}
    attempts = [row(metadata={"epoch": "1"}), row(metadata={"epoch": "2"}, evaluation=wrong)]
    path = lines(tmp_path, *attempts, attempts[0])
    notes = Notes()
    run = only(path, notes)
    assert run.outcomes == [0.5]
    assert notes.counts == {"instances that repeat another one": 1}
    with pytest.raises(UnreadableFileError, match="line 2, field 'evaluation.score'"):
        blocks(lines(tmp_path, row(), row(evaluation=wrong)))


def test_instances_alone_are_enough(tmp_path: Path) -> None:
    path = lines(tmp_path, row(), row(model_id="other", sample_hash="h1"), row(evaluation_name="b"))
    assert every_eval_ever.recognizes(path)
    first, second = blocks(path)
    assert (first.benchmark.name, second.benchmark.name) == ("gsm8k", "b")
    runs = {run.model: run for run in first.runs}
    np.testing.assert_array_equal(runs["acme/large"].outcomes, [1, np.nan])
    np.testing.assert_array_equal(runs["other"].outcomes, [np.nan, 1])
    assert runs["other"].source == Source(name="every_eval_ever")


def test_scores_beyond_their_scale_count_as_right_or_wrong(tmp_path: Path) -> None:
    path = lines(tmp_path, row(evaluation={"score": 7, "is_correct": True}))
    assert only(path).outcomes == [1]
    notes = Notes()
    path = lines(tmp_path, row(evaluation={"score": 7}))
    (block,) = blocks(path, notes)
    assert list(block.runs) == []
    assert sum(notes.counts.values()) == 1


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"checksum": "0" * 64}, "x_samples.jsonl: its checksum is not the one"),
        ({"total_rows": 3}, "there are 1 rows, not 3"),
    ],
)
def test_other_instances_than_the_aggregates_are_refused(
    tmp_path: Path, stated: dict[str, object], message: str
) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        blocks(saved(tmp_path, aggregate(), row(), **stated))


@pytest.mark.parametrize("name", ["../up.jsonl", "/etc/passwd", "absent.jsonl", "a\0b", 3])
def test_instances_are_looked_for_below_the_aggregate_only(tmp_path: Path, name: object) -> None:
    below = tmp_path / "below"
    below.mkdir()
    lines(tmp_path, {"not": "read"}, name="up.jsonl")
    content = aggregate(detailed_evaluation_results={"file_path": name})
    assert only(saved(below, content)).outcomes is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": "1.0"}, "field 'schema_version'"),
        ({"schema_version": None}, "field 'schema_version'"),
        ({"model_info": {"id": " "}}, "field 'model_info.id'"),
        ({"source_metadata": {}}, "source_organization_name"),
        ({"evaluation_results": {}}, "field 'evaluation_results'"),
        ({"evaluation_results": [3]}, r"field 'evaluation_results\[0\]'"),
        ({"evaluation_results": [{}]}, r"evaluation_results\[0\].evaluation_name"),
        ({"evaluation_results": [{"evaluation_name": "a"}]}, "metric_config.lower_is_better"),
    ],
)
def test_what_lacks_what_is_needed_is_an_error(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        blocks(saved(tmp_path, aggregate(**changes)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no instances"),
        ("{", "line 1: this is not JSON"),
        (json.dumps(row(model_id=None)), "line 1, field 'model_id'"),
        (json.dumps(row(evaluation_name=[])), "line 1, field 'evaluation_name'"),
        (json.dumps(row(sample_id=3, sample_hash=None)), "line 1, field 'sample_id'"),
        (json.dumps(row(evaluation=None)), "line 1, field 'evaluation'"),
    ],
)
def test_what_is_no_instance_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(UnreadableFileError, match=message):
        blocks(path)


def test_other_files_are_not_taken_for_it(tmp_path: Path) -> None:
    assert not every_eval_ever.recognizes(lines(tmp_path, {"doc_id": 0}))
    assert not every_eval_ever.recognizes(lines(tmp_path, {"results": {}}, name="a.json"))
    assert not every_eval_ever.recognizes(lines(tmp_path, aggregate(), name="a.txt"))
    assert not every_eval_ever.recognizes(tmp_path / "absent.json")


RUN = Run(
    model="acme/large",
    measure=Measure(metric="exact_match", filter="strict-match", random_baseline=0.25),
    source=Source(name="Acme Labs", url="https://example.com"),
    setup=Setup(
        harness="lm-eval",
        harness_version="0.4.9",
        task_version="3",
        shots=5,
        prompt_template="41e4",
        chat_template="",
        precision="bfloat16",
        details={"temperature": "0.5", "evaluator_relationship": "third_party"},
    ),
    revision="v1",
    evaluated_at=datetime(2026, 1, 21, 3, 44, 18, 458_309, UTC),
)
STATED = ("model", "measure", "source", "setup", "revision", "evaluated_at", "complete")
SCORED = ("score", "standard_error", "items")


def facts(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in (*STATED, *SCORED)}


def test_scores_are_written_and_read_again_as_they_were(tmp_path: Path) -> None:
    plain = Setup()
    measure = Measure(metric="elo", lower=None, upper=None, unit="Elo")
    percent = Measure(metric="accuracy", upper=100.0, unit="%", higher_is_better=False)
    runs = [
        replace(RUN, score=0.1, standard_error=0.03, items=10, complete=False),
        replace(RUN, score=1200.5, measure=measure, setup=plain),
        replace(RUN, score=12.0, measure=percent),
        replace(RUN, score=0.5, measure=Measure(metric="acc", lower=None, upper=None)),
    ]
    benchmark = Benchmark(name="a", version="2", domain="math", url="https://example.com/a")
    paths = write([Block(benchmark=benchmark, runs=iter(runs))], tmp_path, now=NOW)
    assert len(paths) == 2
    assert all(every_eval_ever.recognizes(path) for path in paths)
    again = [block for path in paths for block in blocks(path)]
    assert {block.benchmark for block in again} == {benchmark}
    found = sorted((run for block in again for run in block.runs), key=lambda run: run.score or 0)
    wanted = sorted(runs, key=lambda run: run.score or 0)
    assert [facts(run) for run in found] == [facts(run) for run in wanted]


def test_outcomes_are_written_and_read_again_as_they_were(tmp_path: Path) -> None:
    items = [Item("h0", "1+1?", ("2", "3"), "2", "math"), Item("h1", "2+2?"), Item("h2")]
    outcomes = np.array([1, np.nan, 0.25], np.float32)
    full = replace(
        RUN,
        outcomes=outcomes,
        answers=["2", None, "x"],
        input_tokens=np.array([5, -1, 7], np.int32),
        output_tokens=np.array([1, -1, 2], np.int32),
        latencies=np.array([0.5, np.nan, 2], np.float32),
    )
    percent = replace(
        RUN, outcomes=outcomes[::-1], measure=Measure(metric="f1", upper=100.0, unit="%")
    )
    cost = replace(
        RUN, outcomes=np.ones(3, np.float32), measure=Measure(metric="b", higher_is_better=False)
    )
    block = Block(benchmark=Benchmark(name="t"), items=items, runs=[full, percent, cost])
    aggregate_path, instances = write([block], tmp_path, now=NOW)
    assert every_eval_ever.recognizes(instances)
    (again,) = blocks(aggregate_path)
    order = [list(again.items).index(item) for item in items]
    for run, wanted in zip(again.runs, [full, percent, cost], strict=True):
        stated = replace(wanted, score=wanted.raw_score(), items=wanted.outcome_count)
        assert facts(run) == facts(stated)
        np.testing.assert_allclose(run.outcomes[order], wanted.outcomes)  # type: ignore[index, arg-type]
        for name in ("input_tokens", "output_tokens", "latencies"):
            present = getattr(wanted, name)
            if present is None:
                assert getattr(run, name) is None
            else:
                np.testing.assert_array_equal(getattr(run, name)[order], present)
    first, *_ = again.runs
    assert first.answers is not None
    assert [first.answers[position] for position in order] == ["2", None, "x"]


def test_writing_again_replaces_what_was_written(tmp_path: Path) -> None:
    run = replace(RUN, outcomes=np.ones(1, np.float32))
    block = Block(benchmark=Benchmark(name="t"), items=[Item("a")], runs=[run])
    paths = write([block], tmp_path, now=NOW)
    assert write([block], tmp_path, now=NOW) == paths
    (again,) = blocks(paths[0])
    assert len(again.items) == 1


def test_what_the_schema_requires_is_there(tmp_path: Path) -> None:
    run = replace(RUN, outcomes=np.ones(1, np.float32), setup=Setup())
    block = Block(benchmark=Benchmark(name="t"), items=[Item("a")], runs=[run])
    path, instances = write([block], tmp_path, now=NOW)
    content, first = json.loads(path.read_text()), json.loads(instances.read_text())
    assert content.keys() >= {"schema_version", "evaluation_id", "retrieved_timestamp"}
    assert content["source_metadata"]["evaluator_relationship"] == "other"
    assert content["eval_library"] == {"name": "unknown", "version": "unknown"}
    about = content["model_info"]["additional_details"]
    assert about.keys() >= {"deployment_type", "model_availability"}
    (entry,) = content["evaluation_results"]
    assert entry.keys() >= {"evaluation_name", "source_data", "metric_config", "score_details"}
    assert entry["metric_config"]["lower_is_better"] is False
    assert entry["score_details"]["score"] == 1
    assert content["detailed_evaluation_results"]["total_rows"] == 1
    assert first["evaluation_id"] == content["evaluation_id"]
    needed = {"model_id", "evaluation_name", "sample_id", "interaction_type", "answer_attribution"}
    assert first.keys() >= needed
    assert first["input"] == {"raw": "", "reference": [], "choices": None}
    assert first["evaluation"] == {"score": 1, "is_correct": True}


def readable(directory: str, content: object, *rows: object) -> None:
    path = Path(directory) / "x.json"
    if rows:
        lines(Path(directory), *rows)
    path.write_text(json.dumps(content))
    try:
        for block in blocks(path):
            for run in block.runs:
                assert run.outcomes is None or len(run.outcomes) == len(block.items)
    except UnreadableFileError:
        return


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(aggregate())), ANY, max_size=2),
    st.dictionaries(st.sampled_from(list(result())), ANY, max_size=2),
    st.lists(st.dictionaries(st.sampled_from(list(row())), ANY, max_size=2), max_size=3),
)
def test_any_json_gives_blocks_or_a_clear_error(
    whole: dict[str, object], part: dict[str, object], rows: list[dict[str, object]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        content = aggregate(result(**part), **whole)
        content["detailed_evaluation_results"] = {"file_path": "x_samples.jsonl"}
        readable(directory, content, *(row(**changes) for changes in rows))


def measured(path: Path, notes: Notes | None = None) -> list[tuple[str, str, float | None]]:
    return sorted(
        (block.benchmark.name, run.measure.filter, run.score)
        for block in blocks(path, notes)
        for run in block.runs
    )


def test_results_that_contradict_each_other_are_left_out_and_named(tmp_path: Path) -> None:
    other = result(score_details={"score": 60.0})
    good = result(evaluation_name="arc")
    notes = Notes()
    found = measured(saved(tmp_path, aggregate(result(), other, good)), notes)
    assert found == [("arc", "", 56.25)]
    assert notes.counts == {"scores of gsm8k that contradict each other": 2}
    assert len(blocks(saved(tmp_path, aggregate(result(), result())))) == 1


def scored(score: float, name: str = "Mean score", **details: str) -> dict[str, Any]:
    return result(evaluation_name=name, score_details={"score": score, "details": details})


def test_the_tab_of_a_leaderboard_is_part_of_its_measure(tmp_path: Path) -> None:
    seconds = scored(191.7, tab="Efficiency")
    seconds["metric_config"] = {**seconds["metric_config"], "max_score": 450.0}
    content = aggregate(scored(47.5, tab="Accuracy"), scored(30, "QA", tab="Accuracy"), seconds)
    assert measured(saved(tmp_path, content)) == [
        ("Mean score", "Accuracy", 47.5), ("Mean score", "Efficiency", 191.7),
        ("QA", "Accuracy", 30.0),
    ]  # fmt: skip
    alone = aggregate(scored(47.5, tab="Accuracy"))
    assert measured(saved(tmp_path, alone)) == [("Mean score", "Accuracy", 47.5)]


DISTINCTIONS = ("tab", "split", "subset", "scale", "unit", "judge", "hf_split", "flat", "k")


def distinct(kind: str, number: int, score: float) -> dict[str, Any]:
    """Return a result that one fact distinguishes from others of its name."""
    entry = scored(score)
    match kind:
        case "scale":
            entry["metric_config"] = {**entry["metric_config"], "max_score": 200.0 + number}
        case "unit":
            entry["metric_config"] = {**entry["metric_config"], "metric_unit": f"u{number}"}
        case "hf_split":
            entry["source_data"] = {**entry["source_data"], "hf_split": f"s{number}"}
        case "flat":
            entry["generation_config"] = {"subset": f"s{number}", "use_few_shot": "false"}
        case _:
            entry["score_details"]["details"] = {kind: f"{number}"}
    return entry


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DISTINCTIONS),
            st.lists(st.integers(0, 99).map(float), min_size=2, max_size=4),
        ),
        max_size=3,
        unique_by=lambda each: each[0],
    ),
    st.lists(st.integers(0, 99).map(float), min_size=1, max_size=3),
    st.randoms(),
)
def test_results_that_the_file_distinguishes_are_kept_apart(
    families: list[tuple[str, list[float]]], repeated: list[float], random: Any
) -> None:
    """And what nothing distinguishes costs itself alone."""
    entries = [result(evaluation_name="twice", score_details={"score": each}) for each in repeated]
    for kind, values in families:
        for number, score in enumerate(values):
            entry = distinct(kind, number, score)
            entries.append({**entry, "evaluation_name": f"of {kind}"})
    random.shuffle(entries)
    with tempfile.TemporaryDirectory() as directory:
        notes = Notes()
        path = saved(Path(directory), aggregate(*entries))
        read = blocks(path, notes)
    contradicting = len(set(repeated)) > 1
    for kind, values in families:
        (block,) = (each for each in read if each.benchmark.name == f"of {kind}")
        runs = list(block.runs)
        assert sorted(run.score or 0 for run in runs) == sorted(values)
        keys = {run_id(block.benchmark, run, run.setup.fingerprint()) for run in runs}
        assert len(keys) == len(values)
        assert len({run.measure.filter for run in runs}) == len(values)
    assert ("twice" in [each.benchmark.name for each in read]) != contradicting
    assert notes.counts == (
        {"scores of twice that contradict each other": len(repeated)} if contradicting else {}
    )


@pytest.mark.parametrize(
    ("arguments", "variant"),
    [
        ({}, None),
        ({"reasoning": True}, None),
        ({"reasoning_effort": "high"}, "reasoning_effort=high"),
        ({"max_attempts": 1, "agentic_eval_config": {"available_tools": []}}, None),
        (
            {"max_attempts": 3, "agentic_eval_config": {"available_tools": [
                {"name": "python"}, {"name": "bash"}, 3]}},
            "tools bash+python, max_attempts=3",
        ),
        ({"agent": "OpenHands"}, "agent OpenHands"),
        ({"scaffold": "SWE-agent", "reasoning_effort": "low"},
            "agent SWE-agent, reasoning_effort=low"),
        ({"sampling_strategy": "best_of_n", "n": 16}, "best-of-16"),
        ({"sampling_strategy": "majority-vote", "num_samples": 64}, "maj@64"),
        ({"sampling_strategy": "nucleus", "n": 16}, None),
        ({"best_of": 4}, "best-of-4"),
        ({"thinking_budget": 1024}, "thinking_budget=1024"),
    ],
)  # fmt: skip
def test_systems_are_variants(
    tmp_path: Path, arguments: dict[str, object], variant: str | None
) -> None:
    entry = result(generation_config={"generation_args": arguments})
    assert only(saved(tmp_path, aggregate(entry))).setup.variant == variant


def test_an_agent_that_the_model_is_described_with_is_a_variant(tmp_path: Path) -> None:
    content = aggregate(result())
    content["model_info"]["additional_details"] = {"agent_name": "mini-swe"}
    assert only(saved(tmp_path, content)).setup.variant == "agent mini-swe"


@given(st.lists(st.sampled_from(["data", "a", "b c", "x"]), max_size=3), st.booleans())
def test_instances_of_the_canonical_layout_are_read_once(below: list[str], beside: bool) -> None:  # noqa: FBT001 - generated
    """Their path is rooted at the repository, wherever that is."""
    with tempfile.TemporaryDirectory() as directory:
        repository = Path(directory) / "data" / "clone"
        folder = repository.joinpath("data", "bench", "acme", *below)
        place = folder if beside else repository / "data" / "samples"
        folder.mkdir(parents=True)
        place.mkdir(exist_ok=True)
        file = lines(place, row())
        stated = str(file.relative_to(repository))
        content = aggregate(detailed_evaluation_results={"file_path": stated, "total_rows": 1})
        path = saved(folder, content)
        read = Reader().without_parts([path, file])
        assert read == [path]
        notes = Notes()
        (block,) = blocks(path, notes)
        assert (len(block.items), notes.counts) == (1, {})


def test_instances_that_were_read_alone_before_are_read_once(
    engine: Engine, tmp_path: Path
) -> None:
    path = saved(tmp_path, aggregate(), row(), row(sample_id="s1", sample_hash="h1"))
    rows = path.with_name("x_samples.jsonl")
    query = "SELECT source, metric FROM registry.runs"
    [report] = import_files(engine, [rows])
    assert (report.error, report.written.runs) == (None, 1)
    [report] = import_files(engine, [path])
    assert (report.error, report.replaced) == (None, {str(rows): 1})
    with engine.connect() as connection:
        assert connection.exec_driver_sql(query).all() == [("Acme Labs", "accuracy")]
        changes = connection.exec_driver_sql("SELECT reason FROM store.score_changes")
        assert changes.scalars().all() == [f"read with {path}"]
    [report] = import_files(engine, [tmp_path])
    assert (report.status, report.replaced) == ("unchanged", {})
