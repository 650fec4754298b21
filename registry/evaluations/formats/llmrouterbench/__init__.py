"""Results of LLMRouterBench: a file for each model, data set and split, with every prompt."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from registry.coerce import count, number, short_text, storable, timestamp
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Notes,
    Outcomes,
    Run,
    Setup,
    Source,
)

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "results/bench/<dataset>/<split>/<model>/*.json of LLMRouterBench"

SOURCE = Source(name="LLMRouterBench", url="https://github.com/ynulihao/LLMRouterBench")

_KEYS = frozenset({"performance", "counts", "records"})
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)\.json")
_FOLDER = "bench"  # three folders above a file
_MAX_TOKENS = 2**31 - 1
_CLOSE = 1e-6


class _Record(msgspec.Struct):
    """A prompt, what the model made of it, and its score; None where it was not scored."""

    index: int | str
    origin_query: str | None = None
    prediction: Any = None
    ground_truth: Any = None
    score: float | None = None
    prompt_tokens: Any = None
    completion_tokens: Any = None


class _Results(msgspec.Struct):
    """A file; the first ones have the names in their path alone."""

    performance: float | None
    records: list[_Record]
    model_name: str | None = None
    dataset_name: str | None = None
    split: str | None = None
    demo: bool = False


def recognizes(path: Path) -> bool:
    """Tell by its keys whether a file has results of LLMRouterBench."""
    return path.suffix == ".json" and json_files.keys(path) >= _KEYS


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield the block of a file: a run with the scores of its prompts as outcomes.

    Where the scores are no outcomes in [0, 1], the run has the stated performance alone. A split
    other than test is a version of the benchmark, as its prompts are other ones.

    Raises:
        UnreadableFileError: the file is invalid; names the field.
    """
    results = json_files.typed(json_files.raw(path), _Results, path)
    if not results.records:
        raise UnreadableFileError(path, "there are no prompts in it.", field="records")
    items: dict[str, Item] = {}
    for place, record in enumerate(results.records):
        item = _item(record)
        if item.item in items:
            problem = "another record has this index."
            raise UnreadableFileError(path, problem, field=f"records[{place}].index")
        items[item.item] = item
    dataset = _named(path, results.dataset_name, "dataset_name", 2)
    split = _named(path, results.split, "split", 1)
    benchmark = Benchmark(name=dataset, version="" if split == "test" else split)
    runs = list(_runs(path, results, notes))
    yield Block(benchmark=benchmark, items=list(items.values()), runs=runs)


def _runs(path: Path, results: _Results, notes: Notes) -> Iterator[Run]:
    run: dict[str, Any] = {
        "model": _named(path, results.model_name, "model_name", 0),
        "source": SOURCE,
        "setup": Setup(harness="LLMRouterBench"),
        "evaluated_at": _time(path),
        "complete": not results.demo,
    }
    records = results.records
    stated = number(results.performance)
    outcomes = _outcomes(records, stated)
    if outcomes is None:
        notes.left_out("scores of prompts that are not outcomes of the stated performance")
        if stated is None:
            problem = "neither this nor the scores of prompts can be used."
            raise UnreadableFileError(path, problem, field="performance")
        measure = Measure(metric="performance", lower=None, upper=None)
        yield Run(**run, measure=measure, score=stated, items=len(records))
        return
    answers = [_text(record.prediction) for record in records]
    yield Run(
        **run,
        measure=Measure(metric="score"),
        outcomes=outcomes,
        answers=answers if any(answers) else None,
        input_tokens=_tokens([record.prompt_tokens for record in records]),
        output_tokens=_tokens([record.completion_tokens for record in records]),
    )


def _outcomes(records: list[_Record], stated: float | None) -> Outcomes | None:
    """Return the scores of prompts as outcomes; None unless their mean is the stated one.

    A prompt without a score was not observed, or counts as wrong where the stated mean says so.
    """
    scores = np.array([np.nan if each.score is None else each.score for each in records])
    if np.isnan(scores).all() or bool(np.any((scores < 0) | (scores > 1))):
        return None
    for outcomes in (scores, np.nan_to_num(scores)):
        if stated is None or abs(float(np.nanmean(outcomes)) - stated) <= _CLOSE:
            return outcomes.astype(np.float32)
    return None


def _named(path: Path, stated: str | None, field: str, above: int) -> str:
    """Return a name that the file states, or its folder in the layout of the results.

    Raises:
        UnreadableFileError: it is in neither.
    """
    folders = path.absolute().parents
    in_layout = len(folders) > 3 and folders[3].name == _FOLDER  # noqa: PLR2004 - as documented
    name = short_text(stated) or (short_text(folders[above].name) if in_layout else None)
    if name is None:
        problem = (
            "add it, or put the file at bench/<dataset>/<split>/<model>/, as it was published."
        )
        raise UnreadableFileError(path, problem, field=field)
    return name


def _time(path: Path) -> datetime | None:
    """Return the time in the file's name, taken as UTC."""
    match = _TIME.search(path.name)
    return timestamp("{}-{}-{}T{}:{}:{}".format(*match.groups())) if match else None


def _item(record: _Record) -> Item:
    return Item(
        item=short_text(str(record.index)) or "0",
        prompt=storable(record.origin_query) if record.origin_query else None,
        answer=_text(record.ground_truth),
    )


def _text(value: object) -> str | None:
    if isinstance(value, bool | int | float):
        value = str(value)
    return storable(value) if isinstance(value, str) and value else None


def _tokens(values: list[object]) -> NDArray[np.int32] | None:
    numbers = [count(value) for value in values]
    known = [-1 if each is None or each > _MAX_TOKENS else each for each in numbers]
    return np.array(known, np.int32) if max(known) >= 0 else None
