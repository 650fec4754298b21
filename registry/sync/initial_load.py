"""Initial load of an empty catalog: rows by COPY alone, lineage once all models are stored.

The listing shows children before their parents. Page by page, every parent would first become a
stub that is replaced soon after: a third of the time of an initial load. So the parents that models
state are deferred, and stubs are added only for those that are not listed at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from registry.catalog.facts import effective
from registry.catalog.families import BEST_PARENT_FIRST, refresh_families
from registry.catalog.feature_sets import add_features
from registry.catalog.lineage import resolve_parents
from registry.catalog.models import new_keys
from registry.catalog.rows import COLUMNS, parent_lines
from registry.db.connection import prefer_indexes
from registry.db.copy import copy_lines, copy_texts
from registry.sync import ingest, quarantine
from registry.sync.batch import Batch
from registry.sync.page import RecordPage
from registry.sync.state import SyncCounts

NAMES_AT_ONCE = 5000

# For joins of a whole catalog; a page touches a thousand rows. A merge join would sort what is left
# of the catalog again for each generation.
_WHOLE = """
SET LOCAL random_page_cost = 1; SET LOCAL enable_mergejoin = off; SET LOCAL work_mem = '128MB'"""


def under_way(connection: Connection) -> bool:
    """Return whether the catalog is empty, or its initial load has begun and is not finalized."""
    return not connection.scalar(text("SELECT EXISTS (SELECT FROM store.model_families)"))


@dataclass(frozen=True, slots=True)
class InitialLoad:
    """Write all models of pages as new by COPY, and defer their lineage until `finalize`."""

    def store(
        self, connection: Connection, pages: Sequence[RecordPage], *, as_of: datetime
    ) -> Iterator[ingest.StoredPage]:
        """Write the models of pages, all rows of a table at once.

        Only where the listing repeats models are the pages compared with the catalog.
        """
        try:
            with connection.begin_nested():
                batches = [_batch(connection, page, as_of) for page in pages]
                _copy(connection, batches)
        except IntegrityError:
            for page in pages:
                yield ingest.store_compared(connection, page.with_records(), self, as_of=as_of)
            return
        names = [name for page in pages for name in page.listed]
        quarantine.release(connection, ingest.SOURCE, names)
        for page, batch in zip(pages, batches, strict=True):
            new = len(batch.keys)
            counts = SyncCounts(new=new, counters_changed=new, partly_read=batch.partly_read)
            yield ingest.StoredPage(page, counts, [*batch.rejected, *page.nameless])

    def write_lineage(self, connection: Connection, changes: ingest.PageChanges) -> int:
        """Defer the parents that models state; of changed ones, in place of those before."""
        if changes.changed:
            connection.execute(
                text("DELETE FROM store.pending_edges WHERE child_id = ANY (:changed)"),
                {"changed": list(changes.changed)},
            )
        stated = parent_lines([*changes.new.items(), *changes.changed.items()])
        for table, lines in stated.items():
            copy_lines(connection, table, COLUMNS[table], lines)
        return 0


def _batch(connection: Connection, page: RecordPage, as_of: datetime) -> Batch:
    """Return the rows of a page, prepared here where no reader has."""
    if page.batch is None:
        page.prepare_batch(new_keys(connection, len(page.listed)), as_of.isoformat())
    assert page.batch is not None
    return page.batch


def _copy(connection: Connection, batches: Sequence[Batch]) -> None:
    for table, columns in COLUMNS.items():
        texts = (each.texts[table] for each in batches if table in each.texts)
        copy_texts(connection, table, columns, texts)
    add_features(
        connection,
        [key for each in batches for key in each.keys],
        [fingerprint for each in batches for fingerprint in each.fingerprints],
        {name: vector for each in batches for name, vector in each.vectors.items()},
    )


def unfinished(connection: Connection) -> bool:
    """Return whether there is anything to `resolve` and to `finalize`."""
    waiting = connection.scalar(text("SELECT EXISTS (SELECT FROM store.pending_edges)"))
    return bool(waiting) or under_way(connection)


def resolve(connection: Connection, *, as_of: datetime) -> None:
    """Find the models that the names of parents resolve to; add stubs for the rest.

    Args:
        connection: in a transaction; the keys are kept for `finalize` in the same session.
        as_of: when the models were observed.
    """
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE pending_parents (name text, model_id bigint)"
    )
    connection.exec_driver_sql(_WHOLE)
    connection.exec_driver_sql("""
        INSERT INTO store.model_aliases (model_id, alias, source, confidence)
        SELECT DISTINCT m.model_id, r.former, 'card', 0.8
          FROM store.pending_renames r JOIN store.models m ON m.name = r.present
         WHERE NOT EXISTS (SELECT FROM store.models other WHERE other.name = r.former)
            ON CONFLICT DO NOTHING""")
    # Nearly all by their exact names, which takes a tenth of the time of `resolve_parents`.
    connection.exec_driver_sql("""
        INSERT INTO pending_parents (name, model_id)
        SELECT name, model_id FROM store.models
         WHERE name IN (SELECT parent FROM store.pending_edges)""")
    # The rest by index, some names at a time.
    prefer_indexes(connection)
    names = iter(
        sorted(
            connection.scalars(
                text(
                    "SELECT parent FROM store.pending_edges EXCEPT SELECT name FROM pending_parents"
                )
            )
        )
    )
    while part := list(islice(names, NAMES_AT_ONCE)):
        targets, _ = resolve_parents(connection, part, as_of)
        copy_lines(
            connection,
            "pending_parents",
            ("name", "model_id"),
            (f"{name}\t{target.model_id}" for name, target in targets.items()),
        )


def finalize(connection: Connection) -> int:
    """Turn the deferred parents into edges, and place all models in families.

    Args:
        connection: in the transaction that ends the initial load, after `resolve`.

    Returns:
        The number of edges added.
    """
    connection.exec_driver_sql(_WHOLE)
    added = connection.exec_driver_sql("""
        INSERT INTO store.edges (child_id, parent_id, relation, source, confidence, position)
        SELECT DISTINCT ON (e.child_id, p.model_id, e.relation, e.source)
               e.child_id, p.model_id, e.relation, e.source, e.confidence, e.position
          FROM store.pending_edges e JOIN pending_parents p ON p.name = e.parent
         WHERE NOT EXISTS (
                   SELECT FROM store.edges o
                    WHERE o.child_id = e.child_id AND o.parent_id = p.model_id
                      AND o.relation = e.relation AND o.source = e.source)
         ORDER BY e.child_id, p.model_id, e.relation, e.source, e.position""").rowcount
    _place(connection)
    effective.apply_everywhere(connection)
    connection.exec_driver_sql("TRUNCATE store.pending_edges, store.pending_renames")
    connection.exec_driver_sql("DROP TABLE pending_parents")
    return added


def _place(connection: Connection) -> None:
    """Place all models in families, from the roots down; then those that no root leads to.

    Models that another process has placed while their edges were deferred are placed again.
    """
    placed = connection.scalars(
        text("""
        SELECT DISTINCT e.child_id FROM store.pending_edges e
          JOIN store.model_families f ON f.model_id = e.child_id""")
    ).all()
    connection.exec_driver_sql(f"""
        CREATE TEMPORARY TABLE first_parents ON COMMIT DROP AS
        SELECT DISTINCT ON (e.child_id) e.child_id, e.parent_id
          FROM store.edges e JOIN store.models parent ON parent.model_id = e.parent_id
         WHERE e.parent_id <> e.child_id
         ORDER BY e.child_id, {BEST_PARENT_FIRST}""")  # noqa: S608
    connection.exec_driver_sql("ANALYZE first_parents")
    connection.exec_driver_sql("""
        INSERT INTO store.model_families (model_id, primary_parent_id, family_id, generation)
        WITH RECURSIVE placed AS (
            SELECT m.model_id, NULL::bigint AS parent_id, m.model_id AS family_id, 0 AS generation
              FROM store.models m LEFT JOIN first_parents f ON f.child_id = m.model_id
             WHERE f.child_id IS NULL
            UNION ALL
            SELECT f.child_id, f.parent_id, p.family_id, least(p.generation + 1, 32767)
              FROM placed p JOIN first_parents f ON f.parent_id = p.model_id
        )
        SELECT * FROM placed p
         WHERE NOT EXISTS (SELECT FROM store.model_families f WHERE f.model_id = p.model_id)""")
    in_cycles = connection.scalars(
        text("""
        SELECT f.child_id FROM first_parents f
         WHERE NOT EXISTS (SELECT FROM store.model_families k WHERE k.model_id = f.child_id)""")
    ).all()
    refresh_families(connection, {*in_cycles, *placed})
