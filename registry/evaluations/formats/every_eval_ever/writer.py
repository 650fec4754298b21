"""Writer of Every Eval Ever: an aggregate and its instances for each model."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import numpy as np

from registry.evaluations.formats.every_eval_ever.results import SCHEMA
from registry.evaluations.formats.json_files import without_nulls
from registry.evaluations.records import HUB_DATASETS, Benchmark, Block, Item, Measure, Run
from registry.learning.metrics import RIGHT_FROM

# Details of a setup that an aggregate states once.
_SHARED_DETAILS = (
    *("evaluator_relationship", "inference_platform"),
    *("inference_engine", "inference_engine_version"),
)


class _Key(NamedTuple):
    """Facts that an aggregate states once for all its results."""

    model: str
    revision: str | None
    source: str
    address: str | None
    harness: str | None
    version: str | None
    details: tuple[tuple[str, str], ...]


@dataclass
class _Aggregate:
    """Contents of an aggregate's file."""

    key: _Key
    path: Path
    name: str
    results: list[dict[str, object]] = field(default_factory=list)
    rows: int = 0


def write(blocks: Iterable[Block], directory: Path, *, now: datetime) -> list[Path]:
    """Write an aggregate, and its instances beside it, for each model, source and harness.

    Reading them again gives the same runs, but runs of unknown time get `now`, the time that the
    files state as their own. Items that no run observed are not written, nor that a score was
    verified. Facts that the schema requires and the registry does not know (who deployed a model,
    and how it is available) are `unknown`.

    Returns:
        The files' paths, each aggregate before its instances.
    """
    aggregates: dict[_Key, _Aggregate] = {}
    directory.mkdir(parents=True, exist_ok=True)
    for block in blocks:
        for run in block.runs:
            key = _key(run)
            aggregate = aggregates.get(key)
            if aggregate is None:
                digest = blake2b(json.dumps(key).encode(), digest_size=16).digest()
                path = directory / f"{UUID(bytes=digest)}.json"
                name = f"{run.source.name}/{run.model}/{now.timestamp()}"
                aggregate = aggregates[key] = _Aggregate(key, path, name)
                _instances(path).unlink(missing_ok=True)
            _add(aggregate, block.benchmark, block.items, run)
    paths: list[Path] = []
    for aggregate in aggregates.values():
        content = json.dumps(_content(aggregate, now), indent=2, ensure_ascii=False)
        aggregate.path.write_text(content, encoding="utf-8")
        paths += [aggregate.path, *([_instances(aggregate.path)] if aggregate.rows else [])]
    return paths


def _key(run: Run) -> _Key:
    whole = tuple(
        (key, run.setup.details[key]) for key in _SHARED_DETAILS if key in run.setup.details
    )
    return _Key(
        *(run.model, run.revision, run.source.name, run.source.url),
        *(run.setup.harness, run.setup.harness_version, whole),
    )


def _instances(path: Path) -> Path:
    return path.with_name(f"{path.stem}_samples.jsonl")


def _add(aggregate: _Aggregate, benchmark: Benchmark, items: Sequence[Item], run: Run) -> None:
    score = run.raw_score()
    if score is None:
        return
    key = f"{benchmark.name}#{len(aggregate.results)}"
    if run.outcomes is not None:
        with _instances(aggregate.path).open("a", encoding="utf-8") as lines:
            for row in _rows(aggregate, benchmark, key, items, run):
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                aggregate.rows += 1
    uncertainty = {
        "standard_error": None if run.standard_error is None else {"value": run.standard_error},
        "num_samples": run.outcome_count if run.items is None else run.items,
    }
    limited = {} if run.complete else {"details": {"complete": "false"}}
    result: dict[str, object] = {
        "evaluation_result_id": key,
        "evaluation_name": benchmark.name,
        "source_data": _source_data(benchmark),
        "metric_config": _metric_config(run.measure),
        "score_details": {"score": score, "uncertainty": without_nulls(uncertainty), **limited},
        "generation_config": {"additional_details": _setup(run)},
    }
    if run.evaluated_at is not None:
        result["evaluation_timestamp"] = run.evaluated_at.isoformat()
    aggregate.results.append(result)


def _source_data(benchmark: Benchmark) -> dict[str, object]:
    url = benchmark.url or ""
    data: dict[str, object] = {"dataset_name": benchmark.name, "source_type": "other"}
    if url.startswith(HUB_DATASETS):
        data |= {"source_type": "hf_dataset", "hf_repo": url.removeprefix(HUB_DATASETS)}
    elif url:
        data |= {"source_type": "url", "url": [url]}
    about = without_nulls({"version": benchmark.version or None, "domain": benchmark.domain})
    return {**data, **({"additional_details": about} if about else {})}


