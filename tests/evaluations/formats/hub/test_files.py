from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from registry.errors import UnreadableFileError
from registry.evaluations.formats.hub import files
from registry.evaluations.records import Benchmark, Block, Item, Measure, Notes, Run, Setup, Source
from registry.evaluations.scales import known_measure

RESULTS = """\
# as written by hand
- dataset: {id: cais/hle, task_id: default}
  value: 20.90
  date: 2025-01-15
  notes: null
- dataset:
    id: Idavidrein/gpqa
    task_id: gpqa_diamond
  value: 0.412
"""
CARD = """\
---
license: apache-2.0
model-index:
- name: m
  results:
  - dataset: {type: gsm8k, name: GSM8K, args: {num_few_shot: 5}}
    metrics: [{type: acc, value: 56.2, verified: false}]
---
# A model
---
"""


def file(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_of_results_names_the_model_by_its_place(tmp_path: Path) -> None:
    path = file(tmp_path, "acme/large/.eval_results/hle.yaml", RESULTS)
    assert files.recognizes(path)
    first, second = files.read(path, Notes())
    assert (first.benchmark.name, second.benchmark.name) == (
        "cais/hle",
        "Idavidrein/gpqa/gpqa_diamond",
    )
    (run,) = first.runs
    assert (run.model, run.score, run.setup) == ("acme/large", 20.9, Setup())
    assert run.evaluated_at == datetime(2025, 1, 15, tzinfo=UTC)


def test_the_model_may_be_given_or_be_one_directory(tmp_path: Path) -> None:
    path = file(tmp_path, "acme__large/.eval_results/hle.yml", RESULTS)
    models = [run.model for block in files.read(path, Notes()) for run in block.runs]
    assert models == ["acme__large"] * 2
    blocks = files.read(path, Notes(), "acme/given")
    assert {run.model for block in blocks for run in block.runs} == {"acme/given"}


def test_a_card_is_read_from_its_front_matter(tmp_path: Path) -> None:
    path = file(tmp_path, "acme/large/README.md", CARD.replace("\n", "\r\n"))
    assert files.recognizes(path)
    (block,) = files.read(path, Notes())
    (run,) = block.runs
    assert (run.model, run.setup.shots, run.score) == ("acme/large", 5, 56.2)
    assert run.measure.unit == "%"


@pytest.mark.parametrize("content", ["", "# No front matter\n", "---\n[1]\n---\n", "---\na: 1\n"])
def test_cards_without_results_give_nothing(tmp_path: Path, content: str) -> None:
    assert list(files.read(file(tmp_path, "a/b/README.md", content), Notes())) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("README.md", "---\na: [\n---\n", "README.md, line 3: this is not YAML"),
        (".eval_results/x.yaml", "- a: [", "line 1: this is not YAML"),
        (".eval_results/x.yaml", "a: 1", "a list of results was expected"),
        (".eval_results/x.yaml", b"- \xff", "not UTF-8"),
        (".eval_results/x.yaml", "- a\0b", "this is not YAML"),
        (".eval_results/x.yaml", "[" * 20_000, "this is not YAML"),
        (".eval_results/x.yaml", " " * 5_000_001, "as long as this"),
    ],
)
def test_damaged_files_are_errors(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = file(tmp_path, f"a/b/{name}", content)
    with pytest.raises(UnreadableFileError, match=message):
        list(files.read(path, Notes()))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file"):
        list(files.read(tmp_path / "README.md", Notes()))


def test_what_is_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    run = Run(
        model="acme/large",
        measure=Measure(metric="score", lower=None, upper=None),
        source=Source(name="Log", url="https://example.com"),
        setup=Setup(details={"notes": "no-tools: é"}),
        evaluated_at=datetime(2025, 1, 15, 10, 30, tzinfo=UTC),
        score=1e-07,
    )
    other = replace(run, model="b", source=Source(name="huggingface.co"), setup=Setup(), score=3)
    url = "https://huggingface.co/datasets/cais/hle"
    benchmarks = [
        Benchmark(name="cais/hle", version="5503434", url=url),
        Benchmark(name="cais/hle/a/b", url=url),
    ]
    blocks = [Block(benchmark=benchmark, runs=[run, other]) for benchmark in benchmarks]
    texts = files.write(blocks)
    assert list(texts) == ["acme/large", "b"]
    for model, wanted in (("acme/large", run), ("b", other)):
        path = file(tmp_path, ".eval_results/x.yaml", texts[model])
        again = list(files.read(path, Notes(), model))
        assert [block.benchmark for block in again] == benchmarks
        for block in again:
            (found,) = block.runs
            for name in ("model", "measure", "source", "setup", "evaluated_at", "score"):
                assert getattr(found, name) == getattr(wanted, name)


def test_a_metric_is_in_the_notes_and_what_has_no_place_is_left_out() -> None:
    run = Run(
        model="m",
        measure=known_measure("acc", "strict"),
        source=Source(name="lm-eval"),
        setup=Setup(details={"notes": "tools"}),
        outcomes=np.array([1, 0, np.nan], np.float32),
    )
    empty = replace(run, outcomes=None)
    items = [Item(name) for name in "abc"]
    blocks = [
        Block(benchmark=Benchmark(name="a/b"), items=items, runs=[run, empty]),
        Block(benchmark=Benchmark(name="gsm8k"), items=items, runs=[run]),
    ]
    notes = Notes()
    assert yaml.safe_load(files.write(files.with_place(blocks, notes))["m"]) == [
        {
            "dataset": {"id": "a/b", "task_id": "default"},
            "value": 0.5,
            "notes": "tools, acc strict",
        }
    ]
    assert notes.counts == {
        "runs without a score": 1,
        "runs on benchmarks that are not data sets of the Hub (org/name)": 1,
    }
