"""Files of lm-eval's samples: the items of one task, and a model's outcomes on them."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from registry.coerce import count, number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats.lm_eval.documents import Documents, document_name
from registry.evaluations.formats.lm_eval.filters import Sample, SampleFilters, Samples
from registry.evaluations.formats.lm_eval.item_spool import ItemSpool
from registry.evaluations.formats.lm_eval.questions import Prompting, question
from registry.evaluations.formats.lm_eval.results import (
    NO_METRICS,
    ItemCount,
    ResultsFile,
    plain_filter,
)
from registry.evaluations.formats.lm_eval.scales import in_samples
from registry.evaluations.records import (
    NOT_MEASURED,
    Block,
    Item,
    Measure,
    Notes,
    Outcomes,
    Run,
)

_NO_VALUES = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
    | {"doc_hash", "prompt_hash", "target_hash", "logit_0", "schema_version"}
)


_NO_NUMBER = float("inf")
"""Marks a value that is not a number; numbers are finite."""

_Row: TypeAlias = Mapping[str, object]


def read_samples(
    path: Path, task: str, results: ResultsFile, rows: Iterable[tuple[int, _Row]], notes: Notes
) -> Block:
    """Return the items of one task, with a run for each metric and filter.

    Items are named by their `doc_hash`, as `doc_id` is only a place in a data set. A document that
    the data set holds more than once is as many items: HASH, HASH/2 and so on, in the order of
    their `doc_id`. They are in order of appearance. A metric is left out unless all its values can
    be outcomes: numbers within its bounds, or in [0, 1] where it has none; null and NaN are not
    observed. Runs have the scores of the results file too, which may be of more items.

    Args:
        path: of the file, for errors.
        task: that the samples are of.
        results: of the run.
        rows: of the file, with their numbers.
        notes: of what is left out.

    Raises:
        UnreadableFileError: a line is not a sample, contradicts an earlier one, or does not name
            its filter and nothing else shows which it is.
    """
    task = short_text(task) or _raise(path, "the name of the task cannot be stored.")
    items, documents = ItemSpool(), Documents()
    prompting = results.prompting(task)
    filters = SampleFilters(path, results.filters(task), notes)
    for line, row in rows:
        name, number_ = document_name(path, line, row), count(row.get("doc_id"))
        place = documents.place(name, number_)
        if place == len(items):
            items.append(_item(name, row, prompting))
        sample = Sample(_values(path, line, row), _answer(row))
        filters.add(_filter(path, line, row), place, sample, line)
    if not items:
        raise UnreadableFileError(path, "there are no samples in it.")
    items.rename(documents.repeated())
    stated, extent = results.stated(task), results.extent(task)
    by_filter = filters.named({key: run.score for key, run in stated.items()})
    if extent.items is not None and any(each.count < extent.items for each in by_filter.values()):
        notes.left_out("files with fewer samples than their results")
    runs = _Runs(task, results, extent, notes)
    for samples in by_filter.values():
        samples.fill(len(items))
    return Block(
        benchmark=results.benchmark(task),
        items=items,
        runs=[
            run
            for filtered, samples in by_filter.items()
            for run in runs.of(samples, filtered, stated)
        ],
    )


class _Runs:
    """Runs of a file, and what they have in common."""

    def __init__(self, task: str, results: ResultsFile, extent: ItemCount, notes: Notes) -> None:
        self._task, self._results, self._extent, self._notes = task, results, extent, notes
        self._setup = results.setup(task)

    def of(
        self, samples: Samples, filtered: str, stated: Mapping[tuple[str, str], Run]
    ) -> Iterator[Run]:
        """Yield a run for each metric of the samples under one filter."""
        has_answers = any(answer is not None for answer in samples.answers)
        results, extent = self._results, self._extent
        is_part = extent.items is not None and samples.count < extent.items
        for metric, values in samples.values.items():
            measure = results.measure(self._task, metric, filtered)
            outcomes = _outcomes(in_samples(measure), values, self._notes)
            if outcomes is None and measure.width is not None:
                outcomes = _outcomes(measure, values, self._notes)  # a task in percent
            if outcomes is None:
                self._notes.left_out("metrics of samples that are not outcomes in [0, 1]")
                continue
            whole = stated.get((metric, filtered))
            yield Run(
                model=results.model,
                measure=measure,
                source=results.source,
                setup=self._setup,
                revision=results.revision,
                evaluated_at=results.evaluated_at,
                score=whole.score if whole else None,
                standard_error=whole.standard_error if whole else None,
                items=whole.items if whole else None,
                complete=extent.complete and (whole is not None or not is_part),
                outcomes=outcomes,
                answers=samples.answers if has_answers else None,
            )


def _outcomes(measure: Measure, values: Iterable[float], notes: Notes) -> Outcomes | None:
    """Return values of a metric as outcomes; None if one of them is not an outcome.

    RULER writes -1 where it measured nothing, by lengths of contexts that a sample does not have.
    """
    if measure.width is None:
        if measure.higher_is_better is False:
            return None  # a loss that happens to be in [0, 1]
        measure = Measure(metric=measure.metric)
    shares = array("d")
    unmeasured = 0
    for value in values:
        if np.isnan(value):
            shares.append(value)
            continue
        if value == NOT_MEASURED and measure.lower == 0:
            shares.append(np.nan)
            unmeasured += 1
            continue
        share = measure.normalised(value)
        if share is None or not measure.allows(value):  # a value that is not a number is infinite
            return None
        shares.append(share)
    outcomes = np.array(shares, np.float32)
    if unmeasured:
        notes.left_out(f"outcomes by {measure.metric} of -1: nothing was measured", unmeasured)
    return None if np.isnan(outcomes).all() else outcomes


def _item(name: str, row: Mapping[str, object], prompting: Prompting) -> Item:
    target = row.get("target")
    if isinstance(target, int | float) and not isinstance(target, bool):
        target = None if number(target) is None else str(target)
    prompt = question(_argument(row, 0), row.get("doc"), prompting)
    return Item(
        item=name,
        prompt=None if prompt is None else storable(prompt),
        choices=_choices(row.get("doc")),
        answer=storable(target) if isinstance(target, str) else None,
    )


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


def _filter(path: Path, line: int, row: Mapping[str, object]) -> str | None:
    """Return the name of a sample's filter; None where it does not name one, as before 0.4.6."""
    value = row.get("filter")
    if value is None:
        return None
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
