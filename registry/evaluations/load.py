"""Bulk load of blocks of evaluations into the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from registry.catalog import resolution
from registry.catalog.item_statistics import mark_stale
from registry.evaluations import benchmarks, item_matching, staging
from registry.evaluations.identity.aliases import ship
from registry.evaluations.records import Block
from registry.evaluations.run_rows import RunRows
from registry.evaluations.scales import rescored


@dataclass(slots=True)
class LoadCounts:
    """Numbers of rows that a load added and changed.

    `runs` and `outcomes` count all that were read, unchanged ones included. `replaced` counts, of
    the changed runs, those that had another result, by the import that it was from (None is the
    Hub); the others were completed. `rescored` counts those that the same file states as before,
    and that are read otherwise. `parts` counts runs with outcomes on some of the items that their
    score is of.
    """

    runs: int = 0
    added: int = 0
    changed: int = 0
    outcomes: int = 0
    items_added: int = 0
    items_completed: int = 0
    answers: int = 0
    parts: int = 0
    unresolved: int = 0
    rescored: int = 0
    benchmarks: set[int] = field(default_factory=set)
    replaced: dict[int | None, int] = field(default_factory=dict)

    @property
    def unchanged(self) -> int:
        """Number of runs that were stored before with the same result."""
        return self.runs - self.added - self.changed

    @property
    def changes(self) -> int:
        """Number of rows that were added or changed."""
        return self.added + self.changed + self.items_added + self.items_completed + self.answers

    def add(self, other: "LoadCounts") -> None:
        """Add the counts of another load."""
        self.runs += other.runs
        self.added += other.added
        self.changed += other.changed
        self.outcomes += other.outcomes
        self.items_added += other.items_added
        self.items_completed += other.items_completed
        self.answers += other.answers
        self.parts += other.parts
        self.unresolved += other.unresolved
        self.rescored += other.rescored
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
) -> LoadCounts:
    """Store blocks of evaluations: benchmarks, items, runs, outcomes and answers.

    Args:
        connection: in a transaction.
        blocks: each read once, one after the other.
        as_of: when their names of models were seen.
        import_id: key of the file that they are from; None for scores on the Hub.
        compared: whether to compare them with the command's other files, as
            `staging.begin_command` has started.

    Raises:
        RegistryError: when they conflict with each other, with stored items, or with another file
            of the command.
    """
    ship(connection)
    staging.prepare(connection)
    counts = LoadCounts()
    rows = RunRows(connection)
    for block in blocks:
        key = benchmarks.benchmark_id(connection, block.benchmark)
        placed = item_matching.place_items(connection, key, block.items)
        counts.benchmarks.add(key)
        counts.items_added += placed.added
        counts.items_completed += placed.completed
        rows.begin(key, block.benchmark, placed.ordinals)
        for run in block.runs:
            rows.add(run)
            if rows.is_full():
                rows.send()
    rows.end()
    counts.runs, counts.outcomes, counts.parts = rows.runs, rows.outcomes, rows.parts
    if not counts.runs:
        return counts
    counts.unresolved = resolution.resolve(connection, staging.names(connection), as_of=as_of)
    if import_id is not None and compared:
        staging.refuse_conflicts(connection, import_id)
        staging.remember(connection, import_id)
    if import_id is not None:
        rescored.note_scores(connection, import_id)
    merged = staging.merge(connection, import_id)
    if import_id is not None and merged.changed:
        counts.rescored = rescored.list_changes(connection, as_of)
    counts.added, counts.changed = merged.added, merged.changed
    counts.replaced = dict(merged.replaced)
    if counts.outcomes:
        counts.answers = staging.merge_answers(connection)
        if counts.added or counts.changed:
            mark_stale(connection, staging.benchmarks_with_outcomes(connection))
    return counts


_SMALL = ("benchmarks", "measures", "setups", "sources")
_GROWING = ("runs", "shown_runs", "answers", "items", "evaluated_names", "models")
_ANALYZED_COLUMNS = {"items": " (benchmark_id, ordinal, item, content_hash)"}
"""Columns that queries have conditions on, where the others are texts that take long."""
_SHARE = 0.05
"""Share of changed rows from which a growing table is analyzed again."""


def gather_statistics(connection: Connection, changed: int) -> None:
    """Analyze the tables of evaluations, after so many rows were added or changed.

    Views unpack outcomes by joins over tables of a few rows, which Postgres by itself analyzes
    only from 50 rows on: guessing there, it unpacks a whole benchmark to find one model.
    """
    grown = connection.scalars(
        text("""
        SELECT c.relname FROM pg_class c
         WHERE c.relnamespace = 'store'::regnamespace AND c.relname = ANY (:tables)
           AND (c.reltuples <= 0 OR :changed > :share * c.reltuples)"""),
        {"tables": list(_GROWING), "changed": changed, "share": _SHARE},
    ).all()
    for table in (*_SMALL, *sorted(grown)):
        connection.exec_driver_sql(f"ANALYZE store.{table}{_ANALYZED_COLUMNS.get(table, '')}")
