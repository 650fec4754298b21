import gzip
import json
import tempfile
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import ANY

from registry.errors import RegistryError, UnreadableFileError
from registry.evaluations.formats import lm_eval
from registry.evaluations.formats.lm_eval import item_spool
from registry.evaluations.records import Block, Item, Notes, Run, Setup
from registry.evaluations.scales.measured import measured

TIME = "2026-01-21T03-44-18.458309"
SHA = "0123456789abcdef0123456789abcdef01234567"


def report(**changes: object) -> dict[str, Any]:
    return {
        "results": {
            "gsm8k": {
                "alias": " - gsm8k",
                "exact_match,strict-match": 0.25,
                "exact_match_stderr,strict-match": 0.125,
                "exact_match,flexible-extract": 0.5,
                "exact_match_stderr,flexible-extract": "N/A",
            },
            "wikitext": {"alias": "wikitext", "word_perplexity,none": 17.5},
        },
        "configs": {"gsm8k": {"dataset_path": "openai/gsm8k", "num_fewshot": 4}},
        "versions": {"gsm8k": 3.0},
        "n-shot": {"gsm8k": 5},
        "higher_is_better": {"gsm8k": {"exact_match": True}},
        "n-samples": {"gsm8k": {"original": 8, "effective": 8}},
        "config": {
            "model": "hf",
            "model_args": "pretrained=acme/base,dtype=auto,load_in_8bit=True",
            "model_dtype": "torch.bfloat16",
            "model_revision": "main",
            "model_sha": SHA,
            "limit": None,
        },
        "date": 1768964383.5,
        "git_hash": "1f84a09f",
        "lm_eval_version": "0.4.9.2",
        "task_hashes": {"gsm8k": "41e4"},
        "chat_template": "{{ messages }}",
        "chat_template_sha": "c0ffee",
        "fewshot_as_multiturn": True,
        "system_instruction_sha": None,
        **changes,
    }


