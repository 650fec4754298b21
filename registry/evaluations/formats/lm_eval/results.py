"""Results file of lm-eval: the model, its setup and its scores."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from registry.coerce import count, number, short_text, storable, timestamp
from registry.errors import UnreadableFileError, shortened
from registry.evaluations.formats.json_files import members
from registry.evaluations.formats.lm_eval.model import StatedModel, flat, scalar, short_or_digest
from registry.evaluations.formats.lm_eval.questions import Prompting
from registry.evaluations.formats.lm_eval.scales import in_results, rescaled
from registry.evaluations.records import (
    HUB_DATASETS,
    Benchmark,
    Block,
    Measure,
    Notes,
    Run,
    Setup,
    Source,
)
from registry.evaluations.scales import LM_EVAL, known_measure

SOURCE = Source(name="lm-eval")

NO_METRICS = frozenset({"alias", "name", "sample_len", "sample_count", "samples", "bypass", ""})
"""Keys that are not metrics of a task; `bypass` is the metric of a run that only writes answers."""

_OF_LIGHTEVAL = "config_general"  # whose files have the same names
_DATASET = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_UNSAFE = re.compile(r'["<>:/|\\?*\[\]\x00-\x1f]+')
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT)(\d\d)[:-](\d\d)[:-](\d\d(?:\.\d{1,6})?)")


REGISTRY_KEY = "llm_registry"
"""Member of a results file that only the registry writes: source, harness, details and scales."""


class ItemCount(NamedTuple):
    """Number of items of a score, None if unknown, and whether these are all of the task."""

    items: int | None
    complete: bool


class FilterNames(NamedTuple):
    """Names of a task's filters, and whether samples are in their order."""

    names: list[str]
    ordered: bool


def is_results(content: object) -> bool:
    """Return whether a JSON value is lm-eval's results."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("results"), dict)
        and ("config" in content or "versions" in content)
        and _OF_LIGHTEVAL not in content
    )


def time_in_name(name: str) -> datetime | None:
    """Return the time in a file's name, such as 2026-01-21T03-44-18.458309, taken as UTC."""
    match = _TIME.search(name)
    return timestamp(f"{match[1]}{match[2]}:{match[3]}:{match[4]}") if match else None


def plain_filter(name: str) -> str:
    """Return a filter's name; lm-eval writes `none` where there is none."""
    return "" if name == "none" else name


def result_key(metric: str, filtered: str) -> str:
    """Return the key of a score, as since 0.4."""
    return f"{metric},{filtered or 'none'}"


def safe_name(name: str) -> str:
    """Return a name as lm-eval writes it in the names of files."""
    return _UNSAFE.sub("__", name).strip(".") or "_"


