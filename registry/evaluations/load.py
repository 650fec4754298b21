"""Runs in the database: what blocks of evaluations add and change."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from registry.catalog import resolution
from registry.catalog.item_statistics import mark_stale
from registry.evaluations import benchmarks, conflicts, staging
from registry.evaluations.records import Block

# A file that tells the score alone leaves the outcomes that another one told. One that tells the
# same score without its standard error or the number of items leaves those.
_MERGE = f"""
WITH incoming AS (
    SELECT n.model_id, n.name_id, i.*,
           coalesce(i.item_count, t.item_count) AS known_count,
           coalesce(i.standard_error, t.standard_error) AS known_error
      FROM incoming_runs i
      JOIN store.evaluated_names n USING (name)
      LEFT JOIN store.runs t ON (t.model_id, t.run_id, t.score) = (n.model_id, i.run_id, i.score)
), written AS (
    INSERT INTO store.runs AS r (
           model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, import_id, item_count, standard_error, complete, verified, right_bits,
           present_bits, grades, revision)
    SELECT model_id, run_id, score, evaluated_at, benchmark_id, measure_id, setup_id, source_id,
           name_id, :import, known_count, known_error, complete, verified, right_bits,
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
), replaced AS (
    -- What was there before: the statement does not see what it writes.
    SELECT t.import_id, count(*) AS runs
      FROM written w
      JOIN incoming i ON (i.model_id, i.run_id) = (w.model_id, w.run_id)
      JOIN (SELECT r.*, r.right_bits IS NOT NULL AS with_outcomes FROM store.runs r) t
        ON (t.model_id, t.run_id) = (w.model_id, w.run_id)
      JOIN store.measures mt ON mt.measure_id = t.measure_id
      JOIN store.measures mi ON mi.measure_id = i.measure_id
     WHERE NOT w.added AND ({conflicts.DIFFERS})
     GROUP BY t.import_id
)
SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added) AS changed,
       (SELECT coalesce(json_agg(json_build_array(import_id, runs) ORDER BY import_id), '[]')
          FROM replaced) AS replaced
  FROM written
"""  # noqa: S608 - of ours

_MERGE_ANSWERS = """
INSERT INTO store.answers AS a (
       model_id, run_id, benchmark_id, codes, texts, input_tokens, output_tokens, latencies)
SELECT n.model_id, i.run_id, i.benchmark_id, i.codes, i.texts, i.input_tokens, i.output_tokens,
       i.latencies
  FROM incoming_runs i JOIN store.evaluated_names n USING (name)
 WHERE i.codes IS NOT NULL OR i.input_tokens IS NOT NULL
    OR i.output_tokens IS NOT NULL OR i.latencies IS NOT NULL
    ON CONFLICT (model_id, run_id) DO UPDATE
   SET codes = coalesce(excluded.codes, a.codes), texts = coalesce(excluded.texts, a.texts),
       input_tokens = coalesce(excluded.input_tokens, a.input_tokens),
       output_tokens = coalesce(excluded.output_tokens, a.output_tokens),
       latencies = coalesce(excluded.latencies, a.latencies)
 WHERE (a.codes, a.texts, a.input_tokens, a.output_tokens, a.latencies)
       IS DISTINCT FROM (
           coalesce(excluded.codes, a.codes), coalesce(excluded.texts, a.texts),
           coalesce(excluded.input_tokens, a.input_tokens),
           coalesce(excluded.output_tokens, a.output_tokens),
           coalesce(excluded.latencies, a.latencies))
"""


@dataclass(slots=True)
class Written:
    """What blocks added and changed; `outcomes` counts those of all runs, known ones included.

    `replaced` counts, of the runs that were changed, those that were told otherwise before, by the
    import that they were from; None is the Hub. The others were completed.
    """

    runs: int = 0
    added: int = 0
    changed: int = 0
    outcomes: int = 0
    items_added: int = 0
    items_completed: int = 0
    answers: int = 0
    unresolved: int = 0
    benchmarks: set[int] = field(default_factory=set)
    replaced: dict[int | None, int] = field(default_factory=dict)

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
        for key, runs in other.replaced.items():
            self.replaced[key] = self.replaced.get(key, 0) + runs


def write_blocks(
    connection: Connection,
    blocks: Iterable[Block],
    *,
    as_of: datetime,
    import_id: int | None = None,
    compared: bool = False,
) -> Written:
    """Take in what some models did on some benchmarks.

    Args:
        connection: in a transaction.
        blocks: each read once, one after the other.
        as_of: when names in them were heard of.
        import_id: key of the file that they are from; None for what the Hub shows with models.
        compared: with what other files of the command told, see `contradictions.begin_command`.

    Raises:
        RegistryError: when they contradict themselves, what is stored, or another file of the
            command.
    """
    staging.prepare(connection)
    written = Written()
    rows = staging.Rows(connection)
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
    rows.end()
    written.runs, written.outcomes = rows.runs, rows.outcomes
    if not written.runs:
        return written
    names = connection.scalars(text("SELECT DISTINCT name FROM incoming_runs")).all()
    written.unresolved = resolution.resolve(connection, names, as_of=as_of)
    if import_id is not None and compared:
        conflicts.refuse(connection, import_id)
        conflicts.keep(connection, import_id)
    merged = connection.execute(text(_MERGE), {"import": import_id}).one()
    written.added, written.changed = merged.added, merged.changed
    written.replaced = dict(merged.replaced)
    if rows.outcomes:
        written.answers = connection.execute(text(_MERGE_ANSWERS)).rowcount
    if rows.outcomes and (written.added or written.changed):
        mark_stale(connection, staging.benchmarks_with_outcomes(connection))
    return written


_SMALL = ("benchmarks", "measures", "setups", "sources")
_GROWING = ("runs", "answers", "items", "evaluated_names", "models")
_LOOKED_UP = {"items": " (benchmark_id, ordinal, item, content_hash)"}
"""Columns that count where others take long and are not asked for: texts."""
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
        connection.exec_driver_sql(f"ANALYZE store.{table}{_LOOKED_UP.get(table, '')}")