def sample(**changes: object) -> dict[str, Any]:
    return {
        "doc_id": 0,
        "doc": {"question": "1+1?"},
        "target": "#### 2",
        "arguments": {"gen_args_0": {"arg_0": "Q: 1+1?\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [["It is 2"]],
        "filtered_resps": ["2"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "doc_hash": "h0",
        "prompt_hash": "p0",
        "target_hash": "t0",
        "exact_match": 1.0,
        **changes,
    }


def written(directory: Path, name: str, *rows: object) -> Path:
    path = directory / "acme__base" / name
    path.parent.mkdir(exist_ok=True)
    if name.startswith("samples_t."):
        beside(path.parent)
    content = "\n".join(json.dumps(row) for row in rows).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def beside(directory: Path) -> None:
    """Write the results file of samples whose names have no time."""
    content = report(results={"t": {"alias": "t"}}, configs={})
    (directory / "results.json").write_text(json.dumps(content))


def blocks(path: Path, notes: Notes | None = None) -> dict[str, Block]:
    return {block.benchmark.name: block for block in lm_eval.read(path, notes or Notes())}


def by_metric(block: Block) -> dict[tuple[str, str], Run]:
    return {(run.measure.metric, run.measure.filter): run for run in block.runs}


def only(path: Path) -> Run:
    runs = [run for block in lm_eval.read(path, Notes()) for run in block.runs]
    assert len(runs) == 1
    return runs[0]


def test_a_results_file_gives_a_run_for_each_metric_and_filter(tmp_path: Path) -> None:
    path = written(tmp_path, f"results_{TIME}.json", report())
    assert lm_eval.recognizes(path)
    read = blocks(path)
    assert list(read) == ["gsm8k", "wikitext"]
    assert read["gsm8k"].benchmark.url == "https://huggingface.co/datasets/openai/gsm8k"
    runs = by_metric(read["gsm8k"])
    strict = runs["exact_match", "strict-match"]
    assert (strict.score, strict.standard_error, strict.items) == (0.25, 0.125, 8)
    assert (strict.model, strict.revision, strict.complete) == ("acme/base", SHA, True)
    assert strict.evaluated_at == datetime(2026, 1, 21, 2, 59, 43, 500_000, UTC)
    assert strict.source.name == "lm-eval"
    assert strict.outcomes is None
    assert strict.setup == Setup(
        harness="lm-eval",
        harness_version="0.4.9.2",
        task_version="3.0",
        shots=5,
        prompt_template="41e4",
        chat_template="c0ffee",
        precision="bfloat16",
        details={"fewshot_as_multiturn": "True", "load_in_8bit": "True"},
    )
    flexible = runs["exact_match", "flexible-extract"]
    assert (flexible.score, flexible.standard_error) == (0.5, None)
    perplexity = by_metric(read["wikitext"])["word_perplexity", ""]
    assert (perplexity.measure.lower, perplexity.measure.upper) == (0, None)
    assert not perplexity.measure.higher_is_better
    assert perplexity.items is None


def test_the_layout_before_0_4_is_read(tmp_path: Path) -> None:
    old = {
        "results": {"sciq": {"acc": 0.75, "acc_stderr": 0.01, "acc_norm": 0.5}},
        "versions": {"sciq": 0},
        "config": {
            "model": "gpt2",
            "model_args": "use_fast=True,pretrained=acme/old,revision=step1000,dtype=float16",
            "num_fewshot": 5,
            "limit": None,
        },
    }
    path = written(tmp_path, "1.4b_step1000.json", old)
    assert lm_eval.recognizes(path)
    runs = by_metric(blocks(path)["sciq"])
    assert runs["acc", ""].standard_error == 0.01
    assert (runs["acc_norm", ""].score, runs["acc_norm", ""].standard_error) == (0.5, None)
    assert (runs["acc", ""].model, runs["acc", ""].revision) == ("acme/old", "step1000")
    setup = runs["acc", ""].setup
    assert (setup.shots, setup.task_version, setup.precision) == (5, "0", "float16")
    assert setup.chat_template is None
    assert runs["acc", ""].evaluated_at is None


def test_groups_are_benchmarks_and_are_read_once(tmp_path: Path) -> None:
    group = {"alias": "mmlu", "acc,none": 0.5, "acc_stderr,none": 0.1}
    content = report(
        results={
            "mmlu": group,
            "a": {"acc,none": 0.25},
            "b": {"acc,none": 0.75},
            "tag": {" ": " "},
        },
        groups={"mmlu": group, "other": {"acc,none": 0.5}},
        group_subtasks={"mmlu": ["a", "sub"], "sub": ["b", "mmlu"], "a": []},
        **{"n-samples": {t: {"original": 10, "effective": 4} for t in "ab"}},
    )
    read = blocks(written(tmp_path, "results.json", content))
    assert list(read) == ["mmlu", "a", "b", "other"]
    (run,) = read["mmlu"].runs
    assert (run.score, run.items, run.complete) == (0.5, 8, False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"n-samples": {"t": {"original": 8, "effective": 3}}}, (3, False)),
        (
            {"n-samples": {"t": {"original": 8, "effective": 8}}, "config": {"limit": 100}},
            (8, True),
        ),
        ({"n-samples": {}, "config": {"limit": 0.5}}, (None, False)),
        ({"n-samples": {"t": {"original": "8", "effective": 3}}}, (3, True)),
    ],
)
def test_limited_runs_are_distinguished_from_full_ones(
    tmp_path: Path, changes: dict[str, Any], expected: object
) -> None:
    content = report(results={"t": {"acc,none": 0.5}}, **changes)
    run = only(written(tmp_path, "results.json", content))
    assert (run.items, run.complete) == expected


