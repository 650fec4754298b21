"""Runs in the database: what blocks of evaluations add and change."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry import benchmarks, resolution
from registry.db import copy_rows
from registry.errors import RegistryError
from registry.evaluation import Benchmark, Block, Measure, Run, Setup, Source, run_id
from registry.packing import Ordinals, Packed, pack, pack_answers
from registry.values import MAX_TEXT, storable

_TEMPORARY = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_runs (
    place integer, benchmark_id integer, name text, run_id bigint, measure_id integer,
    setup_id integer, source_id integer, score double precision, evaluated_at timestamptz,
    item_count integer, standard_error real, complete boolean, verified boolean, right_bits varbit,
    present_bits varbit, grades real[], revision text, codes bytea, texts text[],
    input_tokens integer[], output_tokens integer[], latencies real[]
) ON COMMIT DROP
"""

_COLUMNS = (
    "place", "benchmark_id", "name", "run_id", "measure_id", "setup_id", "source_id", "score",
    "evaluated_at", "item_count", "standard_error", "complete", "verified", "right_bits",
    "present_bits", "grades", "revision", "codes", "texts", "input_tokens", "output_tokens",
    "latencies",
)  # fmt: skip

# A file that tells the score alone leaves the outcomes that another one told.
_MERGE = """
WITH incoming AS (
    SELECT n.model_id, n.name_id, i.*
      FROM incoming_runs i JOIN store.evaluated_names n USING (name)
), written AS (
    INSERT INTO store.runs AS r (
           model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, import_id, item_count, standard_error, complete, verified, right_bits,
           present_bits, grades, revision)
    SELECT model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, :import, item_count, standard_error, complete, verified, right_bits,
           present_bits, grades, revision
      FROM incoming ORDER BY model_id, run_id
        ON CONFLICT (model_id, run_id) DO UPDATE
       SET score = excluded.score, import_id = excluded.import_id,
           measure_id = excluded.measure_id, item_count = excluded.item_count,
           standard_error = excluded.standard_error, complete = excluded.complete,
           verified = excluded.verified,
           right_bits = coalesce(excluded.right_bits, r.right_bits),
           present_bits = CASE WHEN excluded.right_bits IS NULL THEN r.present_bits
                               ELSE excluded.present_bits END,
           grades = CASE WHEN excluded.right_bits IS NULL THEN r.grades ELSE excluded.grades END
     WHERE (excluded.right_bits IS NOT NULL
            AND (r.measure_id, r.score, r.item_count, r.standard_error, r.complete, r.verified,
                 r.right_bits, r.present_bits, r.grades)
                IS DISTINCT FROM (
                    excluded.measure_id, excluded.score, excluded.item_count,
                    excluded.standard_error, excluded.complete, excluded.verified,
                    excluded.right_bits, excluded.present_bits, excluded.grades))
        OR (r.right_bits IS NULL
            AND (r.measure_id, r.score, r.item_count, r.standard_error, r.complete, r.verified)
                IS DISTINCT FROM (
                    excluded.measure_id, excluded.score, excluded.item_count,
                    excluded.standard_error, excluded.complete, excluded.verified))
    RETURNING r.model_id, r.run_id, (xmax = 0) AS added
), outdated AS (
    -- Answers to which other outcomes belonged.
    DELETE FROM store.answers a USING written w, incoming i
     WHERE NOT w.added AND (a.model_id, a.run_id) = (w.model_id, w.run_id)
       AND (i.model_id, i.run_id) = (w.model_id, w.run_id) AND i.right_bits IS NOT NULL
       AND i.codes IS NULL AND i.input_tokens IS NULL AND i.output_tokens IS NULL
       AND i.latencies IS NULL
)
SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added) AS changed
  FROM written
"""

_MERGE_ANSWERS = """
INSERT INTO store.answers AS a (
       model_id, run_id, benchmark_id, codes, texts, input_tokens, output_tokens, latencies)
SELECT n.model_id, i.run_id, i.benchmark_id, i.codes, i.texts, i.input_tokens, i.output_tokens,
       i.latencies
  FROM incoming_runs i JOIN store.evaluated_names n USING (name)
 WHERE i.codes IS NOT NULL OR i.input_tokens IS NOT NULL
    OR i.output_tokens IS NOT NULL OR i.latencies IS NOT NULL
    ON CONFLICT (model_id, run_id) DO UPDATE
   SET codes = excluded.codes, texts = excluded.texts, input_tokens = excluded.input_tokens,
       output_tokens = excluded.output_tokens, latencies = excluded.latencies
 WHERE (a.codes, a.texts, a.input_tokens, a.output_tokens, a.latencies)
       IS DISTINCT FROM (excluded.codes, excluded.texts, excluded.input_tokens,
                         excluded.output_tokens, excluded.latencies)
"""


