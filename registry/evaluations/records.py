"""Records of evaluations, the common form that every format is read into and written from.

Pure: no file, no database. A `Block` holds the runs of models on one version of a benchmark;
readers of formats yield blocks, and writers take them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.catalog.facts.values import ModelFact
from registry.catalog.resolution import StatedName

Outcomes: TypeAlias = NDArray[np.float32]
"""One outcome an item, in [0, 1]; NaN where the item was not observed."""

HUB_DATASETS = "https://huggingface.co/datasets/"
"""Prefix of the address of a benchmark that is a data set of the Hub."""

_ROUNDING = 1e-6  # of a scale's width: a mean of ones may exceed one, as a 32-bit float by this

NOT_MEASURED = -1.0
"""What harnesses write on scales from 0 where they measured nothing."""

ScoreKind = Literal["measured", "reported"]


class Item(NamedTuple):
    """One question of a benchmark.

    `item` is its name in its source, unique in the benchmark's version. Prompt, choices, the right
    answer and the domain are None or empty where the source does not state them.
    """

    item: str
    prompt: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    domain: str | None = None


def content_hash(item: Item) -> UUID | None:
    """Return a digest of an item's prompt and choices; None where the prompt is not known.

    White space at the ends of lines does not count: it is what sources differ in most often.
    """
    if item.prompt is None:
        return None
    content = [_trimmed(item.prompt), [_trimmed(choice) for choice in item.choices]]
    return _fingerprint(content)


def text_of(prompt: str, choices: Iterable[str] = ()) -> str:
    """Return an item as one text: its prompt, then each choice on a line of its own.

    Items with the same content hash have the same text.
    """
    return "\n".join(_trimmed(part) for part in (prompt, *choices))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _fingerprint(value: object) -> UUID:
    # Lone surrogates cannot be encoded; they are not stored either.
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        content = ascii(value).encode()
    return UUID(bytes=blake2b(content, digest_size=16).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One version of a benchmark: a fixed set of items.

    `version` is empty where the source states none. `url` is where it is from.
    """

    name: str
    version: str = ""
    domain: str | None = None
    description: str | None = None
    url: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Name and version, which identify it."""
        return self.name, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric of a benchmark, with the scale of its raw scores.

    Attributes:
        metric: such as acc, acc_norm, exact_match, win_rate.
        filter: how answers were extracted from replies, such as strict-match; empty for none.
        lower: least raw score; None without a bound.
        upper: greatest raw score, likewise.
        higher_is_better: False for perplexities and errors; None where it is not known.
        random_baseline: raw score of random answers; None if unknown.
        unit: such as %, Elo; None for a share.
        assumed: whether the scale is the usual one of the metric or the task, as the file states
            none; measures are equal whether it is or not.
    """

    metric: str
    filter: str = ""
    lower: float | None = 0.0
    upper: float | None = 1.0
    higher_is_better: bool | None = True
    random_baseline: float | None = None
    unit: str | None = None
    assumed: bool = field(default=False, compare=False)

    @property
    def width(self) -> float | None:
        """Distance of the bounds; None unless there are two, the upper above the lower."""
        if self.lower is None or self.upper is None or self.upper <= self.lower:
            return None
        return self.upper - self.lower

    def normalised(self, raw: float) -> float | None:
        """Return a raw score as a share in [0, 1], higher being better.

        None without bounds or a direction, and for a score outside the bounds: it is not clipped.
        """
        if self.lower is None or self.width is None or self.higher_is_better is None:
            return None
        if not self.allows(raw):
            return None
        share = min(max((raw - self.lower) / self.width, 0.0), 1.0)
        return share if self.higher_is_better else 1.0 - share

    def allows(self, raw: float) -> bool:
        """Return whether a raw score is a number within the bounds, where there are any.

        One outside is no measurement: harnesses write -1 or 999 where they measured nothing.
        """
        slack = _ROUNDING * (self.width or 0.0)
        too_low = self.lower is not None and raw < self.lower - slack
        too_high = self.upper is not None and raw > self.upper + slack
        return math.isfinite(raw) and not too_low and not too_high

    @property
    def span(self) -> str:
        """The bounds as text for messages, such as "from 0 to 1"."""
        least = "-inf" if self.lower is None else f"{self.lower:g}"
        most = "inf" if self.upper is None else f"{self.upper:g}"
        return f"from {least} to {most}"

    def raw(self, share: float) -> float:
        """Return the raw score of a share in [0, 1], the inverse of `normalised`."""
        if self.lower is None or self.upper is None:
            return share
        share = 1.0 - share if self.higher_is_better is False else share
        return self.lower + share * (self.upper - self.lower)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a benchmark was run; None is unknown.

    Attributes:
        harness: the program, such as lm-eval.
        harness_version: its version or commit.
        task_version: the harness's own version of the task.
        shots: number of examples in the prompt.
        prompt_template: name or hash of the prompt template.
        chat_template: name or hash of the chat template; empty if none was used.
        precision: of the weights, such as bfloat16.
        variant: what makes it a system around the model rather than the plain model: best-of-16,
            a reranker, a prompt variant, an agent, a reasoning effort, tools. None is plain.
        details: anything else that distinguishes runs.
    """

    harness: str | None = None
    harness_version: str | None = None
    task_version: str | None = None
    shots: int | None = None
    prompt_template: str | None = None
    chat_template: str | None = None
    precision: str | None = None
    variant: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> UUID:
        """Return a digest of the setup, equal for equal setups."""
        parts = [
            self.harness,
            self.harness_version,
            self.task_version,
            self.shots,
            self.prompt_template,
            self.chat_template,
            self.precision,
            dict(self.details),
        ]
        # Only where there is one, so that runs of plain models keep their keys.
        return _fingerprint([*parts, self.variant] if self.variant else parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who states a score: a leaderboard, a harness's log, a model's card."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One model on one version of a benchmark under one setup, by one measure.

    Attributes:
        model: the model's name as its source spells it; empty if it states none.
        measure: what was measured.
        source: who states it.
        setup: how it was run.
        revision: of the model: a commit, branch or checkpoint.
        evaluated_at: with a time zone.
        score: raw, as the source states it; None where it follows from the outcomes.
        standard_error: of the raw score, likewise.
        items: number of items of the stated score; None where unknown.
        complete: False for a run limited to some of the items.
        verified: whether the source has verified it.
        outcomes: one for each item of the block; None where only the score is known. On fewer items
            than a stated score they are a part of its result, else the score is their mean.
        answers: of the model, None for no answer; one for each item.
        input_tokens: numbers of tokens, one for each item; negative is unknown.
        output_tokens: likewise.
        latencies: in milliseconds, one for each item; NaN is unknown.
    """

    model: str
    measure: Measure
    source: Source
    setup: Setup = field(default_factory=Setup)
    revision: str | None = None
    evaluated_at: datetime | None = None
    score: float | None = None
    standard_error: float | None = None
    items: int | None = None
    complete: bool = True
    verified: bool = False
    outcomes: Outcomes | None = None
    answers: Sequence[str | None] | None = None
    input_tokens: NDArray[np.int32] | None = None
    output_tokens: NDArray[np.int32] | None = None
    latencies: NDArray[np.float32] | None = None

    @property
    def outcome_count(self) -> int | None:
        """Number of items with an outcome; None where only the score is known."""
        return None if self.outcomes is None else int(np.count_nonzero(~np.isnan(self.outcomes)))

    def raw_score(self) -> float | None:
        """Return the score, or else the mean of the outcomes on the source's scale."""
        if self.score is not None or self.outcomes is None or np.isnan(self.outcomes).all():
            return self.score
        return self.measure.raw(float(np.nanmean(self.outcomes)))


