"""Pickles of RouterEval: correctness of many models by benchmark, its prompts, and its pools.

The layout of correctness is that of tinyBenchmarks, from which it comes.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from registry.coerce import short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats import pickles
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Notes,
    Run,
    Setup,
    Source,
)

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "pickles of RouterEval and tinyBenchmarks: correctness, prompts, and pools of models"

SOURCE = Source(name="RouterEval", url="https://github.com/MilkThink-Lab/RouterEval")

_TASK = re.compile(r"harness_(?P<task>.+)_(?P<shots>\d{1,3})")
_DETAILS = re.compile(r"(?:open-llm-leaderboard(?:-old)?/)?details_(.+)")
_SPLITS = ("train", "val", "test")
_MEASURE = Measure(metric="correctness")


def recognizes(path: Path) -> bool:
    """Tell by its content whether a pickle is one of RouterEval; never raises."""
    if not path.name.lower().endswith(pickles.ENDINGS):
        return False
    try:
        content = pickles.load(path)
    except UnreadableFileError:
        return False
    return _is_scores(content) or _is_pool(content) or _is_prompts(content)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield a block for each benchmark of a file.

    A file of scores has a run for each model, on items that are named by their places; one of
    prompts has the items' texts. A pool of models, for the training of routers, is a benchmark of
    its own, named as its file.

    Raises:
        UnreadableFileError: the file is invalid; names the field.
    """
    content = pickles.load(path)
    if _is_scores(content):
        yield from _scores(path, content, notes)
    elif _is_pool(content):
        yield _pool(path, content)
    elif _is_prompts(content):
        yield from _prompts(path, content)
    else:
        problem = "it has neither models and their data, nor prompts by benchmark."
        raise UnreadableFileError(path, problem)


def _is_scores(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("data"), dict)
        and "models" in content
        and any(
            isinstance(each, dict) and "correctness" in each for each in content["data"].values()
        )
    )


def _is_pool(content: Any) -> bool:
    return isinstance(content, dict) and {"model", "prompt", "data"} <= content.keys()


def _is_prompts(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) for key in content)
        and all(_are_texts(each) for each in content.values())
    )


def _are_texts(value: Any) -> bool:
    values = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    return isinstance(values, list) and bool(values) and all(isinstance(v, str) for v in values)


def _scores(path: Path, content: Mapping[str, Any], notes: Notes) -> Iterator[Block]:
    models = _models(path, content["models"], "models")
    for name, part in content["data"].items():
        field = f"data.{str(name)[:60]}.correctness"
        values = part.get("correctness") if isinstance(part, dict) else None
        outcomes = _matrix(path, values, field, len(models))
        task, shots = _task(path, str(name))
        setup = Setup(shots=shots)
        runs = []
        for model, column in zip(models, outcomes.T, strict=True):
            if np.isnan(column).all():
                notes.left_out("runs without any outcome")
                continue
            outcomes_ = np.ascontiguousarray(column)
            runs.append(_run(model, setup, outcomes_))
        items = [Item(str(place)) for place in range(len(outcomes))]
        yield Block(benchmark=Benchmark(name=task), items=items, runs=runs)


def _prompts(path: Path, content: Mapping[str, Any]) -> Iterator[Block]:
    for name, texts in content.items():
        task, _ = _task(path, name)
        items = [Item(str(place), storable(text)) for place, text in enumerate(list(texts))]
        yield Block(benchmark=Benchmark(name=task), items=items)


def _pool(path: Path, content: Mapping[str, Any]) -> Block:
    models = _models(path, content["model"], "model")
    items, parts_ = [], []
    for split in _SPLITS:
        field = f"data.{split}_score"
        values = _member(content, "data", f"{split}_score")
        texts = _member(content, "prompt", f"{split}_prompt")
        if values is None and texts is None:
            continue
        outcomes = _matrix(path, values, field, len(models))
        if not _are_texts(texts) or len(texts) != len(outcomes):
            problem = f"{len(outcomes)} prompts were expected here, as there are scores."
            raise UnreadableFileError(path, problem, field=f"prompt.{split}_prompt")
        items += [Item(f"{split}.{place}", storable(str(text))) for place, text in enumerate(texts)]
        parts_.append(outcomes)
    name = short_text(path.name.partition(".")[0])
    if not parts_ or name is None:
        raise UnreadableFileError(path, "there are no scores in it.", field="data")
    whole = np.concatenate(parts_)
    setup = Setup()
    runs = [
        _run(model, setup, np.ascontiguousarray(column))
        for model, column in zip(models, whole.T, strict=True)
        if not np.isnan(column).all()
    ]
    return Block(benchmark=Benchmark(name=name), items=items, runs=runs)


def _run(model: str, setup: Setup, outcomes: Any) -> Run:
    return Run(model=model, measure=_MEASURE, source=SOURCE, setup=setup, outcomes=outcomes)


def _member(content: Mapping[str, Any], key: str, name: str) -> Any:
    part = content[key]
    return part.get(name) if isinstance(part, dict) else None


def _models(path: Path, value: Any, field: str) -> list[str]:
    """Return the models' names; those of the leaderboard's details are org__name."""
    values = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(values, list) or not values:
        raise UnreadableFileError(path, "a list of models was expected here.", field=field)
    names = []
    for place, each in enumerate(values):
        name = short_text(each)
        if name is None:
            raise UnreadableFileError(path, "no model is named.", field=f"{field}[{place}]")
        details = _DETAILS.fullmatch(name)
        names.append(details[1].replace("__", "/", 1) if details else name)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableFileError(path, f"{twice!r} is there twice.", field=field)
    return names


def _matrix(path: Path, value: Any, field: str, models: int) -> Any:
    """Return outcomes in [0, 1] of items by models."""
    try:
        outcomes = np.array(value, np.float32)
    except (TypeError, ValueError):
        outcomes = np.empty(0, np.float32)
    if outcomes.ndim != 2 or outcomes.shape[1] != models or not len(outcomes):  # noqa: PLR2004 - items by models
        problem = f"a matrix of items by {models:,} models was expected here."
        raise UnreadableFileError(path, problem, field=field)
    if bool(np.any((outcomes < 0) | (outcomes > 1))):
        raise UnreadableFileError(path, "an outcome is not from 0 to 1.", field=field)
    return outcomes


def _task(path: Path, name: str) -> tuple[str, int | None]:
    """Return the task and the shots in a name such as harness_gsm8k_5."""
    match = _TASK.fullmatch(name)
    task = short_text(match["task"] if match else name)
    if task is None:
        raise UnreadableFileError(path, "a benchmark has no name.", field="data")
    return task, int(match["shots"]) if match else None