@pytest.mark.parametrize(
    ("changes", "model", "revision", "base"),
    [
        (
            {"model_args": "pretrained=a/base,peft=a/lora", "model_sha": SHA},
            *("a/lora", None, "a/base"),
        ),
        (
            {"model_args": {"pretrained": "a/b", "peft": "a/l"}, "peft_sha": SHA},
            *("a/l", SHA, "a/b"),
        ),
        ({"model_args": {"model": "gpt-x"}, "model_revision": "v1"}, "gpt-x", "v1", None),
        ({"model_args": "", "model_name": "named"}, "named", None, None),
        ({"model_args": "a\0b=,pretrained=x\0y"}, "x\ufffdy", None, None),
        ({"model_args": ["pretrained=x"], "model_sha": "short"}, "x", None, None),
    ],
)
def test_the_model_is_named_by_its_arguments(
    tmp_path: Path, changes: dict[str, Any], model: str, revision: str | None, base: str | None
) -> None:
    content = report(results={"t": {"acc,none": 0.5}}, config=changes)
    run = only(written(tmp_path, "results.json", content))
    assert (run.model, run.revision, run.setup.details.get("base")) == (model, revision, base)


def test_no_chat_template_is_not_an_unknown_one(tmp_path: Path) -> None:
    content = report(results={"t": {"acc": 0.5}}, chat_template=None, chat_template_sha=None)
    assert only(written(tmp_path, "results.json", content)).setup.chat_template == ""


