"""Files of lm-eval's samples: the items of one task, and a model's outcomes on them."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from registry.coerce import count, number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.lm_eval.item_spool import ItemSpool
from registry.evaluations.formats.lm_eval.results import (
    NO_METRICS,
    SOURCE,
    ItemCount,
    ResultsFile,
    plain_filter,
    time_in_name,
)
from registry.evaluations.formats.lm_eval.scales import in_samples
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Notes,
    Outcomes,
    Run,
    Setup,
)
from registry.evaluations.scales import known_measure

_NO_VALUES = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
    | {"doc_hash", "prompt_hash", "target_hash", "logit_0", "schema_version"}
)


_NO_NUMBER = float("inf")
"""Marks a value that is not a number; numbers are finite."""


class _Sample(NamedTuple):
    """Results of a model on one item under one filter.

    `document` is its number in the data set, which distinguishes a repeated line from a copy.
    A value is NaN where it was not observed, infinite where it is not a number.
    """

    document: int | None
    values: Mapping[str, float]
    answer: str | None


class _Samples:
    """Results of a model under one filter, by the places of items: about 30 bytes a sample."""

    def __init__(self) -> None:
        self.answers: list[str | None] = []
        self.values: dict[str, array[float]] = {}
        self._documents: list[int | None] = []
        self._present = bytearray()

    def get(self, place: int) -> _Sample | None:
        """Return the sample of an item, if there is one."""
        if place >= len(self._present) or not self._present[place]:
            return None
        values = {
            metric: column[place] for metric, column in self.values.items() if place < len(column)
        }
        return _Sample(self._documents[place], values, self.answers[place])

    def put(self, place: int, sample: _Sample) -> None:
        """Store the first sample of an item."""
        missing = max(place + 1 - len(self._present), 0)
        self._present.extend(bytes(missing))
        self._documents.extend([None] * missing)
        self.answers.extend([None] * missing)
        self._present[place] = 1
        self._documents[place], self.answers[place] = sample.document, sample.answer
        for metric, value in sample.values.items():
            column = self.values.setdefault(metric, array("d"))
            column.extend([float("nan")] * (place + 1 - len(column)))
            column[place] = value

    def fill(self, count: int) -> None:
        """Extend all columns to `count` places."""
        self.answers.extend([None] * (count - len(self.answers)))
        for column in self.values.values():
            column.extend([float("nan")] * (count - len(column)))


def read_samples(path: Path, task: str, results: ResultsFile | None, notes: Notes) -> Block:
    """Return the items of one task, with a run for each metric and filter.

    Items are named by their `doc_hash`, as `doc_id` is only a place in a data set. They are in
    order of appearance. A metric is left out unless all its values can be outcomes: numbers within
    its bounds, or in [0, 1] where it has none; null and NaN are not observed.

    Raises:
        UnreadableFileError: a line is not a sample, or contradicts an earlier one.
    """
    task = short_text(task) or _raise(path, "the name of the task cannot be stored.")
    items, places = ItemSpool(), dict[str, int]()
    filters: dict[str, _Samples] = {}
    numbers: dict[str, int] = {}
    for line, row in json_files.rows(path):
        item = _item(path, line, row)
        place = places.setdefault(item.item, len(places))
        if place == len(items):
            items.append(item)
        filtered = _filter(path, line, row)
        sample = _Sample(count(row.get("doc_id")), _values(path, line, row), _answer(row))
        numbers[filtered] = numbers.get(filtered, 0) + 1
        _add(filters.setdefault(filtered, _Samples()), place, sample, (path, line), notes)
    if not items:
        raise UnreadableFileError(path, "there are no samples in it.")
    extent = results.extent(task) if results else ItemCount(None, complete=True)
    if extent.items is not None and any(n < extent.items for n in numbers.values()):
        notes.left_out("files with fewer samples than their results")
        extent = ItemCount(extent.items, complete=False)
    runs = _Runs(path, task, results, extent, notes)
    for samples in filters.values():
        samples.fill(len(items))
    return Block(
        benchmark=results.benchmark(task) if results else Benchmark(name=task),
        items=items,
        runs=[run for filtered, samples in filters.items() for run in runs.of(samples, filtered)],
    )


def _add(
    samples: _Samples, place: int, sample: _Sample, at: tuple[Path, int], notes: Notes
) -> None:
    earlier = samples.get(place)
    if earlier is None:
        samples.put(place, sample)
        return
    differing = _differing(earlier.values, sample.values)
    if not differing:
        notes.left_out("samples that repeat another one")
    elif earlier.document != sample.document:
        # Some data sets contain a document twice, with different results of a model.
        notes.left_out("samples of a document that the data set contains twice")
    else:
        path, line = at
        raise UnreadableFileError(
            path,
            "an earlier line has another value for this sample.",
            line=line,
            field=differing[0],
        )


def _differing(one: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    nan = float("nan")  # of what is missing; NaN equals itself here
    pairs = [(key, one.get(key, nan), other.get(key, nan)) for key in {**one, **other}]
    return [key for key, a, b in pairs if a != b and not (a != a and b != b)]  # noqa: PLR0124


class _Runs:
    """Runs of a file, and what they have in common."""

    def __init__(
        self, path: Path, task: str, results: ResultsFile | None, extent: ItemCount, notes: Notes
    ) -> None:
        self._path, self._task, self._results, self._notes = path, task, results, notes
        self._complete = extent.complete
        self._model = results.model if results else ""
        self._setup = results.setup(task) if results else Setup(harness="lm-eval")

    def of(self, samples: _Samples, filtered: str) -> Iterator[Run]:
        """Yield a run for each metric of the samples under one filter."""
        has_answers = any(answer is not None for answer in samples.answers)
        for metric, values in samples.values.items():
            measure = self._measure(metric, filtered)
            outcomes = _outcomes(in_samples(measure), values)
            if outcomes is None:
                self._notes.left_out("metrics of samples that are not outcomes in [0, 1]")
                continue
            yield Run(
                model=self._model,
                measure=measure,
                source=SOURCE if self._results is None else self._results.source,
                setup=self._setup,
                revision=self._results.revision if self._results else None,
                evaluated_at=self._results.evaluated_at
                if self._results
                else time_in_name(self._path.name),
                complete=self._complete,
                outcomes=outcomes,
                answers=samples.answers if has_answers else None,
            )

    def _measure(self, metric: str, filtered: str) -> Measure:
        if self._results:
            return self._results.measure(self._task, metric, filtered)
        return known_measure(metric, filtered)


def _outcomes(measure: Measure, values: Iterable[float]) -> Outcomes | None:
    """Return values of a metric as outcomes; None if one of them is not an outcome."""
    if measure.width is None:
        if not measure.higher_is_better:
            return None  # a loss that happens to be in [0, 1]
        measure = Measure(metric=measure.metric)
    shares = array("d")
    for value in values:
        if np.isnan(value):
            shares.append(value)
            continue
        share = measure.normalised(value)
        if share is None or not measure.allows(value):  # a value that is not a number is infinite
            return None
        shares.append(share)
    outcomes = np.array(shares, np.float32)
    return None if np.isnan(outcomes).all() else outcomes


def _item(path: Path, line: int, row: Mapping[str, object]) -> Item:
    name = row.get("doc_hash")
    if name is None:
        if "doc" not in row:
            raise UnreadableFileError(
                path, "a sample needs this, or else its doc.", line=line, field="doc_hash"
            )
        name = _hash(path, line, row["doc"])
    name = short_text(name)
    if name is None:
        raise UnreadableFileError(path, "this is not a hash.", line=line, field="doc_hash")
    target = row.get("target")
    if isinstance(target, int | float) and not isinstance(target, bool):
        target = None if number(target) is None else str(target)
    prompt = _argument(row, 0)
    return Item(
        item=name,
        prompt=storable(prompt) if isinstance(prompt, str) else None,
        choices=_choices(row.get("doc")),
        answer=storable(target) if isinstance(target, str) else None,
    )


def _hash(path: Path, line: int, document: object) -> str:
    try:
        content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates, huge integers
        try:
            content = json.dumps(document, sort_keys=True).encode()
        except (RecursionError, ValueError) as error:
            raise UnreadableFileError(
                path, "this is nested too deeply.", line=line, field="doc"
            ) from error
    return sha256(content).hexdigest()


def _choices(document: object) -> tuple[str, ...]:
    choices = document.get("choices") if isinstance(document, dict) else None
    if isinstance(choices, dict):
        choices = choices.get("text")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return ()
    return tuple(map(storable, choices))


def _argument(row: Mapping[str, object], position: int) -> object:
    """Return an argument of the first request: {"gen_args_0": {"arg_0": ...}}, or [[...]]."""
    arguments = row.get("arguments")
    if isinstance(arguments, dict):
        first = arguments.get("gen_args_0")
        return first.get(f"arg_{position}") if isinstance(first, dict) else None
    first = arguments[0] if isinstance(arguments, list) and arguments else None
    return first[position] if isinstance(first, list) and len(first) > position else None


def _filter(path: Path, line: int, row: Mapping[str, object]) -> str:
    value = row.get("filter", "none")
    name = short_text(value)
    if name is None:
        raise UnreadableFileError(
            path, "this is not a name of a filter.", line=line, field="filter"
        )
    return plain_filter(name)


def _values(path: Path, line: int, row: Mapping[str, object]) -> dict[str, float]:
    """Return the values of a sample's metrics; before 0.4.3 the metrics are not listed."""
    if "metrics" not in row:
        names = [key for key, value in row.items() if isinstance(value, bool | int | float)]
        names = [name for name in names if name not in _NO_VALUES]
    else:
        listed = row["metrics"]
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise UnreadableFileError(
                path, "this is not a list of names.", line=line, field="metrics"
            )
        names = listed
    usable = [name for name in names if name not in NO_METRICS and short_text(name) == name]
    for name in usable:
        if name not in row:
            raise UnreadableFileError(
                path, "the sample lists this metric without a value.", line=line, field=name
            )
    return {name: _value(row[name]) for name in usable}


def _value(value: object) -> float:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return np.nan
    real = float(value) if isinstance(value, bool) else number(value)
    return _NO_NUMBER if real is None else real


def _answer(row: Mapping[str, object]) -> str | None:
    """Return a model's answer; None for pairs of a likelihood and a truth value."""
    answers = row.get("filtered_resps")
    answer = answers[0] if isinstance(answers, list) and answers else answers
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    # The likelihood of a whole text, requested without a second argument, is not an answer.
    rolling = _argument(row, 0) is not None and _argument(row, 1) is None
    return storable(answer) if isinstance(answer, str) and not rolling else None


def _raise(path: Path, problem: str) -> str:
    raise UnreadableFileError(path, problem)
