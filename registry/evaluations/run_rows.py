"""Rows of the staging table, made from runs."""

import math
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from registry.catalog import matching, resolution
from registry.coerce import MAX_TEXT, storable
from registry.errors import RegistryError
from registry.evaluations import benchmarks, staging
from registry.evaluations.packing import Ordinals, Packed, pack, pack_answers
from registry.evaluations.records import Benchmark, Measure, Run, Setup, Source, run_id

_ANALYZED_FROM = 100
"""Runs from which the planner has to know how many there are."""

_EXACT, _ROUNDING = 1e-6, 0.005
"""Shares by which a stated score may differ from the mean that it is: outcomes are floats, and the
last digit of the score is rounded, by this at most."""


def _is_part(run: Run, packed: Packed) -> bool:
    """Return whether a run's outcomes are on some of the items that its score is of.

    Where their number is not known, a score that is not their mean is of more.
    """
    if run.score is None:
        return False
    if run.items is not None:
        return packed.observed < run.items
    exponent = Decimal(repr(run.score)).as_tuple().exponent
    digit = 10.0**exponent if isinstance(exponent, int) else 0.0
    width = run.measure.width or 1.0
    rounding = width * (_EXACT + min(_ROUNDING, digit / 2 / width))
    return abs(run.measure.raw(packed.mean) - run.score) > rounding


class RunRows:
    """Rows of the runs of blocks, staged a batch at a time: a block need not fit in memory."""

    MOST_RUNS = 500
    MOST_CHARACTERS = 16_000_000

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.runs = self.outcomes = self.parts = self._characters = 0
        self._rows: list[list[object]] = []
        self._measures: dict[tuple[int, Measure], int] = {}
        self._setups: dict[int, tuple[int, UUID, Setup]] = {}
        self._setup_ids: dict[UUID, int] = {}
        self._sources: dict[str, int] = {}

    def begin(self, key: int, benchmark: Benchmark, ordinals: Ordinals) -> None:
        """Begin a block: its benchmark's key, the benchmark, and the ordinals of its items."""
        self.key, self.benchmark, self.ordinals = key, benchmark, ordinals
        self._whole = benchmarks.whole_count(self.connection, key)

    def is_full(self) -> bool:
        """Return whether it is time to send the rows."""
        return len(self._rows) >= self.MOST_RUNS or self._characters >= self.MOST_CHARACTERS

    def send(self) -> None:
        """Copy the rows made so far to the staging table."""
        staging.copy(self.connection, self._rows)
        self._rows.clear()
        self._characters = 0

    def end(self) -> None:
        """Send the last rows, and drop duplicates.

        Raises:
            RegistryError: when a run has two different results.
        """
        self.send()
        if self.runs >= _ANALYZED_FROM:
            staging.analyze(self.connection)
        if self.runs > 1:
            staging.drop_duplicates(self.connection)

    def add(self, run: Run) -> None:
        """Add the row of a run.

        Raises:
            RegistryError: when its score or its model's name cannot be stored.
        """
        what = f"{run.model[:MAX_TEXT]!r} on {self.benchmark.name}"
        name = storable(run.model.strip())
        if not resolution.nameable(name):
            raise RegistryError(f"A model's name is 1 to {MAX_TEXT} printable characters: {what}.")
        # A name such as org/name@step1000 states it as well.
        revision = run.revision or matching.stated_revision(name)
        revision = revision and storable(revision)
        if (name, revision) != (run.model, run.revision):
            # The key of a run is made from what is stored.
            run = replace(run, model=name, revision=revision)
        packed = None if run.outcomes is None else self._packed(run, what)
        score, error, items = run.score, run.standard_error, run.items
        if packed is not None:
            if _is_part(run, packed):
                self.parts += 1
            else:
                score, items = run.measure.raw(packed.mean), packed.observed
                error = packed.standard_error
                if error is not None:
                    error = abs(run.measure.raw(error) - run.measure.raw(0.0))
            self._characters += len(packed.right) + len(packed.grades or "")
        if score is None and packed is None:
            raise RegistryError(f"There is neither a score nor an outcome of {what}.")
        if score is not None and not math.isfinite(score):
            raise RegistryError(f"The score {score} of {what} is no finite number.")
        setup, fingerprint = self._setup(run.setup)
        self._rows.append([
            self.runs,
            self.key,
            name,
            run_id(self.benchmark, run, fingerprint),
            self._measure(run.measure),
            setup,
            self._source(run.source),
            score,
            run.evaluated_at,
            items,
            error if error is not None and math.isfinite(error) else None,
            run.complete and not (items is not None and items < self._whole),
            run.verified,
            packed and packed.observed,
            packed and packed.right,
            packed and packed.present,
            packed and packed.grades,
            run.revision,
            *self._answers(run, packed),
        ])  # fmt: skip
        self.runs += 1
        self.outcomes += packed.observed if packed else 0

    def _packed(self, run: Run, what: str) -> Packed | None:
        outcomes = run.outcomes
        assert outcomes is not None
        if len(outcomes) != len(self.ordinals):
            raise RegistryError(
                f"There are {len(outcomes)} outcomes of {what}, but {len(self.ordinals)} items."
            )
        # NaN is neither.
        if bool(np.any((outcomes < 0) | (outcomes > 1))):
            raise RegistryError(f"An outcome of {what} is outside [0, 1].")
        return pack(outcomes, self.ordinals)

    def _answers(self, run: Run, packed: Packed | None) -> list[object]:
        """Return the last five columns: codes, texts, input and output tokens, latencies."""
        if packed is None:
            return [None] * 5
        length = len(packed.right)
        answers = None
        if run.answers is not None:
            inside = self.ordinals < length
            answers = pack_answers(
                [
                    None if answer is None else storable(answer)
                    for answer, is_inside in zip(run.answers, inside, strict=True)
                    if is_inside
                ],
                self.ordinals[inside],
                length,
            )
        return [
            answers and answers.codes,
            answers and answers.texts,
            self._numbers(run.input_tokens, length),
            self._numbers(run.output_tokens, length),
            self._numbers(run.latencies, length),
        ]

    def _numbers(
        self, numbers: NDArray[np.int32] | NDArray[np.float32] | None, length: int
    ) -> list[float | None] | None:
        if numbers is None:
            return None
        by_ordinal: list[float | None] = [None] * length
        for ordinal, number in zip(self.ordinals.tolist(), numbers.tolist(), strict=True):
            if ordinal < length and number >= 0:
                by_ordinal[ordinal] = number
        return by_ordinal if any(number is not None for number in by_ordinal) else None

    def _measure(self, measure: Measure) -> int:
        key = (self.key, measure)
        if key not in self._measures:
            self._measures[key] = benchmarks.measure_id(self.connection, self.key, measure)
        return self._measures[key]

    def _setup(self, setup: Setup) -> tuple[int, UUID]:
        """Return a setup's key and fingerprint, cached by the object, which runs share."""
        if id(setup) not in self._setups:
            fingerprint = setup.fingerprint()
            if fingerprint not in self._setup_ids:
                self._setup_ids[fingerprint] = benchmarks.setup_id(self.connection, setup)
            # The cache holds the object, so that no other one can have its id.
            self._setups[id(setup)] = (self._setup_ids[fingerprint], fingerprint, setup)
        return self._setups[id(setup)][:2]

    def _source(self, source: Source) -> int:
        if source.name not in self._sources:
            self._sources[source.name] = benchmarks.source_id(self.connection, source)
        return self._sources[source.name]