class ResultsFile:
    """One results file: JSON of which only the presence of `results`, an object, is certain."""

    def __init__(self, path: Path, content: Mapping[str, object]) -> None:
        self.path, self._content = path, content
        self._config = members(content.get("config"))
        self._stated = StatedModel(content)

    @property
    def arguments_text(self) -> str | None:
        """The model's arguments as one text, as early versions name files by it."""
        arguments = self._config.get("model_args")
        return arguments if isinstance(arguments, str) else None

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the tasks and of the groups of tasks."""
        names = [*members(self._content.get("results")), *members(self._content.get("groups"))]
        return [name for name in dict.fromkeys(names) if _is_name(name)]

    @property
    def model(self) -> str:
        """The model's name as given to lm-eval; empty if the file states none."""
        return self._stated.name

    @property
    def revision(self) -> str | None:
        """The model's commit, else the requested branch unless that is main."""
        return self._stated.revision

    @cached_property
    def evaluated_at(self) -> datetime | None:
        """The time when the run began, else the time in the file's name."""
        seconds = number(self._content.get("date"))
        if seconds is not None:
            try:
                return datetime.fromtimestamp(seconds, UTC)
            except (ValueError, OverflowError, OSError):
                pass
        return time_in_name(self.path.name)

    @cached_property
    def source(self) -> Source:
        """lm-eval, or the source that the registry exported the file from."""
        stated = members(members(self._content.get(REGISTRY_KEY)).get("source"))
        name = short_text(stated.get("name"))
        return Source(name=name, url=short_text(stated.get("url"))) if name else SOURCE

    def benchmark(self, task: str) -> Benchmark:
        """Return the task as a benchmark; its address is that of its data set on the Hub."""
        data = self._of_task("configs", task).get("dataset_path")
        is_dataset = isinstance(data, str) and _DATASET.fullmatch(data)
        return Benchmark(name=task, url=f"{HUB_DATASETS}{data}" if is_dataset else None)

    def setup(self, task: str) -> Setup:
        """Return the setup of a task."""
        config, content = self._of_task("configs", task), self._content
        shots = [self._value("n-shot", task), config.get("num_fewshot")]
        shots.append(self._config.get("num_fewshot"))
        template = short_text(content.get("chat_template_sha"))
        has_template = "chat_template_sha" in content or "chat_template" in content
        return Setup(
            harness=self._harness,
            harness_version=scalar(content.get("lm_eval_version"))
            or scalar(content.get("git_hash")),
            task_version=scalar(self._value("versions", task)),
            shots=next((n for shot in shots if (n := count(shot)) is not None), None),
            prompt_template=short_text(self._value("task_hashes", task)),
            # Unknown where an old harness does not write it, none where it writes null.
            chat_template=template
            or ("" if has_template and not content.get("chat_template") else None),
            precision=self._stated.precision,
            variant=self._variant,
            details=self._details,
        )

    @cached_property
    def _harness(self) -> str | None:
        own = members(self._content.get(REGISTRY_KEY))
        return short_text(own.get("harness")) if "harness" in own else "lm-eval"

    @cached_property
    def _variant(self) -> str | None:
        own = members(self._content.get(REGISTRY_KEY))
        return short_text(own.get("variant")) if "details" in own else self._stated.variant

    @cached_property
    def _details(self) -> dict[str, str]:
        own = members(self._content.get(REGISTRY_KEY)).get("details")
        if isinstance(own, dict):
            texts = {storable(key): scalar(value) for key, value in own.items()}
            return {key: text for key, text in texts.items() if text}
        details = {
            "base": self._stated.base,
            "fewshot_as_multiturn": scalar(self._content.get("fewshot_as_multiturn") or None),
            "system_instruction": scalar(self._content.get("system_instruction_sha")),
            "gen_kwargs": _flat(self._config.get("gen_kwargs")),
        }
        details |= self._stated.details
        return {
            key: text for key, text in details.items() if text and text not in ("False", "None")
        }

    def measure(self, task: str, metric: str, filtered: str) -> Measure:
        """Return the measure of a task's metric, on the scale that the registry wrote, if any."""
        higher = self._of_task("higher_is_better", task).get(metric)
        if not isinstance(higher, bool):
            listed = self._of_task("configs", task).get("metric_list")
            entries = [entry for entry in _list(listed) if isinstance(entry, dict)]
            stated = [e.get("higher_is_better") for e in entries if e.get("metric") == metric]
            higher = stated[0] if stated else None
        known = known_measure(
            metric,
            filtered,
            task=task,
            harness=LM_EVAL,
            higher_is_better=higher if isinstance(higher, bool) else None,
        )
        scale = self._scale(task, known)
        lower, upper = number(scale.get("lower")), number(scale.get("upper"))
        if not scale or (lower is not None and upper is not None and lower >= upper):
            return known
        written = scale.get("higher_is_better", higher if isinstance(higher, bool) else None)
        return replace(
            known,
            lower=lower,
            upper=upper,
            assumed=False,
            higher_is_better=written if isinstance(written, bool) else None,
            random_baseline=number(scale.get("random_baseline")),
            unit=short_text(scale.get("unit")),
        )

    def _scale(self, task: str, measure: Measure) -> Mapping[str, object]:
        """Return the scale that the registry wrote for a measure; empty if it wrote none."""
        scales = members(members(self._content.get(REGISTRY_KEY)).get("scales"))
        key = result_key(measure.metric, measure.filter)
        return members(members(scales.get(task)).get(key))

    def _as_stated(
        self, task: str, measure: Measure, score: float, error: float | None
    ) -> tuple[float, float | None]:
        """Return a score and its standard error on their source's scale.

        The registry writes the source's own values beside the scale, as conversion both ways is not
        exact; they are used as long as they agree with the results.
        """
        scale, file_measure = self._scale(task, measure), in_results(measure, task)
        own, own_error = number(scale.get("score")), number(scale.get("standard_error"))
        if own is not None and rescaled(own, own_error, measure, file_measure) == (score, error):
            return own, own_error
        return rescaled(score, error, file_measure, measure)

    def extent(self, task: str) -> ItemCount:
        """Return the number of items of a task's scores.

        The counts show whether the run was limited; where there are none, the limit does.
        """
        leaves = [self._of_task("n-samples", leaf) for leaf in self._leaves(task)]
        effective = [count(leaf.get("effective")) for leaf in leaves]
        original = [count(leaf.get("original")) for leaf in leaves]
        items = _sum(effective)
        available = _sum(original)
        if items is None or available is None:
            return ItemCount(items, self._config.get("limit") is None)
        return ItemCount(items, items >= available)

    def stated(self, task: str) -> Mapping[tuple[str, str], Run]:
        """Return the runs of a task's scores, by metric and filter."""
        runs = self._runs(task, Notes())
        return {(run.measure.metric, run.measure.filter): run for run in runs}

    def filters(self, task: str) -> FilterNames:
        """Return the names of a task's filters, as its configuration lists them."""
        listed = _list(self._of_task("configs", task).get("filter_list"))
        names = [short_text(members(each).get("name")) for each in listed]
        if names and all(names):
            return FilterNames([plain_filter(name) for name in names if name], ordered=True)
        keys = [key.partition(",")[2] for key in self._of_task("results", task) if "," in key]
        return FilterNames(list(dict.fromkeys(map(plain_filter, keys))), ordered=False)

    def prompting(self, task: str) -> Prompting:
        """Return how the prompts of a task are made."""
        is_own = REGISTRY_KEY in self._content
        return Prompting.of(
            self._of_task("configs", task), self.setup(task).shots, is_question=is_own
        )

    def _leaves(self, task: str) -> list[str]:
        """Return the tasks in a group, or the task itself."""
        leaves: dict[str, None] = {}
        seen = {task}
        pending = [task]
        while pending:
            name = pending.pop()
            listed = _list(members(self._content.get("group_subtasks")).get(name))
            parts = [part for part in listed if isinstance(part, str) and part not in seen]
            if not parts:
                leaves[name] = None
            seen.update(parts)
            pending.extend(parts)
        return list(leaves)

    def blocks(self, notes: Notes) -> Iterator[Block]:
        """Yield a block of scores for each task and each group.

        Groups are in `results` as well as in `groups`; they are read once.

        Raises:
            UnreadableFileError: there are scores, and none of them is usable.
        """
        left_out, usable = Notes(), False
        for task in self.tasks:
            runs = list(self._runs(task, left_out))
            if runs:
                usable = True
                yield Block(benchmark=self.benchmark(task), runs=runs)
        for what, times in left_out.counts.items():
            notes.left_out(what, times)
        if left_out.counts and not usable:
            first, *others = left_out.counts
            more = f" (and {len(others):,} more)" if others else ""
            raise UnreadableFileError(
                self.path, f"nothing in it is usable: {first}{more}.", field="results"
            )

    def _runs(self, task: str, notes: Notes) -> Iterator[Run]:
        scores = {**self._of_task("groups", task), **self._of_task("results", task)}
        setup, extent = self.setup(task), self.extent(task)
        by_filter = any("," in key for key in scores)
        for key, value in scores.items():
            metric, comma, filtered = key.partition(",")
            metric = metric.strip()
            if metric in NO_METRICS or metric.endswith("_stderr"):
                continue
            if isinstance(value, str) and by_filter and not comma:
                continue  # a fact about the task: since 0.4 the key of a score has a filter
            if not _is_name(metric) or not (_is_name(filtered) or not comma):
                notes.left_out("scores without a usable name")
                continue
            score = number(value)
            if score is None:
                notes.left_out(f"scores of {task} by {key}: {_shown(value)} is not a finite number")
                continue
            measure = self.measure(task, metric, plain_filter(filtered))
            file_measure = in_results(measure, task)
            if not measure.assumed and not file_measure.allows(score):
                # On its own scale it might be within the bounds.
                notes.left_out(f"scores of {task} by {key}: {score!r} is not {file_measure.span}")
                continue
            error = number(scores.get(f"{metric}_stderr{comma}{filtered}"))
            score, error = self._as_stated(task, measure, score, error)
            yield Run(
                model=self.model,
                measure=measure,
                source=self.source,
                setup=setup,
                revision=self.revision,
                evaluated_at=self.evaluated_at,
                score=score,
                standard_error=error,
                items=extent.items,
                complete=extent.complete,
            )

    def _value(self, part: str, task: str) -> object:
        return members(self._content.get(part)).get(task)

    def _of_task(self, part: str, task: str) -> Mapping[str, object]:
        return members(self._value(part, task))


def _is_name(text: str) -> bool:
    return short_text(text) == text


def _shown(value: object) -> str:
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else shortened(value)


def _flat(value: object) -> str | None:
    """Return generation arguments as one text; the digest of one that is too long."""
    if not isinstance(value, dict):
        return short_or_digest(value)
    pairs = [(name, text) for name, text in flat(value) if text]
    return short_or_digest(",".join(f"{name}={text}" for name, text in sorted(pairs)))


def _sum(counts: list[int | None]) -> int | None:
    """Return the sum of counts; None if there is none, or one is unknown."""
    numbers = [n for n in counts if n is not None]
    return sum(numbers) if numbers and len(numbers) == len(counts) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
