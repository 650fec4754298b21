"""Writer of evaluations as logs of lm-eval."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import numpy as np

from registry.evaluations.formats.json_files import without_nulls
from registry.evaluations.formats.lm_eval.model import MODEL_ARGS
from registry.evaluations.formats.lm_eval.results import REGISTRY_KEY, result_key, safe_name
from registry.evaluations.formats.lm_eval.scales import in_results, in_samples, rescaled
from registry.evaluations.records import HUB_DATASETS, Block, Item, Measure, Run, Setup
from registry.evaluations.scales import LM_EVAL, known_measure

_SHA = re.compile(r"[0-9a-f]{40}")

_Key: TypeAlias = tuple[str, str | None, datetime | None, UUID, str, bool]


@dataclass
class _File:
    """Contents of a results file: one model, with what lm-eval states once for all tasks."""

    path: Path
    model: Run
    results: dict[str, dict[str, object]] = field(default_factory=dict)
    setups: dict[str, Setup] = field(default_factory=dict)
    measures: dict[str, list[Measure]] = field(default_factory=dict)
    scales: dict[str, dict[str, object]] = field(default_factory=dict)
    items: dict[str, int | None] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def accepts(self, task: str, run: Run) -> bool:
        """Tell whether the file can represent a run on a task besides its present runs."""
        return task not in self.results or (
            self.setups[task] == run.setup
            and self.items[task] == _items(run)
            and _key(run.measure) not in self.results[task]
        )


def write(blocks: Iterable[Block], directory: Path) -> list[Path]:
    """Write blocks to directories, one for each model, and return the files in order.

    A results file holds the runs of one model, revision, time and setup; a file of samples beside
    it those of its runs on one task that have outcomes. All the runs of one block are in memory at
    a time. Sources, harnesses and details of setups, which lm-eval cannot represent, are in a
    member of the registry's own, which its tools ignore: they distinguish runs when the files are
    read again. So are scales that differ from lm-eval's, which shares depend on. Reading the files
    gives the same runs, without tokens and latencies.
    """
    files: dict[tuple[_Key, int], _File] = {}
    samples: list[Path] = []
    for block in blocks:
        task = block.benchmark.name
        observed: dict[Path, tuple[_File, list[Run]]] = {}
        for run in block.runs:
            file = _file_for(files, directory, task, run)
            _add(file, block, run)
            if run.outcomes is not None:
                observed.setdefault(file.path, (file, []))[1].append(run)
        for file, runs in observed.values():
            samples.append(_write_samples(file, task, block.items, runs))
    for file in files.values():
        content = json.dumps(_content(file), indent=2, ensure_ascii=False)
        file.path.write_text(content, encoding="utf-8")
    return [file.path for file in files.values()] + samples


def _file_for(files: dict[tuple[_Key, int], _File], directory: Path, task: str, run: Run) -> _File:
    whole = replace(run.setup, task_version=None, shots=None, prompt_template=None)
    identity = (run.model, run.revision, run.evaluated_at, whole.fingerprint())
    key = (*identity, run.source.name, run.complete)
    for number in count():
        file = files.get((key, number))
        if file is None:
            file = _File(_new_path(directory, run, {file.path for file in files.values()}), run)
            files[key, number] = file
        if file.accepts(task, run):
            return file
    raise AssertionError  # counting does not end


def _new_path(directory: Path, run: Run, used: set[Path]) -> Path:
    model = safe_name(run.model)
    for number in count(1):
        parent = directory / (model if number == 1 else f"{model}-{number}")
        path = parent / f"results{_time(run)}.json"
        if path not in used:
            parent.mkdir(parents=True, exist_ok=True)
            return path
    raise AssertionError  # counting does not end


def _time(run: Run) -> str:
    if run.evaluated_at is None:
        return ""
    moment = run.evaluated_at.astimezone(UTC).replace(tzinfo=None)
    return "_" + moment.isoformat().replace(":", "-")


def _key(measure: Measure) -> str:
    return result_key(measure.metric, measure.filter)


def _scale(task: str, measure: Measure) -> dict[str, object]:
    """Return a measure's scale; empty if it is the usual one of the task and the metric."""
    known = known_measure(
        measure.metric,
        measure.filter,
        task=task,
        harness=LM_EVAL,
        higher_is_better=measure.higher_is_better,
    )
    if known == measure:
        return {}
    names = ("lower", "upper", "higher_is_better", "random_baseline", "unit")
    return {name: getattr(measure, name) for name in names}


def _items(run: Run) -> int | None:
    return run.outcome_count if run.items is None else run.items


