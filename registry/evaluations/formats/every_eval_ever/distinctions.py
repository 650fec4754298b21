"""Results of one name in an aggregate, distinguished by what the file says of each."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from registry.coerce import number, short_text
from registry.evaluations.formats.json_files import members
from registry.evaluations.records import Benchmark, Notes, Run, run_id

_PARTS = (
    *("split", "hf_split", "subset", "subtask", "subject", "category", "language", "level"),
    *("difficulty", "domain", "task", "group", "scenario"),
)
"""Names of parts of a benchmark, which results of one name may be of."""

_RESULT = re.compile(
    r"(?:score|mean|std|err|correct|count|total|time|cost|token|rank|conf|vote|min|max|value|raw"
    r"|url|link|date|version|description|baseline|bounds|direction|filter)|^(?:n|ci|num)(?:_|$)",
    re.IGNORECASE,
)
"""Names of details that are results, or are read otherwise."""

_MAX_DETAILS = 50
_T = TypeVar("_T")


class Result(NamedTuple):
    """One entry of `evaluation_results`; `key` is its id, empty if it has none."""

    benchmark: Benchmark
    run: Run
    key: str
    facts: Mapping[str, str] = {}


def facts(entry: Mapping[str, object]) -> dict[str, str]:
    """Return what an entry says of its result besides the score, by name."""
    data, config = members(entry.get("source_data")), members(entry.get("metric_config"))
    generation = members(entry.get("generation_config"))
    places = (
        members(members(entry.get("score_details")).get("details")),
        {"hf_split": data.get("hf_split")},
        members(data.get("additional_details")),
        members(config.get("additional_details")),
        {key: generation[key] for key in generation if isinstance(generation[key], str)},
        {"dataset": data.get("dataset_name"), "measures": config.get("evaluation_description")},
    )
    stated: dict[str, str] = {}
    for place in places:
        for key, value in list(place.items())[:_MAX_DETAILS]:
            text = short_text(value if number(value) is None else str(value))
            name = short_text(key)
            if text and name and not _RESULT.search(name):
                stated.setdefault(name, text)
    return stated


def distinguished(results: Iterable[Result], notes: Notes) -> Iterator[Result]:
    """Yield results, those of one name with what distinguishes them as part of their filter.

    The tab of a leaderboard is always part of it, so that all its files agree. Scores that nothing
    distinguishes, and that contradict each other, are left out with a note.
    """
    tabbed = [_labelled(each, each.facts.get("tab")) for each in results]
    by_part: list[Result] = []
    for same in _grouped(tabbed, _measured):
        for each in same:
            parts = [each.facts[key] for key in _differing(same, _PARTS) if key in each.facts]
            by_part.append(_labelled(each, ", ".join(parts) or None))
    by_scale: list[Result] = []
    for same in _grouped(by_part, _measured):
        scales = {_scale(each) for each in same}
        by_scale += [_labelled(each, _scale(each) if len(scales) > 1 else None) for each in same]
    for same in _grouped(by_scale, _identity):
        if len({each.run.score for each in same}) == 1:
            yield from same
        elif separate := _separated(same):
            yield from separate
        else:
            name = same[0].benchmark.name
            notes.left_out(f"scores of {name} that contradict each other", len(same))


def _grouped(results: Sequence[_T], key: Callable[[_T], Hashable]) -> list[list[_T]]:
    groups: dict[Hashable, list[_T]] = {}
    for each in results:
        groups.setdefault(key(each), []).append(each)
    return list(groups.values())


def _measured(result: Result) -> Hashable:
    measure = result.run.measure
    return *result.benchmark.key, measure.metric, measure.filter


def _identity(result: Result) -> Hashable:
    return run_id(result.benchmark, result.run, result.run.setup.fingerprint())


def _scale(result: Result) -> str:
    measure = result.run.measure
    return " ".join(filter(None, (measure.span.removeprefix("from "), measure.unit)))


def _differing(results: Sequence[Result], keys: Iterable[str]) -> list[str]:
    return [key for key in keys if len({each.facts.get(key) for each in results}) > 1]


def _separated(results: Sequence[Result]) -> list[Result]:
    """Return results with further facts in their filters; empty if different ones stay alike."""
    keys = _differing(results, dict.fromkeys(key for each in results for key in each.facts))
    labels = [
        ", ".join(f"{key}={each.facts[key]}" for key in keys if key in each.facts)
        for each in results
    ]
    scores: dict[str, set[float | None]] = {}
    for label, each in zip(labels, results, strict=True):
        scores.setdefault(label, set()).add(each.run.score)
    if any(len(different) > 1 for different in scores.values()):
        return []
    return [_labelled(each, label) for label, each in zip(labels, results, strict=True)]


def _labelled(result: Result, label: str | None) -> Result:
    if not label or label == result.run.measure.filter:
        return result
    measure = result.run.measure
    filtered = ", ".join(filter(None, (measure.filter, label)))
    # A label that is too long loses its end, which leaves a contradiction to be seen.
    run = replace(result.run, measure=replace(measure, filter=filtered[:255].strip()))
    return result._replace(run=run)