@dataclass(slots=True)
class Written:
    """What blocks added and changed; `outcomes` counts those of all runs, known ones included."""

    runs: int = 0
    added: int = 0
    changed: int = 0
    outcomes: int = 0
    items_added: int = 0
    items_completed: int = 0
    answers: int = 0
    unresolved: int = 0
    benchmarks: set[int] = field(default_factory=set)

    @property
    def unchanged(self) -> int:
        """Runs that were known just so."""
        return self.runs - self.added - self.changed

    @property
    def changes(self) -> int:
        """Rows that were added or changed."""
        return self.added + self.changed + self.items_added + self.items_completed + self.answers

    def add(self, other: "Written") -> None:
        """Count what another block did as well."""
        self.runs += other.runs
        self.added += other.added
        self.changed += other.changed
        self.outcomes += other.outcomes
        self.items_added += other.items_added
        self.items_completed += other.items_completed
        self.answers += other.answers
        self.unresolved += other.unresolved
        self.benchmarks |= other.benchmarks


def write_blocks(
    connection: Connection,
    blocks: Iterable[Block],
    *,
    as_of: datetime,
    import_id: int | None = None,
) -> Written:
    """Take in what some models did on some benchmarks.

    Args:
        connection: in a transaction.
        blocks: each read once, one after the other.
        as_of: when names in them were heard of.
        import_id: key of the file that they are from; None for what the Hub shows with models.

    Raises:
        RegistryError: when they contradict themselves or what is stored.
    """
    connection.exec_driver_sql(_TEMPORARY)
    connection.exec_driver_sql("TRUNCATE incoming_runs")
    written = Written()
    rows = _Rows(connection)
    for block in blocks:
        key = benchmarks.benchmark_id(connection, block.benchmark)
        placed = benchmarks.place_items(connection, key, block.items)
        written.benchmarks.add(key)
        written.items_added += placed.added
        written.items_completed += placed.completed
        rows.begin(key, block.benchmark, placed.ordinals)
        for run in block.runs:
            rows.add(run)
            if rows.is_full():
                rows.send()
    rows.send()
    written.runs, written.outcomes = rows.runs, rows.outcomes
    if not written.runs:
        return written
    connection.exec_driver_sql("ANALYZE incoming_runs")
    _refuse_contradictions(connection)
    names = connection.scalars(text("SELECT DISTINCT name FROM incoming_runs")).all()
    written.unresolved = resolution.resolve(connection, names, as_of=as_of)
    merged = connection.execute(text(_MERGE), {"import": import_id}).one()
    written.added, written.changed = merged.added, merged.changed
    if rows.outcomes:
        written.answers = connection.execute(text(_MERGE_ANSWERS)).rowcount
    if rows.outcomes and (written.added or written.changed):
        # They are of another state of things; `item_statistics` makes them anew.
        connection.exec_driver_sql("""
            DELETE FROM store.item_statistics s
             WHERE EXISTS (SELECT FROM incoming_runs i
                            WHERE i.benchmark_id = s.benchmark_id AND i.right_bits IS NOT NULL)""")
    return written


_SMALL = ("benchmarks", "measures", "setups", "sources")
_GROWING = ("runs", "answers", "items", "evaluated_names", "models")
_SHARE = 0.05
"""Rows that are new among all, from which the planner is told about a table again."""


def gather_statistics(connection: Connection, added: int) -> None:
    """Tell the planner what there is, after so many rows were added or changed.

    Views unpack outcomes by joins over tables of a few rows, which Postgres by itself analyzes
    only from 50 rows on: guessing there, it unpacks a whole benchmark to find one model.
    """
    grown = connection.scalars(
        text("""
        SELECT c.relname FROM pg_class c
         WHERE c.relnamespace = 'store'::regnamespace AND c.relname = ANY (:tables)
           AND (c.reltuples <= 0 OR :added > :share * c.reltuples)"""),
        {"tables": list(_GROWING), "added": added, "share": _SHARE},
    ).all()
    for table in (*_SMALL, *sorted(grown)):
        connection.exec_driver_sql(f"ANALYZE store.{table}")


class _Rows:
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


def _refuse_contradictions(connection: Connection) -> None:
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
