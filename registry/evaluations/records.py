"""What evaluations say, in the one form that every format is read into and written from.

Pure: no file, no database. A `Block` holds what some models did on one version of one benchmark;
whoever reads a format yields blocks, whoever writes one takes them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.catalog.resolution import StatedName

Outcomes: TypeAlias = NDArray[np.float32]
"""One outcome an item, in [0, 1]; NaN where the item was not observed."""

_ROUNDING = 1e-9  # by which a mean of ones may be more than one

ScoreKind = Literal["measured", "reported"]


class Item(NamedTuple):
    """One question of a benchmark.

    `item` is the name by which its source knows it, unique in the benchmark's version. What it
    asks, what there is to choose from, the right answer and the domain are None or empty where the
    source does not tell.
    """

    item: str
    prompt: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    domain: str | None = None


def content_hash(item: Item) -> UUID | None:
    """Fingerprint what an item asks: its prompt and choices; None where they are not known.

    White space at the ends of lines does not count: sources differ in nothing else so often.
    """
    if item.prompt is None:
        return None
    content = [_trimmed(item.prompt), [_trimmed(choice) for choice in item.choices]]
    return _fingerprint(content)


def text_of(prompt: str, choices: Iterable[str] = ()) -> str:
    """Return what an item asks as one text: its prompt, then each choice on a line of its own.

    Items of one content hash have one text.
    """
    return "\n".join(_trimmed(part) for part in (prompt, *choices))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _fingerprint(value: object) -> UUID:
    # Lone surrogates cannot be encoded, and are not stored either.
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        content = ascii(value).encode()
    return UUID(bytes=blake2b(content, digest_size=16).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One version of a benchmark: a set of items that stays as it is.

    `version` is empty where the source knows of none. `url` is where it is from.
    """

    name: str
    version: str = ""
    domain: str | None = None
    description: str | None = None
    url: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it this one: name and version."""
        return self.name, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is measured on a benchmark, and how its numbers are to be read.

    Attributes:
        metric: such as acc, acc_norm, exact_match, win_rate.
        filter: how answers were extracted from replies, such as strict-match; empty if plainly.
        lower: raw score of the worst, None if there is no bound.
        upper: raw score of the best (of the worst where lower is better), None if there is none.
        higher_is_better: False for perplexities and errors.
        random_baseline: raw score of guessing, None if unknown.
        unit: such as %, Elo; None for a share.
    """

    metric: str
    filter: str = ""
    lower: float | None = 0.0
    upper: float | None = 1.0
    higher_is_better: bool = True
    random_baseline: float | None = None
    unit: str | None = None

    @property
    def width(self) -> float | None:
        """How far apart the bounds are; None unless there are two, the upper above the lower."""
        if self.lower is None or self.upper is None or self.upper <= self.lower:
            return None
        return self.upper - self.lower

    def normalised(self, raw: float) -> float | None:
        """Return a raw score as a share in [0, 1], higher being better; None without bounds."""
        if self.lower is None or self.width is None:
            return None
        share = min(max((raw - self.lower) / self.width, 0.0), 1.0)
        return share if self.higher_is_better else 1.0 - share

    def allows(self, raw: float) -> bool:
        """Tell whether a raw score is within the bounds, as far as there are any."""
        too_low = self.lower is not None and raw < self.lower - _ROUNDING
        return not too_low and (self.upper is None or raw <= self.upper + _ROUNDING)

    @property
    def span(self) -> str:
        """The bounds as they read in a message: "from 0 to 1"."""
        least = "-inf" if self.lower is None else f"{self.lower:g}"
        most = "inf" if self.upper is None else f"{self.upper:g}"
        return f"from {least} to {most}"

    def raw(self, share: float) -> float:
        """Return the raw score of a share of outcomes, the reverse of `normalised`."""
        if self.lower is None or self.upper is None:
            return share
        share = share if self.higher_is_better else 1.0 - share
        return self.lower + share * (self.upper - self.lower)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a benchmark was run; None is unknown, not none.

    Attributes:
        harness: the program, such as lm-eval.
        harness_version: its version or commit.
        task_version: the harness's own version of the task.
        shots: examples in the prompt.
        prompt_template: name or hash of the template of the prompt.
        chat_template: name or hash of the template of the chat; empty if none was used.
        precision: of the weights, such as bfloat16.
        details: anything else that tells two runs apart.
    """

    harness: str | None = None
    harness_version: str | None = None
    task_version: str | None = None
    shots: int | None = None
    prompt_template: str | None = None
    chat_template: str | None = None
    precision: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> UUID:
        """Return what tells this setup from any other."""
        return _fingerprint(
            [
                self.harness,
                self.harness_version,
                self.task_version,
                self.shots,
                self.prompt_template,
                self.chat_template,
                self.precision,
                dict(self.details),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who says so: a leaderboard, a harness's log, a model's card."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One model on one version of a benchmark under one setup, by one measure.

    Attributes:
        model: the model's name, spelt as its source spells it.
        measure: what was measured.
        source: who says so.
        setup: how it was run.
        revision: of the model: a commit, branch or checkpoint.
        evaluated_at: when; with a time zone.
        score: raw, as the source states it; None where it follows from the outcomes.
        standard_error: of the raw score, likewise.
        items: number of items that the score is of; None where unknown or where there are outcomes.
        complete: False for a run that was limited to some of the items.
        verified: whether the source vouches for it beyond saying so.
        outcomes: one for each item of the block, None where only the score is known.
        answers: what the model answered, None for none; likewise one for each item.
        input_tokens: number of them, likewise; negative is unknown.
        output_tokens: likewise.
        latencies: in milliseconds, likewise; NaN is unknown.
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


def run_id(benchmark: Benchmark, run: Run, setup: UUID) -> int:
    """Return what makes a run this run, as a signed 64-bit integer, the same in every registry.

    That is its model as spelt, its revision, the benchmark's version, metric, filter, setup,
    source and date; not its results. `setup` is the fingerprint of its setup.
    """
    told = orjson.dumps([
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
    return int.from_bytes(blake2b(told, digest_size=8).digest(), signed=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """What some models did on one version of a benchmark.

    `items` are the columns of all the runs' outcomes, in their order; empty where only scores are
    known. `runs` may be read once only, so that what does not fit in memory need not. A block with
    items and no runs tells what the items are.
    """

    benchmark: Benchmark
    items: Sequence[Item] = ()
    runs: Iterable[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names that stand for models, as a source has them; it knows of models, not of the catalog."""

    source: Source
    names: Sequence[StatedName]


Content: TypeAlias = Block | Names
"""What a file of evaluations may hold."""


class Notes:
    """What was seen in a file and left out, each kind once, with how often.

    A reader is given one and tells it; the report of an import prints it.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def left_out(self, what: str, times: int = 1) -> None:
        """Note something that does not land; `what` reads well after a number: "rows ..."."""
        self.counts[what] = self.counts.get(what, 0) + times
