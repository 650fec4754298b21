import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.evaluations.formats import lm_eval
from registry.evaluations.formats.lm_eval.writer import write
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
from registry.evaluations.scales import in_percent, known_measure

SOURCE = Source(name="lm-eval")
SETUP = Setup(
    harness="lm-eval",
    harness_version="0.4.9",
    task_version="3",
    shots=5,
    prompt_template="41e4",
    chat_template="c0ffee",
    precision="bfloat16",
    details={"base": "acme/base", "gen_kwargs": "temperature=0", "fewshot_as_multiturn": "True"},
)
RUN = Run(
    model="acme/lora",
    measure=known_measure("exact_match", "strict-match"),
    source=SOURCE,
    setup=SETUP,
    revision="0123456789abcdef0123456789abcdef01234567",
    evaluated_at=datetime(2026, 1, 21, 3, 44, 18, 458_309, UTC),
)
ITEMS = [Item("h0", "1+1?", ("2", "3"), "2"), Item("h1", "2+2?"), Item("h2")]
FIELDS = ("model", "measure", "source", "setup", "revision", "evaluated_at", "complete")


def facts(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in FIELDS}


def read(files: list[Path], kind: str) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for path in files:
        assert lm_eval.recognizes(path)
        if path.name.startswith(kind):
            for block in lm_eval.read(path, Notes()):
                found.setdefault(block.benchmark.name, []).extend(block.runs)
    return found


def test_scores_are_read_again_as_they_were(tmp_path: Path) -> None:
    score = replace(RUN, score=0.1, standard_error=0.03, items=1319)
    plain = replace(score, measure=known_measure("acc"), standard_error=None)
    limited = replace(score, complete=False, items=10, model="acme/a,b=c", setup=Setup(shots=0))
    cost = replace(plain, measure=known_measure("word_perplexity"), score=17.5, items=None)
    address = "https://huggingface.co/datasets/openai/gsm8k"
    blocks = [
        Block(benchmark=Benchmark(name="gsm8k", url=address), runs=iter([score, plain, limited])),
        Block(benchmark=Benchmark(name="wiki/text"), runs=[cost]),
    ]
    files = write(blocks, tmp_path)
    assert len(files) == 2
    again = read(files, "results")
    expected = [score, plain, limited, cost]
    for run, wanted in zip(again["gsm8k"] + again["wiki/text"], expected, strict=True):
        assert facts(run) == facts(wanted)
        assert (run.score, run.standard_error) == (wanted.score, wanted.standard_error)
        assert run.items == wanted.items
    (block, *_) = lm_eval.read(files[0], Notes())
    assert block.benchmark.url == address


def test_outcomes_are_read_again_as_they_were(tmp_path: Path) -> None:
    outcomes = np.array([1, np.nan, 0.25], np.float32)
    answers = ["2", None, "x\u2028y"]
    runs = [
        replace(RUN, outcomes=outcomes, answers=answers),
        replace(RUN, outcomes=outcomes[::-1], measure=known_measure("brier_score")),
        replace(RUN, outcomes=np.ones(3, np.float32), evaluated_at=None, revision="v1"),
    ]
    block = Block(benchmark=Benchmark(name="wiki/text"), items=ITEMS, runs=runs)
    files = write([block], tmp_path)
    assert [path.name for path in files] == [
        "results_2026-01-21T03-44-18.458309.json",
        "results.json",
        "samples_wiki__text_2026-01-21T03-44-18.458309.jsonl",
        "samples_wiki__text.jsonl",
    ]
    # A revision that is no commit has no place beside an adapter's.
    runs[2] = replace(runs[2], revision=None)
    for run, wanted in zip(read(files, "samples")["wiki/text"], runs, strict=True):
        assert facts(run) == facts(wanted)
        np.testing.assert_array_equal(run.outcomes, wanted.outcomes)
        assert run.answers == wanted.answers
    (first,) = lm_eval.read(files[2], Notes())
    assert list(first.items) == ITEMS
    scores = [run.score for run in read(files, "results")["wiki/text"]]
    assert scores == pytest.approx([0.625, 0.75, 1.0])


def test_percents_are_written_as_shares_and_read_as_percents(tmp_path: Path) -> None:
    measure = replace(in_percent(known_measure("acc")), random_baseline=25.0)
    # Divided by 100 and multiplied again it would be 61.199999999999996.
    score = replace(RUN, measure=measure, score=61.2, standard_error=5.0)
    outcomes = replace(RUN, measure=replace(measure, filter="x"), outcomes=np.ones(3, np.float32))
    blocks = [
        Block(benchmark=Benchmark(name="a"), runs=[score]),
        Block(benchmark=Benchmark(name="b"), items=ITEMS, runs=[outcomes]),
    ]
    files = write(blocks, tmp_path)
    content = json.loads(files[0].read_text())
    shares = {"alias": "a", "acc,none": 0.612, "acc_stderr,none": 0.05}
    assert content["results"]["a"] == shares
    (run,) = read(files, "results")["a"]
    assert (run.score, run.standard_error, run.measure) == (61.2, 5.0, measure)
    (again,) = read(files, "samples")["b"]
    assert again.measure == outcomes.measure
    np.testing.assert_array_equal(again.outcomes, [1, 1, 1])
    # What was changed in the results counts.
    content["results"]["a"]["acc,none"] = 0.5
    files[0].write_text(json.dumps(content))
    (run,) = read(files, "results")["a"]
    assert (run.score, run.standard_error) == (50.0, 5.0)
    content["llm_registry"]["scales"]["a"]["acc,none"]["upper"] = 0
    files[0].write_text(json.dumps(content))
    (run,) = read(files, "results")["a"]
    assert (run.score, run.measure) == (0.5, known_measure("acc"))


