"""Runs of a run folder of HELM: its metrics by split and perturbation."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import NamedTuple

from registry.coerce import number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats.helm.folder import (
    AdapterSpec,
    Instance,
    MetricName,
    RequestState,
    RunFolder,
    Statistic,
)
from registry.evaluations.formats.json_files import members
from registry.evaluations.formats.means import outcomes_of
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
from registry.evaluations.scales import known_measure

SOURCE = Source(name="HELM", url="https://crfm.stanford.edu/helm")

_NO_SCORES = re.compile(
    r"num_.*|.*runtime.*|training_.*|inference_.*|.*_cost.*|log_?prob.*|finish_reason_.*|batch_size"
    r"|predicted_index|max_prob|prompt_truncated|platt_.*|.*_length|bytes_.*|annotation_.*"
)
"""Statistics of requests and of data rather than of answers."""

_SIZE = "num_instances"
"""Statistic of how many instances a part has."""

_SHARES = re.compile(
    r"(quasi_|prefix_|quasi_prefix_|quasi_leave_articles_)?(exact_match|set_match)(_indicator)?"
    r"|f1_score|f1_set_match|iou_set_match|exact_set_match|classification_(macro|micro)_f1"
    r"|math_equiv(_chain_of_thought)?|code_eval_acc|pass|rouge_[12l]|bleu_[14]|NDCG|RR|MAP|recall"
    r"|ifeval_strict_accuracy|omni_math_accuracy|chain_of_thought_correctness|program_accuracy"
    r"|wildbench_score_rescaled|final_number_exact_match|absolute_value_difference_match|edit_similarity|legal_.*_exact_match"
)
"""Metrics of HELM from 0 to 1, with or without @k."""

_ERRORS = re.compile(
    r"ece_\d+_bin|ece_1_bin|(expected_)?max_toxicity|toxic_frac|brier_score_binary"
)
_SETUP_ARGUMENTS = frozenset(
    {"model", "model_deployment", "method", "data_augmentation", "max_train_instances", "stop"}
    | {"num_train_trials", "max_eval_instances", "instructions", "prompt", "temperature", "groups"}
    | {"increase_max_tokens", "add_to_stop", "format_prompt", "global_prefix", "output_format"}
    | {"num_outputs", "eval_split", "chatml", "output_format_instructions", "tokenizer"}
)
"""Arguments in a run's name that are not of its scenario."""


class _Part(NamedTuple):
    """Split and sub-split of instances."""

    split: str | None
    sub_split: str | None

    @classmethod
    def of(cls, named: MetricName | Instance) -> "_Part":
        return cls(named.split, named.sub_split)

    @property
    def version(self) -> str:
        """The benchmark's version: empty for the test split."""
        names = [self.split if self.split != "test" or self.sub_split else None, self.sub_split]
        return "/".join(filter(None, names))


@dataclass
class _Instances:
    """Instances of one part, without perturbation: texts, answers, and values by metric."""

    items: dict[str, Item] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def blocks(folder: RunFolder, notes: Notes) -> Iterator[Block]:
    """Yield a block for each part of a run.

    Raises:
        UnreadableFileError: a file is invalid, or there are no scores.
    """
    parts = _instances(folder)
    scores: dict[_Part, list[Statistic]] = {}
    sizes: dict[_Part, int] = {}
    for statistic in folder.statistics():
        if statistic.name.name == _SIZE and statistic.name.perturbation is None:
            size = number(statistic.mean)
            sizes[_Part.of(statistic.name)] = round(size) if size and size > 0 else 0
        if _NO_SCORES.fullmatch(statistic.name.name):
            notes.left_out("statistics of requests, which are no scores")
        else:
            scores.setdefault(_Part.of(statistic.name), []).append(statistic)
    runs = _Runs(folder, notes)
    empty = True
    for part, statistics in scores.items():
        instances = parts.get(part, _Instances())
        size = sizes.get(part) or None
        found = [run for statistic in statistics for run in runs.of(statistic, instances, size)]
        if found:
            empty = False
            benchmark = Benchmark(name=_benchmark(folder), version=part.version)
            yield Block(benchmark=benchmark, items=list(instances.items.values()), runs=found)
    if empty:
        raise UnreadableFileError(folder.file("stats.json"), "there are no scores in it.")


class _Runs:
    """Runs of a folder, and what they have in common."""

    def __init__(self, folder: RunFolder, notes: Notes) -> None:
        self._notes = notes
        adapter = folder.spec.adapter_spec
        model = short_text(adapter.model)
        if model is None:
            raise UnreadableFileError(folder.path, "no model is named.", field="adapter_spec.model")
        self._run = Run(
            model=model, measure=Measure(metric=""), source=SOURCE, setup=_setup(folder, adapter)
        )
        self._task = _benchmark(folder)
        self._limit = adapter.max_eval_instances

    def of(self, statistic: Statistic, instances: _Instances, size: int | None) -> Iterator[Run]:
        """Yield the run of a statistic, if it has a value on its scale.

        Args:
            statistic: of all instances of a part.
            instances: those of the part that are kept, which may be fewer.
            size: number of the part's instances; None if it is not known.
        """
        metric, value = short_text(statistic.name.name), number(statistic.mean)
        if metric is None or value is None:
            self._notes.left_out("statistics without a finite mean")
            return
        measure = _measure(metric, statistic.name, self._task)
        count = size or len(instances.items)
        complete = self._limit is None or 0 < count < self._limit
        run = replace(self._run, measure=measure, complete=complete)
        observed = instances.values.get(metric, {}) if statistic.name.perturbation is None else {}
        names = list(instances.items)
        tried = [observed.get(name, [math.nan]) for name in names]
        values = [math.fsum(each) / len(each) for each in tried]
        is_part = 0 < len(observed) < (size or 0)
        outcomes = outcomes_of(measure, value, values, is_part=is_part)
        if outcomes is None and size is None and 0 < len(observed) < count:
            is_part = True
            outcomes = outcomes_of(measure, value, values, is_part=True)
        if outcomes is None:
            if observed:
                self._notes.left_out("values of instances that are not outcomes of their score")
            yield replace(run, score=value, items=count or None)
            return
        if is_part:
            run = replace(run, score=value, items=count)
        answers = [instances.answers.get(name) for name in names]
        yield replace(run, outcomes=outcomes, answers=answers if any(answers) else None)