@pytest.mark.parametrize(
    "value",
    ["[1]", '{"a": 1}', "NaN", "Infinity", "true", "1e300", "9" * 300, "null", '"high"', '"N/A"'],
)
def test_what_is_no_score_is_left_out_with_a_note(tmp_path: Path, value: str) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"versions": {}, "results": {"t": {"acc": ' + value + "}}}")
    notes = Notes()
    with pytest.raises(UnreadableFileError, match="'results': nothing in it is usable: scores"):
        blocks(path, notes)
    assert sum(notes.counts.values()) == 1
    path.write_text('{"versions": {}, "results": {"t": {"em": 0.5, "acc": ' + value + "}}}")
    notes = Notes()
    (run,) = blocks(path, notes)["t"].runs
    assert (run.measure.metric, sum(notes.counts.values())) == ("em", 1)


def test_texts_that_are_no_scores_are_not_counted_as_some(tmp_path: Path) -> None:
    scores = {
        "alias": " - t",
        "name": "t",
        "description": "sums",
        " ": " ",
        "acc,none": 0.5,
        "acc_stderr,none": "N/A",
        "bypass,none": "N/A",
    }
    notes = Notes()
    read = blocks(written(tmp_path, "results.json", report(results={"t": scores})), notes)
    assert set(by_metric(read["t"])) == {("acc", "")}
    assert notes.counts == {}
    del scores["acc,none"]
    assert blocks(written(tmp_path, "results.json", report(results={"t": scores})), notes) == {}
    assert notes.counts == {}
    content = report(results={"t": {**scores, "acc,none": "high", "f1,none": 0.5}})
    read = blocks(written(tmp_path, "results.json", content), notes)
    assert set(by_metric(read["t"])) == {("f1", "")}
    assert notes.counts == {"scores of t by acc,none: 'high' is not a finite number": 1}


def test_scores_beyond_the_bounds_of_their_measure_are_left_out(tmp_path: Path) -> None:
    scores = {
        "acc,none": 61.2,
        "exact_match,strict": -0.5,
        "mcc,none": -0.5,
        "bleu,none": 31.5,
        "word_perplexity,none": 1e6,
        "unheard_of,none": -12.5,
        "byte_perplexity,none": -1,
    }
    others = {"f1,none": 1 + 1e-15, "acc_norm,none": 0, "em,none": 999, "acc,none": 0.6}
    results = {"t": scores, "others": others}
    path = written(tmp_path, "results.json", report(results=results))
    notes = Notes()
    runs = [run for block in measured(lm_eval.read(path, notes), notes) for run in block.runs]
    assert {run.measure.metric: run.score for run in runs} == {
        "mcc": -0.5,
        "bleu": 31.5,
        "word_perplexity": 1e6,
        "unheard_of": -12.5,
        "f1": 1 + 1e-15,
        "acc_norm": 0,
    }
    assert len(notes.counts) == 4
    # The task states no shares, as acc shows; nor does the file by acc.
    doubtful = [what for what in notes.counts if "some in the file are above 1" in what]
    assert [what.split(":")[0] for what in doubtful] == ["scores by acc", "scores by exact_match"]
    assert notes.counts[doubtful[0]] == 2
    assert [what for what in notes.counts if what not in doubtful] == [
        "scores by byte_perplexity that are not from 0 to inf, so that nothing was measured",
        "scores by em that are not from 0 to 1, so that nothing was measured",
    ]
    path = written(tmp_path, "results.json", report(results={"t": {"acc,none": 61.2}}))
    message = "a.json: nothing in it is usable: there are scores above 1 by acc.*--scale percent"
    read = measured(lm_eval.read(path, Notes()), Notes(), file="a.json")
    with pytest.raises(RegistryError, match=message):
        list(read)


def test_samples_give_items_and_outcomes_for_each_metric_and_filter(tmp_path: Path) -> None:
    written(tmp_path, f"results_{TIME}.json", report())
    flexible = {"filter": "flexible-extract", "exact_match": 0.0, "filtered_resps": ["It"]}
    rows = [
        sample(doc_id=1, doc_hash="h1", exact_match=False, doc={"choices": ["a", "b"]}, target=1),
        sample(**flexible),
        sample(),
        sample(doc_id=1, doc_hash="h1", **flexible | {"exact_match": None}),
    ]
    path = written(tmp_path, f"samples_gsm8k_{TIME}.jsonl", *rows)
    assert lm_eval.recognizes(path)
    block = blocks(path)["gsm8k"]
    prompt = "Q: 1+1?\nA:"
    assert list(block.items) == [
        Item("h1", prompt, ("a", "b"), "1"),
        Item("h0", prompt, (), "#### 2"),
    ]
    runs = by_metric(block)
    strict, flexible_run = (
        runs["exact_match", "strict-match"],
        runs["exact_match", "flexible-extract"],
    )
    assert strict.outcomes is not None
    assert strict.outcomes.dtype == np.float32
    np.testing.assert_array_equal(strict.outcomes, [0, 1])
    np.testing.assert_array_equal(flexible_run.outcomes, [np.nan, 0])
    assert flexible_run.answers == ["It", "It"]
    assert (strict.model, strict.setup.shots) == ("acme/base", 5)
    # Two samples of eight are a part of the result.
    assert (strict.score, strict.items, strict.complete) == (0.25, 8, True)


def test_long_texts_do_not_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that 20 MB are as much as gigabytes are to the real limit.
    monkeypatch.setattr(item_spool, "IN_MEMORY", 1 << 16)
    count, length = 200, 100_000
    rows = (
        sample(doc_hash=f"h{n}", arguments={"gen_args_0": {"arg_0": f"{n:06}" * (length // 6)}})
        for n in range(count)
    )
    path = written(tmp_path, "samples_t.jsonl", *rows)
    del rows
    tracemalloc.start()
    try:
        block = blocks(path)["t"]
        lengths = [len(item.prompt or "") for item in block.items]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) > count * length * 0.99
    assert peak < sum(lengths) / 5


def test_items_kept_aside_are_those_that_were_put_there() -> None:
    spool = item_spool.ItemSpool()
    items = [Item(f"i{n}", "é" * n, ("a", "b")[: n % 3], None, f"d{n}") for n in range(10)]
    for n, item in enumerate(items):
        spool.append(item)
        assert spool[n // 2] == items[n // 2]
    assert (list(spool), len(spool)) == (items, 10)
    assert (spool[-1], spool[2:5]) == (items[-1], items[2:5])
    with pytest.raises(IndexError):
        spool[10]


def test_samples_alone_are_of_no_known_model(tmp_path: Path) -> None:
    path = written(tmp_path, f"samples_a_b_{TIME}.jsonl.gz", sample(filter="none"))
    notes = Notes()
    block = blocks(path, notes)["a_b"]
    (run,) = block.runs
    assert (run.model, run.measure.filter, run.complete) == ("", "", True)
    assert run.evaluated_at == datetime(2026, 1, 21, 3, 44, 18, 458_309, UTC)
    assert notes.counts == {
        "files of samples without their results file: their setups are unknown": 1
    }


def test_samples_of_the_first_0_4_are_a_list_beside_results_json(tmp_path: Path) -> None:
    written(tmp_path, "results.json", report(results={"arc": {}, "arc_easy": {"acc,none": 0.5}}))
    old = {
        "doc_id": 0,
        "doc": {"choices": {"text": ["x", "y"], "label": ["A", "B"]}},
        "target": 0,
        "arguments": [["Q", " x"], ["Q", " y"]],
        "resps": [[[-1.5, False]], [[-0.5, True]]],
        "filtered_resps": [[-1.5, False], [-0.5, True]],
        "acc": 1.0,
        "acc_norm": 0.0,
    }
    path = written(tmp_path, "pretrained__acme__base_arc_easy.jsonl", [old, old | {"doc": "z"}])
    assert lm_eval.recognizes(path)
    block = blocks(path)["arc_easy"]
    assert [item.choices for item in block.items] == [("x", "y"), ()]
    assert len({item.item for item in block.items}) == 2
    assert set(by_metric(block)) == {("acc", ""), ("acc_norm", "")}
    assert all(run.answers is None for run in block.runs)


def test_metrics_that_are_no_outcomes_are_left_out(tmp_path: Path) -> None:
    values = {
        "exact_match": 1,
        "word_perplexity": [-30.5, 12],
        "bleu": 31.0,
        "nll": 0.5,
        "bypass": 999,
        "brier_score": 0.25,
        "odd": {"a": 1},
        "mine": 0.5,
    }
    row = sample(metrics=list(values), **values)
    notes = Notes()
    read = by_metric(blocks(written(tmp_path, "samples_t.jsonl", row), notes)["t"])
    outcomes = {metric: run.outcomes for (metric, _), run in read.items()}
    assert outcomes == {"exact_match": [1], "brier_score": [0.875], "mine": [0.5]}
    assert notes.counts["metrics of samples that are not outcomes in [0, 1]"] == 4


def test_a_repeated_sample_is_ignored_and_a_contradicting_one_is_an_error(tmp_path: Path) -> None:
    notes = Notes()
    copy = sample(doc_id=7, exact_match=0.0)
    path = written(tmp_path, "samples_t.jsonl", copy, sample(), sample(), copy)
    block = blocks(path, notes)["t"]
    (run,) = block.runs
    # Of a document that the data set holds twice, the first by its place there has its name.
    assert [item.item for item in block.items] == ["h0/2", "h0"]
    np.testing.assert_array_equal(run.outcomes, [0, 1])
    assert notes.counts["samples that repeat another one"] == 2
    path = written(tmp_path, "samples_t.jsonl", sample(), sample(exact_match=0.5))
    with pytest.raises(UnreadableFileError, match="line 2, field 'exact_match'"):
        blocks(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no samples"),
        (b"\n\n", "no samples"),
        (b'{"doc_id": 0, "doc_ha', "line 1: this is not JSON, or was cut off"),
        (b"3", "line 1: an object"),
        (b'{"doc_id": "\xff"}', "line 1: this is not UTF-8"),
        (b"{}", "line 1, field 'doc_hash'"),
        (b'{"doc_hash": 3}', "line 1, field 'doc_hash'"),
        (b'{"doc_hash": "h", "metrics": ["acc"]}', "line 1, field 'acc'"),
        (b'{"doc_hash": "h", "metrics": [["acc"]]}', "line 1, field 'metrics'"),
        (b'{"doc_hash": "h", "filter": []}', "line 1, field 'filter'"),
        (b'{"a":' * 100_000, "line 1: this is nested too deeply"),
        (b'{"a": 1' + b"0" * 5_000 + b"}", "line 1: this is not JSON"),
        (b'{"doc": ' + b"[" * 1_000 + b"]" * 1_000 + b"}", "field 'doc': this is nested too"),
    ],
)
def test_what_is_no_sample_is_an_error_that_names_the_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "samples_t.jsonl"
    beside(tmp_path)
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match="samples_t") as caught:
        blocks(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "an object was expected"),
        (b"3", "an object was expected"),
        (b'{"results": []}', "field 'results'"),
        (b'{"results": {', "line 1: this is not JSON, or was cut off"),
        (b'\xff{"results": {}}', "not UTF-8"),
    ],
)
def test_what_are_no_results_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=message):
        blocks(path)


def test_a_cut_off_archive_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    path = written(tmp_path, "samples_t.jsonl.gz", sample(resps=list(range(9_000))))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableFileError, match="cannot be read to its end"):
        blocks(path)
    path.write_bytes(b"no archive")
    with pytest.raises(UnreadableFileError, match="cannot be read to its end"):
        blocks(path)
    with pytest.raises(UnreadableFileError, match="No such file"):
        blocks(tmp_path / "results.json")


