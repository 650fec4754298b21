"""Runs on their way into the database: made into rows, and sent to a temporary table."""

import math
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import resolution
from registry.coerce import MAX_TEXT, storable
from registry.db.copy import copy_rows
from registry.errors import RegistryError
from registry.evaluations import benchmarks
from registry.evaluations.packing import Ordinals, Packed, pack, pack_answers
from registry.evaluations.records import Benchmark, Measure, Run, Setup, Source, run_id

_TEMPORARY = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_runs (
    place integer, benchmark_id integer, name text, run_id bigint, measure_id integer,
    setup_id integer, source_id integer, score double precision, evaluated_at timestamptz,
    item_count integer, standard_error real, complete boolean, verified boolean, right_bits varbit,
    present_bits varbit, grades real[], revision text, codes bytea, texts text[],
    input_tokens integer[], output_tokens integer[], latencies real[]
) ON COMMIT DELETE ROWS
"""

_COLUMNS = (
    "place", "benchmark_id", "name", "run_id", "measure_id", "setup_id", "source_id", "score",
    "evaluated_at", "item_count", "standard_error", "complete", "verified", "right_bits",
    "present_bits", "grades", "revision", "codes", "texts", "input_tokens", "output_tokens",
    "latencies",
)  # fmt: skip


def prepare(connection: Connection) -> None:
    """Make the temporary table, or empty it; it lasts as long as the connection."""
    connection.exec_driver_sql(_TEMPORARY)
    connection.exec_driver_sql("DELETE FROM incoming_runs")


_ANALYZED_FROM = 100
"""Runs from which the planner has to know how many there are."""


class Rows:
    """The rows of blocks' runs, sent some at a time: a block need not fit in memory."""

    MOST_RUNS = 500
    MOST_CHARACTERS = 16_000_000

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.runs = self.outcomes = self._characters = 0
        self._rows: list[list[object]] = []
        self._measures: dict[tuple[int, Measure], int] = {}
        self._setups: dict[int, tuple[int, UUID, Setup]] = {}
        self._known_setups: dict[UUID, int] = {}
        self._sources: dict[str, int] = {}

    def begin(self, key: int, benchmark: Benchmark, ordinals: Ordinals) -> None:
        """Go on with the runs of another block."""
        self.key, self.benchmark, self.ordinals = key, benchmark, ordinals

    def is_full(self) -> bool:
        """Tell whether it is time to send them."""
        return len(self._rows) >= self.MOST_RUNS or self._characters >= self.MOST_CHARACTERS

    def send(self) -> None:
        """Send those that wait to the temporary table."""
        copy_rows(self.connection, "incoming_runs", _COLUMNS, self._rows)
        self._rows.clear()
        self._characters = 0

    def end(self) -> None:
        """Send the last, and drop those told twice alike.

        Raises:
            RegistryError: when one is told twice, and differently.
        """
        self.send()
        if self.runs >= _ANALYZED_FROM:
            self.connection.exec_driver_sql("ANALYZE incoming_runs")
        if self.runs > 1:
            _refuse_two_results(self.connection)

    def add(self, run: Run) -> None:
        """Make a run's row.

        Raises:
            RegistryError: when its score or its model's name cannot be stored.
        """
        what = f"{run.model[:MAX_TEXT]!r} on {self.benchmark.name}"
        name = storable(run.model.strip())
        if not resolution.nameable(name):
            raise RegistryError(f"A model's name is 1 to {MAX_TEXT} printable characters: {what}.")
        revision = run.revision and storable(run.revision)
        if (name, revision) != (run.model, run.revision):
            # What is not stored does not tell runs apart either.
            run = replace(run, model=name, revision=revision)
        packed = None if run.outcomes is None else self._packed(run, what)
        score, error, items = run.score, run.standard_error, run.items
        if packed is not None:
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
            run.complete,
            run.verified,
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
        """Return the last five columns: codes, texts, tokens read and written, latencies."""
        if packed is None:
            return [None] * 5
        length = len(packed.right)
        answers = None
        if run.answers is not None:
            kept = [
                None if answer is None or place >= length else storable(answer)
                for answer, place in zip(run.answers, self.ordinals.tolist(), strict=True)
            ]
            inside = self.ordinals < length
            answers = pack_answers(
                [answer for answer, kept_ in zip(kept, inside, strict=True) if kept_],
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
        placed: list[float | None] = [None] * length
        for place, number in zip(self.ordinals.tolist(), numbers.tolist(), strict=True):
            if place < length and number >= 0:
                placed[place] = number
        return placed if any(number is not None for number in placed) else None

    def _measure(self, measure: Measure) -> int:
        known = (self.key, measure)
        if known not in self._measures:
            self._measures[known] = benchmarks.measure_id(self.connection, self.key, measure)
        return self._measures[known]

    def _setup(self, setup: Setup) -> tuple[int, UUID]:
        """Return a setup's key and fingerprint; runs share the object, so it is known by that."""
        if id(setup) not in self._setups:
            fingerprint = setup.fingerprint()
            if fingerprint not in self._known_setups:
                self._known_setups[fingerprint] = benchmarks.setup_id(self.connection, setup)
            # Kept along, so that no other object can have its id.
            self._setups[id(setup)] = (self._known_setups[fingerprint], fingerprint, setup)
        return self._setups[id(setup)][:2]

    def _source(self, source: Source) -> int:
        if source.name not in self._sources:
            self._sources[source.name] = benchmarks.source_id(self.connection, source)
        return self._sources[source.name]


def benchmarks_with_outcomes(connection: Connection) -> Sequence[int]:
    """Return the keys of the benchmarks that staged runs have outcomes on."""
    return connection.scalars(
        text("SELECT DISTINCT benchmark_id FROM incoming_runs WHERE right_bits IS NOT NULL")
    ).all()


def _refuse_two_results(connection: Connection) -> None:
    """Drop runs that blocks tell twice alike; refuse those that they tell differently."""
    twice = connection.execute(
        text("""
        SELECT a.name, k.name AS benchmark, a.score AS one, b.score AS other
          FROM incoming_runs a
          JOIN incoming_runs b ON b.run_id = a.run_id AND b.place > a.place
          JOIN store.benchmarks k ON k.benchmark_id = a.benchmark_id
         WHERE (a.score, a.item_count, a.right_bits, a.present_bits, a.grades)
               IS DISTINCT FROM (b.score, b.item_count, b.right_bits, b.present_bits, b.grades)
         ORDER BY a.place LIMIT 1""")
    ).one_or_none()
    if twice is not None:
        raise RegistryError(
            f"There are two results of {twice.name} on {twice.benchmark} that nothing tells apart, "
            f"{twice.one:g} and {twice.other:g}: map what differs between the runs (revision, "
            "precision, shots, date or details), or remove one."
        )
    connection.execute(
        text("""
        DELETE FROM incoming_runs b USING incoming_runs a
         WHERE b.run_id = a.run_id AND b.place > a.place""")
    )