def _instances(folder: RunFolder) -> dict[_Part, _Instances]:
    parts: dict[_Part, _Instances] = {}
    part_of: dict[str, _Part] = {}
    for request in folder.requests():
        instance = request.instance
        name = short_text(instance.id)
        if name is None:
            problem = "an instance has no id."
            raise UnreadableFileError(folder.file("scenario_state.json"), problem, field="instance")
        if instance.perturbation is not None:
            continue
        own = parts.setdefault(_Part.of(instance), _Instances())
        part_of[name] = _Part.of(instance)
        if name not in own.items:
            own.items[name] = _item(name, instance)
        answer = _answer(request)
        if answer is not None:
            own.answers.setdefault(name, answer)
    for statistics in folder.instance_statistics():
        name = short_text(statistics.instance_id)
        if name is None or statistics.perturbation is not None:
            continue
        for statistic in statistics.stats:
            value = number(statistic.mean)
            if value is None or statistic.name.perturbation is not None:
                continue
            own = parts.setdefault(_Part.of(statistic.name), _Instances())
            own.items.setdefault(name, Item(name))
            own.values.setdefault(statistic.name.name, {}).setdefault(name, []).append(value)
    return parts


def _measure(metric: str, name: MetricName, task: str) -> Measure:
    """Return the measure of a metric; the perturbation is its filter."""
    change = name.perturbation
    filtered = ",".join(filter(None, (change.name, change.computed_on))) if change else ""
    plain = metric.partition("@")[0]
    known = known_measure(metric, filtered, task=task)
    if _SHARES.fullmatch(plain):
        return replace(known, lower=0.0, upper=1.0, higher_is_better=True, assumed=False)
    if _ERRORS.fullmatch(metric):
        return replace(known, lower=0.0, upper=1.0, higher_is_better=False, assumed=False)
    return known


def _benchmark(folder: RunFolder) -> str:
    """Return the scenario's name with those of the run's arguments that choose its instances."""
    scenario, _, arguments = folder.spec.name.partition(":")
    pairs = [
        pair for pair in arguments.split(",") if pair.partition("=")[0] not in _SETUP_ARGUMENTS
    ]
    name = short_text(":".join(filter(None, (scenario, ",".join(filter(None, pairs))))))
    if name is None:
        raise UnreadableFileError(folder.path, "no scenario is named.", field="name")
    return name


def _setup(folder: RunFolder, adapter: AdapterSpec) -> Setup:
    texts = (
        *(adapter.global_prefix, adapter.global_suffix, adapter.instructions),
        *(adapter.input_prefix, adapter.input_suffix),
        *(adapter.reference_prefix, adapter.reference_suffix),
        *(adapter.output_prefix, adapter.output_suffix, adapter.instance_prefix),
    )
    arguments = folder.spec.name.partition(":")[2].split(",")
    pairs = dict(pair.partition("=")[::2] for pair in arguments)
    generation = {"temperature": adapter.temperature, "max_tokens": adapter.max_tokens}
    flat = [f"{key}={value:g}" for key, value in generation.items() if value is not None]
    details = {
        "method": adapter.method,
        "deployment": adapter.model_deployment,
        "gen_kwargs": ",".join(sorted(flat)),
        "prompt": pairs.get("prompt", ""),
        "trials": "" if adapter.num_train_trials == 1 else str(adapter.num_train_trials),
    }
    return Setup(
        harness="HELM",
        shots=adapter.max_train_instances,
        prompt_template=sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16],
        details={key: text for key, each in details.items() if (text := short_text(each))},
    )


def _item(name: str, instance: Instance) -> Item:
    references = [(_text(each.get("output")), each.get("tags")) for each in instance.references]
    choices = [text for text, _ in references if text]
    right = [text for text, tags in references if isinstance(tags, list) and "correct" in tags]
    return Item(
        item=name,
        prompt=_text(instance.input) or None,
        choices=tuple(choices) if len(choices) > 1 and len(right) == 1 else (),
        answer=right[0] or None if len(right) == 1 else None,
    )


def _text(value: object) -> str:
    """Return a text, which is plain or in an object."""
    text = members(value).get("text") if isinstance(value, dict) else value
    return storable(text) if isinstance(text, str) else ""


def _answer(request: RequestState) -> str | None:
    """Return the first completion of a request that is not about one reference."""
    if request.train_trial_index or request.reference_index is not None:
        return None
    completions = members(request.result).get("completions")
    first = completions[0] if isinstance(completions, list) and completions else None
    return _text(first) or None
