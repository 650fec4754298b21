"""Run folders of HELM: values computed by hand, from files as `helm-run` writes them."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import helm
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes

NAME = "mmlu:subject=anatomy,method=multiple_choice_joint,model=acme_m,data_augmentation=canonical"
ROBUST = {"name": "robustness", "robustness": True, "computed_on": "worst"}


def spec(**adapter: Any) -> dict[str, Any]:
    return {
        "name": NAME,
        "scenario_spec": {"class_name": "helm.MMLUScenario", "args": {"subject": "anatomy"}},
        "adapter_spec": {
            "method": "multiple_choice_joint",
            "instructions": "Answer.",
            "input_prefix": "Question: ",
            "max_train_instances": 5,
            "max_eval_instances": 1000,
            "num_train_trials": 1,
            "model_deployment": "together/m",
            "model": "acme/m",
            "temperature": 0.0,
            "max_tokens": 1,
        }
        | adapter,
        "metric_specs": [],
        "groups": ["mmlu"],
    }


def stat(name: str, mean: float | None, **of: Any) -> dict[str, Any]:
    fields = {"split": "test"} | of
    return {
        "name": {"name": name, **fields},
        "count": 0 if mean is None else 1,
        "sum": mean or 0.0,
        "sum_squared": 0.0,
        **({} if mean is None else {"min": mean, "max": mean, "mean": mean}),
    }


def of_instance(number: int, trial: int = 0, **values: float) -> dict[str, Any]:
    return {
        "instance_id": f"id{number}",
        "train_trial_index": trial,
        "stats": [stat(name, value) for name, value in values.items()],
    }


def request(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "instance": {
            "input": {"text": f"What is {number}?"},
            "references": [
                {"output": {"text": "yes"}, "tags": ["correct"]},
                {"output": {"text": "no"}, "tags": []},
            ],
            "split": "test",
            "id": f"id{number}",
        }
        | fields.pop("instance", {}),
        "train_trial_index": 0,
        "output_mapping": {"A": "yes", "B": "no"},
        "request": {"model": "acme/m", "prompt": f"shots What is {number}?"},
        "result": {"success": True, "completions": [{"text": " A", "logprob": -0.5}]},
        "num_train_instances": 5,
    } | fields


STATS = [
    stat("exact_match", 0.75),
    stat("exact_match", 0.5, perturbation=ROBUST),
    stat("num_prompt_tokens", 512.0),
    stat("inference_runtime", 0.25),
    stat("ece_10_bin", 0.1),
    stat("bleu_4", None),
]
EACH = [of_instance(n, exact_match=float(n != 2), num_prompt_tokens=512) for n in range(4)]
STATE = {"adapter_spec": {}, "request_states": [request(n) for n in range(4)]}


def folder(
    root: Path,
    run_spec: Any = None,
    stats: Any = STATS,
    each: Any = EACH,
    state: Any = STATE,
    **others: Any,
) -> Path:
    """Write a run folder; None leaves a file out."""
    root.mkdir(parents=True, exist_ok=True)
    files = {
        "run_spec": run_spec or spec(),
        "stats": stats,
        "per_instance_stats": each,
        "scenario_state": state,
        "scenario": {"name": "mmlu"},
        **others,
    }
    for name, content in files.items():
        if content is not None:
            (root / f"{name}.json").write_text(json.dumps(content))
    return root / "run_spec.json"


def read(path: Path, notes: Notes | None = None) -> list[Block]:
    return list(helm.read(path, notes or Notes()))


def test_a_folder_gives_what_it_says(tmp_path: Path) -> None:
    path, notes = folder(tmp_path), Notes()
    assert Reader().format_of(path) == "helm"
    (block,) = read(path, notes)
    assert (block.benchmark.name, block.benchmark.version) == ("mmlu:subject=anatomy", "")
    assert [item.item for item in block.items] == ["id0", "id1", "id2", "id3"]
    assert block.items[0].prompt == "What is 0?"
    assert (block.items[0].choices, block.items[0].answer) == (("yes", "no"), "yes")
    match, worst, ece = block.runs
    assert match.outcomes is not None
    assert match.outcomes.tolist() == [1, 1, 0, 1]
    assert match.answers == [" A"] * 4
    assert match.complete
    assert (worst.measure.filter, worst.outcomes, worst.score) == ("robustness,worst", None, 0.5)
    assert worst.items == 4
    assert (ece.measure.metric, ece.score, ece.measure.normalised(0.1)) == ("ece_10_bin", 0.1, 0.9)
    setup = match.setup
    assert (match.model, setup.harness, setup.shots, setup.variant) == ("acme/m", "HELM", 5, None)
    assert setup.details == {
        "method": "multiple_choice_joint",
        "deployment": "together/m",
        "gen_kwargs": "max_tokens=1,temperature=0",
    }
    assert notes.counts == {
        "statistics of requests, which are no scores": 2,
        "statistics without a finite mean": 1,
    }


def test_an_import_reads_a_folder_once(tmp_path: Path, engine: Engine) -> None:
    path = folder(tmp_path / "runs" / "v1" / NAME)
    (report,) = import_files(engine, [tmp_path])
    assert (report.path, report.status, report.error) == (str(path), "imported", None)
    query = """SELECT model, metric, filter, score FROM registry.runs
                WHERE metric = 'exact_match' ORDER BY filter"""
    with engine.connect() as connection:
        assert rows(connection, query) == [
            ("acme/m", "exact_match", "", 0.75),
            ("acme/m", "exact_match", "robustness,worst", 0.5),
        ]


def test_splits_are_versions(tmp_path: Path) -> None:
    stats = [
        stat("f1_score", 0.5, split="valid"),
        stat("f1_score", 0.25),
        stat("f1_score", 1.0, sub_split="toxic"),
    ]
    blocks = read(folder(tmp_path, stats=stats, each=None, state=None))
    assert {block.benchmark.version: next(iter(block.runs)).score for block in blocks} == {
        "valid": 0.5,
        "": 0.25,
        "test/toxic": 1.0,
    }


def test_trials_are_averaged(tmp_path: Path) -> None:
    each = [
        of_instance(n, trial, exact_match=float((n + trial) % 2))
        for trial in (0, 1)
        for n in (0, 2)
    ]
    each.append(of_instance(1, 0, exact_match=1.0))
    run_spec = spec(num_train_trials=2)
    stats = [stat("exact_match", (0.5 + 0.5 + 1) / 3)]
    (block,) = read(folder(tmp_path, run_spec, stats, each))
    (run,) = block.runs
    assert run.outcomes is not None
    np.testing.assert_equal(run.outcomes, np.array([0.5, 1, 0.5, np.nan], np.float32))
    assert run.setup.details["trials"] == "2"


def test_perturbed_instances_are_no_items(tmp_path: Path) -> None:
    changed = {"perturbation": {"name": "typos"}, "input": {"text": "Waht?"}}
    state = {"request_states": [request(0, instance=changed), request(0), request(1)]}
    each = [
        of_instance(0, exact_match=1.0),
        {**of_instance(0, exact_match=0.0), "perturbation": {"name": "typos"}},
        of_instance(1, exact_match=0.0),
    ]
    (block,) = read(folder(tmp_path, stats=[stat("exact_match", 0.5)], each=each, state=state))
    (run,) = block.runs
    assert [item.prompt for item in block.items] == ["What is 0?", "What is 1?"]
    assert run.outcomes is not None
    assert run.outcomes.tolist() == [1, 0]


def test_texts_of_the_first_versions(tmp_path: Path) -> None:
    old = {"input": "Old?", "references": [{"output": "yes", "tags": ["correct"]}]}
    state = {"request_states": [request(n, instance=old) for n in range(4)]}
    (block,) = read(folder(tmp_path, state=state))
    assert (block.items[0].prompt, block.items[0].answer) == ("Old?", "yes")


def test_a_limited_run_is_not_complete(tmp_path: Path) -> None:
    (block,) = read(folder(tmp_path, spec(max_eval_instances=4)))
    assert not any(run.complete for run in block.runs)


def test_outcomes_are_those_of_the_stated_score(tmp_path: Path) -> None:
    notes = Notes()
    (block,) = read(folder(tmp_path, stats=[stat("exact_match", 0.5)]), notes)
    (run,) = block.runs
    assert (run.outcomes, run.score) == (None, 0.5)
    assert notes.counts == {"values of instances that are not outcomes of their score": 1}


def test_scores_outside_their_scale_are_not_measured(tmp_path: Path, engine: Engine) -> None:
    stats = [stat("exact_match", -1.0), stat("f1_score", 0.5)]
    (report,) = import_files(engine, [folder(tmp_path, stats=stats, each=None)])
    assert report.left_out == {
        "scores by exact_match that are not from 0 to 1, so that nothing was measured": 1
    }
    with engine.connect() as connection:
        assert rows(connection, "SELECT metric, score FROM registry.runs") == [("f1_score", 0.5)]


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    return str(caught.value).replace(str(path.parent), "")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"stats": None}, "/stats.json: it has to be beside run_spec.json"),
        ({"stats": []}, "/stats.json: there are no scores in it."),
        ({"stats": {}}, "/stats.json: Expected `array`, got `object`."),
        ({"stats": [{"name": "x"}]}, "/stats.json, field '[0].name': Expected `object`"),
        (
            {"stats": [{**stat("a", 1), "mean": "1"}]},
            "/stats.json, field '[0].mean': Expected `float | null`, got `str`.",
        ),
        ({"each": [{"stats": []}]}, "field '[0].instance_id': Object missing required field"),
        ({"each": 3}, "/per_instance_stats.json: Expected `array`, got `int`."),
        ({"state": {"request_states": [3]}}, "field 'request_states[0]': Expected `object`"),
        (
            {"state": {"request_states": [request(1, instance={"id": None})]}},
            "/scenario_state.json, field 'instance': an instance has no id.",
        ),
        ({"run_spec": spec(model=" ")}, "field 'adapter_spec.model': no model is named."),
        ({"run_spec": spec(model=3)}, "field 'adapter_spec.model': Expected `str`, got `int`."),
        ({"run_spec": {**spec(), "name": ":"}}, "field 'name': no scenario is named."),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    assert said in refusal(folder(tmp_path, **files))


def test_truncated_files(tmp_path: Path) -> None:
    path = folder(tmp_path)
    for name in ("stats", "per_instance_stats", "scenario_state"):
        file = tmp_path / f"{name}.json"
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        assert f"/{name}.json" in refusal(path)
        file.write_bytes(whole)


@given(at=st.integers(0, 100_000), turned=st.integers(1, 255), name=st.integers(0, 3))
def test_damage_is_an_error_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, turned: int, name: int
) -> None:
    path = folder(tmp_path_factory.mktemp("helm"))
    files: Sequence[str] = ("run_spec", "stats", "per_instance_stats", "scenario_state")
    file = path.with_name(f"{files[name]}.json")
    damaged = bytearray(file.read_bytes())
    damaged[at % len(damaged)] ^= turned
    file.write_bytes(damaged)
    Reader().format_of(path)
    with suppress(UnreadableFileError):
        read(path)


@given(values=st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=9))
def test_outcomes_are_the_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    each = [of_instance(n, f1_score=value) for n, value in enumerate(values)]
    state = {"request_states": [request(n) for n in range(len(values))]}
    stats = [stat("f1_score", sum(values) / len(values))]
    (block,) = read(folder(tmp_path_factory.mktemp("helm"), None, stats, each, state))
    (run,) = block.runs
    assert run.outcomes is not None
    assert run.outcomes.tolist() == values


@pytest.mark.parametrize("kept", [1, 2, 3])
@pytest.mark.parametrize("score", [0.62, 1.0, 0.75])
@pytest.mark.parametrize("counted", [True, False])
def test_a_part_of_the_instances_stays_beside_the_score(
    tmp_path: Path, engine: Engine, kept: int, score: float, *, counted: bool
) -> None:
    """Folders cut for size: the score is of all instances, which stats.json counts."""
    stats = [stat("exact_match", score), *([stat("num_instances", 1000.0)] if counted else [])]
    path = folder(tmp_path, stats=stats, each=EACH[:kept])
    notes = Notes()
    [block] = read(path, notes)
    [run] = block.runs
    outcomes = [float(n != 2) for n in range(kept)]
    if counted or np.mean(outcomes) != score:
        assert run.outcomes is not None
        assert run.outcomes.tolist()[:kept] == outcomes
        assert (run.score, run.items) == (score, 1000 if counted else 4)
        assert "values of instances that are not outcomes of their score" not in notes.counts
    import_files(engine, [tmp_path])
    with engine.connect() as connection:
        [[stored, items, found]] = rows(
            connection, "SELECT score, items, outcomes FROM registry.runs"
        )
    assert (stored, found) == (score, kept)
    assert items == (1000 if counted else kept if np.mean(outcomes) == score else 4)


def test_ratings_of_wildbench(tmp_path: Path, engine: Engine) -> None:
    stats = [stat("wildbench_score", 7.1), stat("wildbench_score_rescaled", 0.678)]
    folder(tmp_path, stats=stats, each=None)
    import_files(engine, [tmp_path])
    with engine.connect() as connection:
        assert rows(connection, "SELECT score FROM registry.runs ORDER BY metric") == [
            (None,), (0.678,),
        ]  # fmt: skip
