"""Instances of Every Eval Ever: rows with the results of models on each sample."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from registry.coerce import count, number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.json_files import members
from registry.evaluations.records import (
    Benchmark,
    Block,
    Item,
    Measure,
    Notes,
    Outcomes,
    Run,
    Source,
)

_ATTEMPTS = ("attempt", "epoch", "repeat", "trial", "seed")
_MAX_TOKENS = 2**31 - 1


@dataclass
class _Row:
    """Result of a model on one sample, over all its attempts: the mean score, the first answer."""

    item: Item
    scores: dict[str, float | None]
    correct: dict[str, bool | None]
    answer: str | None
    input_tokens: int
    output_tokens: int
    latency: float
    sample: str = ""

    @property
    def score(self) -> float | None:
        return _mean(list(self.scores.values()))

    @property
    def share_right(self) -> float | None:
        return _mean([None if right is None else float(right) for right in self.correct.values()])


_Group: TypeAlias = dict[str, _Row]


class Instances:
    """All rows of one file, by evaluation.

    A sample is named by its `sample_hash`, else by its `sample_id`; the data set holds one hash as
    often as there are ids of it: HASH, HASH/2 and so on. Other rows that repeat a sample are
    attempts if their metadata number them (attempt, epoch, repeat, trial, seed): their scores are
    averaged, and the first one's answer, tokens and latency count. Other repetitions are ignored
    if they agree, and are an error if they do not.

    Raises:
        UnreadableFileError: a row lacks what every row needs, or contradicts an earlier one.
    """

    def __init__(self, path: Path, notes: Notes) -> None:
        self.rows = 0
        self._path, self._notes = path, notes
        self._groups: dict[tuple[str, str, str], _Group] = {}
        for line, row in json_files.rows(path):
            self.rows += 1
            evaluation = self._name(row, "evaluation_name", line)
            key = short_text(row.get("evaluation_result_id")) or ""
            group = (evaluation, key, self._name(row, "model_id", line))
            self._add(self._groups.setdefault(group, {}), row, line)
        if not self._groups:
            raise UnreadableFileError(path, "there are no instances in it.")

    def blocks(self, source: Source) -> Iterator[Block]:
        """Yield a block for each evaluation, of rows without an aggregate."""
        for name in dict.fromkeys(evaluation for evaluation, _, _ in self._groups):
            runs = [
                (Run(model=model, measure=_plain(key), source=source), rows)
                for (evaluation, key, model), rows in self._groups.items()
                if evaluation == name
            ]
            yield self._block(Benchmark(name=name), runs)

    def joined(
        self, benchmark: Benchmark, runs: Sequence[tuple[str, Run]], ids: AbstractSet[str]
    ) -> Block:
        """Return the block of an aggregate's runs, given with their ids, and the rows of each.

        Rows name their result; otherwise they belong to the evaluation's only result, or else to a
        `score` of their own. `ids` are those of all results, also on other versions of the
        benchmark.
        """
        unnamed = [
            group
            for group in self._groups
            if group[0] == benchmark.name and group[1] not in ids - {""}
        ]
        paired: list[tuple[Run, _Group]] = []
        for key, run in runs:
            own = [group for group in self._groups if key and group[1] == key]
            if not own and len(runs) == 1:
                own, unnamed = unnamed[:1], unnamed[1:]
            paired.append((run, self._groups[own[0]] if own else {}))
        for group in unnamed:
            self._notes.left_out("evaluations whose instances do not name their score")
            paired.append((_bare(runs[0][1], group[1]), self._groups[group]))
        return self._block(benchmark, paired)

    def _block(self, benchmark: Benchmark, paired: Sequence[tuple[Run, _Group]]) -> Block:
        items = {name: row.item for _, rows in paired for name, row in rows.items()}
        runs = [self._observed(run, rows, list(items)) if rows else run for run, rows in paired]
        known = [run for run in runs if run.outcomes is not None or run.score is not None]
        return Block(benchmark=benchmark, items=list(items.values()), runs=known)

    def _observed(self, run: Run, rows: _Group, names: Sequence[str]) -> Run:
        outcomes = _outcomes(run.measure, [rows.get(name) for name in names])
        if outcomes is None:
            self._notes.left_out(
                "scores whose instances are neither on their scale nor right or wrong"
            )
            return run
        aligned = [rows.get(name) for name in names]
        answers = [row.answer if row else None for row in aligned]
        latencies = np.array([row.latency if row else np.nan for row in aligned], np.float32)
        return replace(
            run,
            outcomes=outcomes,
            answers=answers if any(answer is not None for answer in answers) else None,
            input_tokens=_tokens(aligned, lambda row: row.input_tokens),
            output_tokens=_tokens(aligned, lambda row: row.output_tokens),
            latencies=None if np.isnan(latencies).all() else latencies,
        )

    def _add(self, group: _Group, row: Mapping[str, object], line: int) -> None:
        new, attempt = self._row(row, line)
        name = new.item.item
        old = group.setdefault(name, new)
        for nth in itertools.count(2):
            if attempt not in old.scores or old.sample in ("", new.sample):
                break
            # The data set holds the sample more than once.
            twin = replace(new, item=new.item._replace(item=f"{name}/{nth}"))
            new, old = twin, group.setdefault(f"{name}/{nth}", twin)
        if old is new:
            return
        if attempt not in old.scores:
            old.scores |= new.scores
            old.correct |= new.correct
        elif (old.scores[attempt], old.correct[attempt]) == (new.score, new.correct[attempt]):
            self._notes.left_out("instances that repeat another one")
        else:
            problem = "an earlier row has another score for this sample."
            raise self._error(problem, line, "evaluation.score")

    def _row(self, row: Mapping[str, object], line: int) -> tuple[_Row, str]:
        evaluation, question = members(row.get("evaluation")), members(row.get("input"))
        score, correct = number(evaluation.get("score")), evaluation.get("is_correct")
        correct = correct if isinstance(correct, bool) else None
        if score is None and correct is None:
            raise self._error("there is neither score nor is_correct.", line, "evaluation")
        name = short_text(row.get("sample_hash")) or self._name(row, "sample_id", line)
        metadata = members(row.get("metadata"))
        numbers = [(key, metadata.get(key)) for key in _ATTEMPTS]
        attempt = ",".join(f"{key}={n!s:.20}" for key, n in numbers if isinstance(n, str | int))
        usage = members(row.get("token_usage"))
        latency = number(members(row.get("performance")).get("latency_ms"))
        item = Item(
            item=name,
            prompt=_text(question.get("raw")),
            choices=_choices(question.get("choices")),
            answer=_text(_first(question.get("reference"))),
            domain=short_text(metadata.get("domain")) or short_text(metadata.get("subject")),
        )
        result = _Row(
            item=item,
            scores={attempt: score},
            correct={attempt: correct},
            answer=_answer(row),
            input_tokens=_token_count(usage.get("input_tokens")),
            output_tokens=_token_count(usage.get("output_tokens")),
            latency=latency if latency is not None and latency >= 0 else np.nan,
            sample=short_text(row.get("sample_id")) or "",
        )
        return result, attempt

    def _name(self, row: Mapping[str, object], field: str, line: int) -> str:
        name = short_text(row.get(field))
        if name is None:
            raise self._error("every row needs this: a short text.", line, field)
        return name

    def _error(self, problem: str, line: int, field: str) -> UnreadableFileError:
        return UnreadableFileError(self._path, problem, line=line, field=field)


def _plain(key: str) -> Measure:
    return Measure(metric="score", filter=key)


def _bare(run: Run, key: str) -> Run:
    return replace(run, measure=_plain(key), score=None, standard_error=None, items=None)


def _outcomes(measure: Measure, rows: Sequence[_Row | None]) -> Outcomes | None:
    """Return scores as shares of the measure's scale, else whether samples are right, else None.

    An aggregate's percentages may have instances in [0, 1]: so it is if right ones score 1.
    """
    known = [row for row in rows if row is not None]
    if all(row.score is not None for row in known):
        scores = [row.score or 0.0 for row in known]
        lower, upper = measure.lower, measure.upper
        in_unit = all(0 <= score <= 1 for score in scores)
        right = [row for row in known if row.share_right]
        if lower is None or upper is None:
            if in_unit and measure.higher_is_better:
                return _aligned(rows, lambda row: row.score)
        elif in_unit and upper > 1 and any(row.score == row.share_right for row in right):
            return _aligned(rows, lambda row: row.score)
        elif all(lower <= score <= upper for score in scores):
            return _aligned(rows, lambda row: measure.normalised(row.score or 0.0))
    if all(row.share_right is not None for row in known):
        return _aligned(rows, lambda row: row.share_right)
    return None


def _aligned(rows: Sequence[_Row | None], outcome: Callable[[_Row], float | None]) -> Outcomes:
    return np.array([np.nan if row is None else outcome(row) for row in rows], np.float32)


def _tokens(rows: Sequence[_Row | None], tokens: Callable[[_Row], int]) -> NDArray[np.int32] | None:
    counts = np.array([-1 if row is None else tokens(row) for row in rows], np.int32)
    return None if (counts < 0).all() else counts


def _token_count(value: object) -> int:
    tokens = count(value)
    return -1 if tokens is None or tokens > _MAX_TOKENS else tokens


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of values; None if there is none, or one is unknown."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None


def _answer(row: Mapping[str, object]) -> str | None:
    """Return a model's first reply, or the value extracted from the end of a conversation."""
    reply = _text(_first(members(row.get("output")).get("raw")))
    if reply is not None:
        return reply
    attribution = row.get("answer_attribution")
    ends = [members(part) for part in attribution] if isinstance(attribution, list) else []
    final = [end.get("extracted_value") for end in ends if end.get("is_terminal") is True]
    return _text(final[-1]) if final else None


def _choices(value: object) -> tuple[str, ...]:
    whole = isinstance(value, list) and all(isinstance(choice, str) for choice in value)
    return tuple(map(storable, value)) if whole and isinstance(value, list) else ()


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None