def _metric_config(measure: Measure) -> dict[str, object]:
    baseline = measure.random_baseline
    about = {
        "filter": measure.filter or None,
        "random_baseline": None if baseline is None else repr(baseline),
        # The schema has no word for it, and missing bounds would be read as the metric's own.
        "bounds": "none" if measure.lower is None and measure.upper is None else None,
        "direction": "unknown" if measure.higher_is_better is None else None,
    }
    bounds = without_nulls({"min_score": measure.lower, "max_score": measure.upper})
    config: dict[str, object] = {
        "metric_id": measure.metric,
        "lower_is_better": measure.higher_is_better is False,
        **({"score_type": "continuous"} if len(bounds) > 1 else {}),
        **bounds,
        "metric_unit": {"%": "percent", None: "proportion"}.get(measure.unit, measure.unit),
    }
    return {**config, "additional_details": without_nulls(about)}


def _setup(run: Run) -> Mapping[str, object]:
    setup = run.setup
    details = {key: text for key, text in setup.details.items() if key not in _SHARED_DETAILS}
    shots = None if setup.shots is None else str(setup.shots)
    fields = {
        "num_fewshot": shots,
        "task_version": setup.task_version,
        "prompt_template": setup.prompt_template,
        "chat_template": setup.chat_template,
        "precision": setup.precision,
        "variant": setup.variant,
    }
    return {**details, **without_nulls(fields)}


def _rows(
    aggregate: _Aggregate, benchmark: Benchmark, key: str, items: Sequence[Item], run: Run
) -> Iterator[dict[str, object]]:
    assert run.outcomes is not None
    for position, (item, outcome) in enumerate(zip(items, run.outcomes.tolist(), strict=True)):
        if np.isnan(outcome):
            continue
        answer = run.answers[position] if run.answers is not None else None
        row: dict[str, object] = {
            "schema_version": f"instance_level_eval_{SCHEMA}",
            "evaluation_id": aggregate.name,
            "model_id": run.model,
            "evaluation_name": benchmark.name,
            "evaluation_result_id": key,
            "sample_id": item.item,
            "interaction_type": "single_turn",
            "input": {
                "raw": item.prompt or "",
                "reference": [] if item.answer is None else [item.answer],
                "choices": list(item.choices) or None,
            },
            "output": {"raw": [] if answer is None else [answer]},
            "messages": None,
            "answer_attribution": [],
            "evaluation": {"score": run.measure.raw(outcome), "is_correct": outcome >= RIGHT_FROM},
            "metadata": without_nulls({"domain": item.domain}),
        }
        if run.input_tokens is not None and run.output_tokens is not None:
            inputs, outputs = int(run.input_tokens[position]), int(run.output_tokens[position])
            if inputs >= 0 and outputs >= 0:
                row["token_usage"] = {
                    "input_tokens": inputs,
                    "output_tokens": outputs,
                    "total_tokens": inputs + outputs,
                }
        if run.latencies is not None and not np.isnan(run.latencies[position]):
            row["performance"] = {"latency_ms": float(run.latencies[position])}
        yield row


def _content(aggregate: _Aggregate, now: datetime) -> dict[str, object]:
    key, details = aggregate.key, dict(aggregate.key.details)
    engine = {
        "name": details.get("inference_engine"),
        "version": details.get("inference_engine_version"),
    }
    content: dict[str, object] = {
        "schema_version": SCHEMA,
        "evaluation_id": aggregate.name,
        "retrieved_timestamp": str(now.timestamp()),
        "source_metadata": {
            "source_type": "evaluation_run" if aggregate.rows else "documentation",
            "source_organization_name": key.source,
            **without_nulls({"source_organization_url": key.address}),
            "evaluator_relationship": details.get("evaluator_relationship", "other"),
        },
        "eval_library": {"name": key.harness or "unknown", "version": key.version or "unknown"},
        "model_info": {
            "name": key.model.rpartition("/")[2] or key.model,
            "id": key.model,
            **({"developer": key.model.partition("/")[0]} if "/" in key.model else {}),
            **without_nulls({"inference_platform": details.get("inference_platform")}),
            **({"inference_engine": without_nulls(engine)} if any(engine.values()) else {}),
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                **without_nulls({"revision": key.revision}),
            },
        },
        "evaluation_results": aggregate.results,
    }
    if aggregate.rows:
        file = _instances(aggregate.path)
        content["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": file.name,
            "hash_algorithm": "sha256",
            "checksum": sha256(file.read_bytes()).hexdigest(),
            "total_rows": aggregate.rows,
        }
    return content
