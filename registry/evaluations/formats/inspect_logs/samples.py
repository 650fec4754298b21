"""Samples of an evaluation by Inspect: items, scores by epoch, answers and usage."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.coerce import count, number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats.inspect_logs.log import EpochSample
from registry.evaluations.formats.json_files import members
from registry.evaluations.records import Item

_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # correct, incorrect, partial, no answer
_TRUTH = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_MAX_TOKENS = 2**31 - 1


@dataclass
class EpochSamples:
    """Samples by name, in order of appearance, with their scores by scorer and epoch."""

    path: Path
    items: dict[str, Item] = field(default_factory=dict)
    scores: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    answers: dict[str, str | None] = field(default_factory=dict)
    input_tokens: dict[str, int] = field(default_factory=dict)
    output_tokens: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, float] = field(default_factory=dict)

    def add(self, sample: EpochSample, model: str, scorer: str) -> None:
        """Add a sample of an epoch; `scorer` is that of the one score of version 1."""
        name = short_text(str(sample.id))
        place = f"samples/{sample.id}_epoch_{sample.epoch}"[:80]
        if name is None:
            raise UnreadableFileError(self.path, "a sample has no usable name.", field=place)
        if name not in self.items:
            self.items[name] = _item(name, sample)
            self._observe(name, sample, model)
        scores = sample.scores or ({scorer: sample.score} if sample.score else {})
        if sample.error is not None or sample.invalidation is not None:
            scores = {}
        for key, score in scores.items():
            for part, value in values_of(key, score.value).items():
                epochs = self.scores.setdefault(part, {}).setdefault(name, {})
                if epochs.setdefault(sample.epoch, value) != value:
                    problem = "another sample of this name and epoch has another score."
                    raise UnreadableFileError(self.path, problem, field=place)

    def _observe(self, name: str, sample: EpochSample, model: str) -> None:
        answers = [score.answer for score in (sample.scores or {}).values()]
        stated = next((answer for answer in answers if isinstance(answer, str)), None)
        self.answers[name] = storable(stated) if stated is not None else _completion(sample.output)
        usage = members(sample.model_usage.get(model))
        self.input_tokens[name] = _tokens(usage.get("input_tokens"))
        self.output_tokens[name] = _tokens(usage.get("output_tokens"))
        seconds = sample.working_time if sample.working_time is not None else sample.total_time
        self.latencies[name] = math.nan if seconds is None or seconds < 0 else 1000 * seconds


def values_of(scorer: str, value: object) -> dict[str, float]:
    """Return the finite scores in a sample's value, by scorer or by scorer and key."""
    if isinstance(value, dict):
        parts = {f"{scorer}/{key}": _number(each) for key, each in value.items()}
        return {key: each for key, each in parts.items() if each is not None}
    plain = _number(value)
    return {} if plain is None else {scorer: plain}


def _number(value: object) -> float | None:
    """Return a score as Inspect counts it: C, P and I are 1, 0.5 and 0."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if value in _LETTERS or value.lower() in _TRUTH:
            return _LETTERS.get(value, _TRUTH.get(value.lower()))
        try:
            value = float(value)
        except ValueError:
            return None
    return number(value)


def _item(name: str, sample: EpochSample) -> Item:
    metadata = members(sample.metadata)
    domains = [short_text(metadata.get(key)) for key in ("domain", "subject", "category")]
    target = sample.target
    if isinstance(target, list):
        target = target[0] if len(target) == 1 else None
    return Item(
        item=name,
        prompt=_question(sample.input),
        choices=tuple(map(storable, sample.choices or ())),
        answer=storable(target) if isinstance(target, str) and target else None,
        domain=next((each for each in domains if each), None),
    )


def _question(value: object) -> str | None:
    """Return a sample's input: a text, or the user's messages of a conversation."""
    if isinstance(value, list):
        messages = [members(each) for each in value]
        asked = [_text(each.get("content")) for each in messages if each.get("role") == "user"]
        value = "\n\n".join(filter(None, asked))
    return storable(value) if isinstance(value, str) and value else None


def _text(content: object) -> str:
    if isinstance(content, list):
        texts = [members(part).get("text") for part in content]
        return "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _completion(output: Mapping[str, Any]) -> str | None:
    stated = output.get("completion")
    choices = output.get("choices")
    if not isinstance(stated, str) and isinstance(choices, list) and choices:
        stated = _text(members(members(choices[0]).get("message")).get("content"))
    return storable(stated) if isinstance(stated, str) and stated else None


def _tokens(value: object) -> int:
    tokens = count(value)
    return -1 if tokens is None or tokens > _MAX_TOKENS else tokens