def test_text_that_cannot_be_stored_is_replaced(tmp_path: Path) -> None:
    arguments = {"gen_args_0": {"arg_0": "a\0b", "arg_1": "x"}}
    row = sample(arguments=arguments, target="\ud800", filtered_resps=["\0"], doc_hash="h\0")
    block = blocks(written(tmp_path, "samples_t.jsonl", row))["t"]
    assert list(block.items) == [Item("h\ufffd", "a\ufffdb", (), "\ufffd")]
    (run,) = block.runs
    assert run.answers == ["\ufffd"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", {"results": {}, "config": {}}),
        ("results_x.json", {"config_general": {}, "results": {}, "versions": {}}),
        ("package.json", {"name": "x"}),
        ("samples_t.jsonl", {"id": 3}),
        ("list.json", [1, 2]),
        ("empty.jsonl", ""),
    ],
)
def test_other_files_are_not_taken_for_logs(tmp_path: Path, name: str, content: object) -> None:
    assert not lm_eval.recognizes(written(tmp_path, name, content))


def test_a_damaged_file_is_taken_for_a_log_by_its_name(tmp_path: Path) -> None:
    for name, expected in {"results_x.json": True, "other.json": False}.items():
        path = tmp_path / name
        path.write_bytes(b"{")
        assert lm_eval.recognizes(path) is expected


fields = st.sampled_from([*sample(), "acc"])


@settings(deadline=None)
@given(st.lists(st.dictionaries(fields, ANY, max_size=3), max_size=3), st.booleans())
def test_any_json_gives_blocks_or_a_clear_error(rows: list[dict[str, object]], whole: bool) -> None:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "samples_t.jsonl"
        beside(path.parent)
        complete = [sample(**row) for row in rows] if whole else rows
        path.write_text("\n".join(json.dumps(row) for row in complete))
        try:
            (block,) = lm_eval.read(path, Notes())
        except UnreadableFileError:
            return
        for run in block.runs:
            assert run.outcomes is not None
            assert len(run.outcomes) == len(block.items)
            observed = run.outcomes[~np.isnan(run.outcomes)]
            assert ((observed >= 0) & (observed <= 1)).all()


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(report())), ANY, max_size=3), ANY)
def test_any_results_give_blocks_or_a_clear_error(
    changes: dict[str, object], scores: object
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "results.json"
        path.write_text(json.dumps({**report(results={"gsm8k": scores}), **changes}))
        try:
            list(lm_eval.read(path, Notes()))
        except UnreadableFileError:
            return