def run_id(benchmark: Benchmark, run: Run, setup: UUID) -> int:
    """Return the key of a run: a signed 64-bit integer, the same in every registry.

    It is a digest of the model as spelt, its revision, the benchmark's version, metric, filter,
    setup, source and date; not of the results. `setup` is the fingerprint of its setup.
    """
    identity = orjson.dumps([
        benchmark.name,
        benchmark.version,
        run.measure.metric,
        run.measure.filter,
        run.model,
        run.revision,
        setup,
        run.source.name,
        None if run.evaluated_at is None else run.evaluated_at.astimezone(UTC).isoformat(),
    ])  # fmt: skip
    return int.from_bytes(blake2b(identity, digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Runs of models on one version of a benchmark.

    `items` are the columns of all the runs' outcomes, in their order; empty where only scores are
    known. `runs` may be an iterator that is read once, as they need not fit in memory. A block
    with items and no runs describes the items.
    """

    benchmark: Benchmark
    items: Sequence[Item] = ()
    runs: Iterable[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of models that a source states, by the models that they resolve to."""

    source: Source
    names: Sequence[StatedName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts that a source states of models, such as their sizes and licences."""

    source: Source
    facts: Sequence[ModelFact]


Content: TypeAlias = Block | Names | Facts
"""Content of a file of evaluations."""


class Notes:
    """Counts of what a reader leaves out of a file, by kind, for the report of the import.

    `names` lists the things themselves where they are few, such as columns.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.names: dict[str, list[str]] = {}

    def left_out(self, what: str, times: int = 1) -> None:
        """Count something that is left out; `what` follows a number: "rows without a score"."""
        self.counts[what] = self.counts.get(what, 0) + times

    def left_out_named(self, what: str, names: Iterable[str]) -> None:
        """Count things that are left out, and keep their names."""
        for name in names:
            self.left_out(what)
            self.names.setdefault(what, []).append(name)
