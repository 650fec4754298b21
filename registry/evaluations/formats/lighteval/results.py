"""Results file of lighteval: the model, its setup and its scores, by suite, task and shots."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from registry.coerce import count, number, short_text, timestamp
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.json_files import members
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
from registry.evaluations.scales import known_measure

SOURCE = Source(name="lighteval")

_SHA = re.compile(r"[0-9a-f]{40}")
_DATASET = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)[:-](\d\d)[:-](\d\d(?:\.\d{1,6})?)")
_ALL = "all"  # mean over all tasks of a file, whichever these are
_AVERAGE = ":_average"  # ends the name of a mean over the parts of a task
_CHAT = ("use_chat_template", "override_chat_template", "chat_template")
_GENERATION = ("temperature", "top_p", "top_k", "max_new_tokens", "seed", "stop_tokens")


class TaskKey(NamedTuple):
    """Key of a task in a results file: `suite|task|shots`, or `task|shots` since 0.11."""

    key: str
    suite: str | None
    task: str
    shots: int | None

    @classmethod
    def parse(cls, key: str) -> "TaskKey":
        """Split a key; a part after the shots, of old versions, only says how they are cut."""
        parts = [part.strip() for part in key.split("|")]
        suite = parts.pop(0) if len(parts) > 2 else None  # noqa: PLR2004 - suite, task, shots
        shots = parts[1] if len(parts) > 1 else ""
        return cls(
            key, suite, parts[0].removesuffix(_AVERAGE), int(shots) if shots.isdecimal() else None
        )


class _File(msgspec.Struct):
    config_general: dict[str, Any]
    results: dict[str, dict[str, Any]]
    versions: dict[str, Any] = {}
    config_tasks: dict[str, Any] = {}


class LightevalResults:
    """One results file."""

    def __init__(self, path: Path, file: _File) -> None:
        self.path, self._file = path, file
        self._general = file.config_general
        self._model = members(self._general.get("model_config"))

    @classmethod
    def load(cls, path: Path) -> "LightevalResults":
        """Read a results file.

        Raises:
            UnreadableFileError: it is none; names the field.
        """
        return cls(path, json_files.typed(json_files.raw(path), _File, path))

    @cached_property
    def model(self) -> str:
        """The model's name."""
        for stated in (self._general.get("model_name"), self._model.get("model_name")):
            if name := short_text(stated):
                return name
        problem = "no model is named."
        raise UnreadableFileError(self.path, problem, field="config_general.model_name")

    @cached_property
    def revision(self) -> str | None:
        """The model's commit, else the requested branch unless that is main."""
        commit = self._general.get("model_sha")
        if isinstance(commit, str) and _SHA.fullmatch(commit):
            return commit
        branch = short_text(self._model.get("revision"))
        return None if branch == "main" else branch

    @cached_property
    def evaluated_at(self) -> Any:
        """The time in the file's name; its own times are of a clock without a date."""
        match = _TIME.search(self.path.name)
        return timestamp(f"{match[1]}:{match[2]}:{match[3]}") if match else None

    def key_of(self, name: str) -> TaskKey:
        """Return the key of the task in a name of details, where `|` and `/` may be replaced.

        Raises:
            UnreadableFileError: there is none, or several.
        """
        plain = re.sub(r"[|:/]", "_", name)
        fitting = [key for key in self._file.results if re.sub(r"[|:/]", "_", key) == plain]
        if len(fitting) != 1:
            problem = f"there is no task {name[:100]!r} in it, as the name of the details says."
            raise UnreadableFileError(self.path, problem, field="results")
        return self._key(fitting[0])

    def _key(self, key: str) -> TaskKey:
        parsed = TaskKey.parse(key)
        if short_text(parsed.task) != parsed.task:
            problem = "this is not suite|task|shots, nor task|shots."
            raise UnreadableFileError(self.path, problem, field=f"results.{key[:80]}")
        return parsed

    def benchmark(self, key: TaskKey) -> Benchmark:
        """Return the task as a benchmark; its address is that of its data set on the Hub."""
        data = self._config(key).get("hf_repo")
        is_dataset = isinstance(data, str) and _DATASET.fullmatch(data)
        return Benchmark(name=key.task, url=f"{HUB_DATASETS}{data}" if is_dataset else None)

    def setup(self, key: TaskKey) -> Setup:
        """Return the setup of a task."""
        general, model = self._general, self._model
        sha = short_text(general.get("lighteval_sha"))
        precision = short_text(general.get("model_dtype")) or short_text(model.get("dtype")) or ""
        precision = precision.removeprefix("torch.")
        version = self._file.versions.get(key.key, self._config(key).get("version"))
        chat = [model[name] for name in _CHAT if isinstance(model.get(name), bool)]
        parameters = members(general.get("generation_parameters")) or members(
            model.get("generation_parameters")
        )
        details = {
            "suite": None if key.suite == "lighteval" else key.suite,
            "base": short_text(model.get("base_model")),
            "system_instruction": short_text(model.get("system_prompt")),
            "gen_kwargs": _flat({name: parameters.get(name) for name in _GENERATION}),
        }
        effort = short_text(parameters.get("reasoning_effort"))
        return Setup(
            harness="lighteval",
            harness_version=None if sha == "?" else sha,
            task_version=None if version is None else short_text(str(version)),
            shots=key.shots,
            chat_template="" if chat == [False] else None,
            precision=None if precision in ("", "auto") else precision,
            variant=f"reasoning_effort={effort}" if effort else None,
            details={name: text for name, text in details.items() if text},
        )

    def measure(self, key: TaskKey, metric: str) -> Measure:
        """Return the measure of a task's metric, in the direction that the file states."""
        config = self._config(key)
        listed = config.get("metric") or config.get("metrics")
        entries = [members(each) for each in listed] if isinstance(listed, list) else []
        stated = [
            each.get("higher_is_better") for each in entries if each.get("metric_name") == metric
        ]
        higher = stated[0] if stated and isinstance(stated[0], bool) else None
        return known_measure(metric, task=key.task, harness="lighteval", higher_is_better=higher)

    def extent(self, key: TaskKey) -> tuple[int | None, bool]:
        """Return the number of documents, None if unknown, and whether these are all."""
        config = self._config(key)
        effective, original = (
            count(config.get(f"{name}_num_docs")) for name in ("effective", "original")
        )
        original = count(config.get("original_num_docs"))
        if effective and original is not None:
            return effective, effective >= original
        return None, self._general.get("max_samples") is None

    def scores(self, key: TaskKey) -> Mapping[str, object]:
        """Return the values of a task's metrics, standard errors included."""
        return self._file.results[key.key]

    def run(self, key: TaskKey, measure: Measure, **results: Any) -> Run:
        """Return a run of a task by a measure, with its score or its outcomes."""
        return Run(
            model=self.model,
            measure=measure,
            source=SOURCE,
            setup=self.setup(key),
            revision=self.revision,
            evaluated_at=self.evaluated_at,
            **results,
        )

    def blocks(self, notes: Notes) -> Iterator[Block]:
        """Yield a block of scores for each task, and each mean over the parts of one.

        Raises:
            UnreadableFileError: there are no scores.
        """
        empty = True
        for name in self._file.results:
            if name == _ALL:
                notes.left_out("means over all tasks of a file")
                continue
            key = self._key(name)
            runs = list(self._runs(key, notes))
            if runs:
                empty = False
                yield Block(benchmark=self.benchmark(key), runs=runs)
        if empty:
            raise UnreadableFileError(self.path, "there are no scores in it.", field="results")

    def _runs(self, key: TaskKey, notes: Notes) -> Iterator[Run]:
        scores = self.scores(key)
        items, complete = self.extent(key)
        for name, value in scores.items():
            if name.endswith("_stderr"):
                continue
            score = number(value)
            metric = short_text(name)
            if score is None or metric is None:
                notes.left_out("scores that are no finite numbers")
                continue
            measure = self.measure(key, metric)
            error = number(scores.get(f"{name}_stderr"))
            yield self.run(
                key, measure, score=score, standard_error=error, items=items, complete=complete
            )

    def _config(self, key: TaskKey) -> Mapping[str, object]:
        names = (key.key, key.key.rpartition("|")[0])
        return next((c for name in names if (c := members(self._file.config_tasks.get(name)))), {})


def _flat(values: Mapping[str, object]) -> str | None:
    pairs = [f"{key}={value}" for key, value in sorted(values.items()) if value is not None]
    return short_text(",".join(pairs)[:255])