def test_scales_that_only_the_source_knows_are_read_again(tmp_path: Path) -> None:
    grade = Measure(metric="grade", lower=-0.1, upper=0.2, unit="marks")
    regret = replace(grade, metric="regret", higher_is_better=False)
    loose = Measure(metric="acc", lower=None, upper=None)
    scores = [
        replace(RUN, measure=grade, score=0.15, standard_error=0.01),
        replace(RUN, measure=regret, score=0.15),
        replace(RUN, measure=loose, score=61.2),
    ]
    outcomes = [
        replace(RUN, measure=measure, outcomes=np.array([1, np.nan, 0.7], np.float32))
        for measure in (grade, regret, loose)
    ]
    blocks = [
        Block(benchmark=Benchmark(name="a"), runs=scores),
        Block(benchmark=Benchmark(name="b"), items=ITEMS, runs=outcomes),
    ]
    files = write(blocks, tmp_path)
    for run, wanted in zip(read(files, "results")["a"], scores, strict=True):
        assert facts(run) == facts(wanted)
        assert (run.score, run.standard_error) == (wanted.score, wanted.standard_error)
    for run, wanted in zip(read(files, "samples")["b"], outcomes, strict=True):
        assert facts(run) == facts(wanted)
        np.testing.assert_array_equal(run.outcomes, wanted.outcomes)


def test_runs_that_differ_only_in_their_setup_do_not_share_a_file(tmp_path: Path) -> None:
    few = replace(RUN, score=0.5, setup=replace(SETUP, shots=0))
    many = replace(RUN, score=0.75)
    mine = replace(many, measure=Measure(metric="mine", lower=None, upper=None))
    block = Block(benchmark=Benchmark(name="t"), runs=[few, many, mine])
    files = write([block], tmp_path)
    assert [path.parent.name for path in files] == ["acme__lora", "acme__lora-2"]
    again = read(files, "results")["t"]
    assert [(run.setup.shots, run.score) for run in again] == [(0, 0.5), (5, 0.75), (5, 0.75)]


def test_runs_that_differ_only_in_what_lm_eval_has_no_place_for_stay_apart(tmp_path: Path) -> None:
    outcomes = np.array([1, 0, 1], np.float32)
    setup = Setup(harness="alpaca-eval", details={"judge": "a"})
    judged = replace(RUN, source=Source(name="alpaca-eval", url="https://a.test"), setup=setup)
    runs = [
        replace(judged, outcomes=outcomes),
        replace(judged, outcomes=1 - outcomes, setup=replace(setup, details={"judge": "b"})),
        replace(judged, outcomes=outcomes * 0, source=Source(name="arena")),
        replace(judged, outcomes=outcomes * 0 + 1, setup=Setup()),
    ]
    files = write([Block(benchmark=Benchmark(name="t"), items=ITEMS, runs=runs)], tmp_path)
    assert len(files) == 8
    again = [run for _, found in sorted(read(files, "samples").items()) for run in found]
    benchmark = Benchmark(name="t")
    before = {run_id(benchmark, run, run.setup.fingerprint()): run for run in runs}
    assert len(before) == 4
    after = {run_id(benchmark, run, run.setup.fingerprint()): run for run in again}
    assert after.keys() == before.keys()
    for key, run in after.items():
        assert run.source == before[key].source
        np.testing.assert_array_equal(run.outcomes, before[key].outcomes)


def test_the_files_look_like_those_of_lm_eval(tmp_path: Path) -> None:
    run = replace(RUN, outcomes=np.array([1, 0, 1], np.float32))
    results, samples = write(
        [Block(benchmark=Benchmark(name="t"), items=ITEMS, runs=[run])], tmp_path
    )
    content = json.loads(results.read_text())
    assert content["n-samples"] == {"t": {"effective": 3, "original": 3}}
    assert content["higher_is_better"] == {"t": {"exact_match": True}}
    assert content["config"]["model_args"] == {"pretrained": "acme/base", "peft": "acme/lora"}
    first = json.loads(samples.read_text().splitlines()[0])
    assert first["metrics"] == ["exact_match"]
    assert (first["doc_hash"], first["filter"], first["exact_match"]) == ("h0", "strict-match", 1)