def _add(file: _File, block: Block, run: Run) -> None:
    task, measure, filtered = block.benchmark.name, run.measure, run.measure.filter or "none"
    score, error = run.raw_score(), run.standard_error
    scores = file.results.setdefault(task, {"alias": task})
    scale = _scale(task, measure)
    if score is not None:
        written, written_error = rescaled(score, error, measure, in_results(measure, task))
        if (written, written_error) != (score, error):
            scale |= {"score": score, "standard_error": error}
        scores[_key(measure)] = written
        scores[f"{measure.metric}_stderr,{filtered}"] = (
            "N/A" if written_error is None else written_error
        )
    if scale:
        file.scales.setdefault(task, {})[_key(measure)] = scale
    file.setups[task] = run.setup
    file.items[task] = _items(run)
    file.measures.setdefault(task, []).append(measure)
    url = block.benchmark.url or ""
    if url.startswith(HUB_DATASETS):
        file.addresses[task] = url.removeprefix(HUB_DATASETS)


def _content(file: _File) -> dict[str, object]:
    run, setup = file.model, file.model.setup
    details = dict(setup.details)
    content: dict[str, object] = {
        "results": file.results,
        "configs": {task: {"task": task, **_address(file, task)} for task in file.results},
        "versions": without_nulls(
            {task: setup.task_version for task, setup in file.setups.items()}
        ),
        "n-shot": without_nulls({task: setup.shots for task, setup in file.setups.items()}),
        "higher_is_better": {
            task: without_nulls({measure.metric: measure.higher_is_better for measure in measures})
            for task, measures in file.measures.items()
        },
        "n-samples": {
            # lm-eval states both counts; the full count of a limited run is not known here.
            task: {"effective": n, **({"original": n} if run.complete else {})}
            for task, n in file.items.items()
            if n is not None
        },
        "config": {
            "model": "hf",
            "model_args": _model_args(run, details),
            **_commit(run, details),
            **without_nulls(
                {"model_dtype": setup.precision, "gen_kwargs": details.get("gen_kwargs")}
            ),
            "limit": None if run.complete else max(filter(None, file.items.values()), default=1),
        },
        "task_hashes": without_nulls({task: s.prompt_template for task, s in file.setups.items()}),
        "model_source": "hf",
        "model_name": run.model,
        "model_name_sanitized": safe_name(run.model),
        "fewshot_as_multiturn": details.get("fewshot_as_multiturn") == "True",
        "system_instruction_sha": details.get("system_instruction"),
        REGISTRY_KEY: {
            "source": without_nulls({"name": run.source.name, "url": run.source.url}),
            "harness": setup.harness,
            "details": details,
            "variant": setup.variant,
            "scales": file.scales,
        },
    }
    if setup.harness_version is not None:
        content["lm_eval_version"] = setup.harness_version
    if setup.chat_template is not None:
        content["chat_template_sha"] = setup.chat_template or None
    if run.evaluated_at is not None:
        content["date"] = run.evaluated_at.timestamp()
    return content


def _address(file: _File, task: str) -> dict[str, str]:
    return {"dataset_path": file.addresses[task]} if task in file.addresses else {}


def _model_args(run: Run, details: Mapping[str, str]) -> dict[str, object]:
    arguments = {key: details[key] for key in MODEL_ARGS if key in details}
    if "base" in details:
        return {"pretrained": details["base"], "peft": run.model, **arguments}
    return {"pretrained": run.model, **without_nulls({"revision": run.revision}), **arguments}


def _commit(run: Run, details: Mapping[str, str]) -> dict[str, str]:
    if run.revision is None or not _SHA.fullmatch(run.revision):
        return {}
    return {"peft_sha" if "base" in details else "model_sha": run.revision}


def _write_samples(file: _File, task: str, items: Sequence[Item], runs: Sequence[Run]) -> Path:
    """Write a line for each item and filter; missing outcomes are null."""
    time = file.path.name.removeprefix("results").removesuffix(".json")
    path = file.path.with_name(f"samples_{safe_name(task)}{time}.jsonl")
    with path.open("w", encoding="utf-8") as lines:
        for line in _lines(items, runs):
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def _lines(items: Sequence[Item], runs: Sequence[Run]) -> Iterator[dict[str, object]]:
    filters: dict[str, list[Run]] = {}
    for run in runs:
        filters.setdefault(run.measure.filter, []).append(run)
    for filtered, group in filters.items():
        answers = next((run.answers for run in group if run.answers is not None), None)
        for number, item in enumerate(items):
            answer = answers[number] if answers is not None else None
            yield {
                "doc_id": number,
                "doc": {"choices": list(item.choices)} if item.choices else {},
                **({} if item.answer is None else {"target": item.answer}),
                # The second argument marks a request for an answer, not for a likelihood.
                **({} if item.prompt is None else {"arguments": [[item.prompt, {}]]}),
                "resps": [] if answer is None else [[answer]],
                "filtered_resps": [] if answer is None else [answer],
                "filter": filtered or "none",
                "metrics": [run.measure.metric for run in group],
                "doc_hash": item.item,
                **{run.measure.metric: _value(run, number) for run in group},
            }


def _value(run: Run, number: int) -> float | None:
    assert run.outcomes is not None
    outcome = float(run.outcomes[number])
    return None if np.isnan(outcome) else in_samples(run.measure).raw(outcome)
