"""The lineage of a first load, which is resolved when all models are in.

The listing shows children before their parents. Page by page, every parent would first be made a
stub, and filled in soon after: a third of a first load. So what models say of their parents is set
aside meanwhile, and stubs are made only of those that never came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from registry.catalog.families import BEST_PARENT_FIRST, refresh_families
from registry.catalog.feature_sets import add_features
from registry.catalog.lineage import resolve_parents
from registry.catalog.listing import PageComparison
from registry.catalog.rows import COLUMNS, Entry, parent_lines
from registry.db.connection import prefer_indexes
from registry.db.copy import copy_lines, copy_texts
from registry.sync import ingest
from registry.sync.batch import Batch
from registry.sync.page import RecordPage, read_body
from registry.sync.quarantine import release
from registry.sync.state import SyncCounts, SyncState

NAMES_AT_ONCE = 5000

# Here a whole catalog is joined, where a page touches a thousand rows. Merging would sort all that
# is left of it anew for each generation.
_WHOLE = """
SET LOCAL random_page_cost = 1; SET LOCAL enable_mergejoin = off; SET LOCAL work_mem = '128MB'"""


def under_way(connection: Connection) -> bool:
    """Tell whether the catalog is still to be loaded for the first time, or that has been begun."""
    return not connection.scalar(text("SELECT EXISTS (SELECT FROM store.model_families)"))


def take_in(connection: Connection, walk: SyncState, pages: Sequence[RecordPage | Batch]) -> None:
    """Take pages into the catalog, as `intake.take_in`, with their lineage set aside.

    Nothing of them is known yet, but where the listing repeats itself: only then is it looked for.
    """
    counts, high_water = replace(walk.counts), walk.high_water
    try:
        with connection.begin_nested():
            for page in pages:
                if isinstance(page, RecordPage):
                    compared = PageComparison.nothing_known(page.listing_rows)
                    ingest.take_compared(connection, walk, page, compared, set_aside)
            _take_batches(connection, walk, [page for page in pages if isinstance(page, Batch)])
    except IntegrityError:
        walk.counts, walk.high_water = counts, high_water
        for page in pages:
            ingest.take_in(connection, walk, _as_it_came(page), set_aside)


def _as_it_came(page: RecordPage | Batch) -> RecordPage:
    if isinstance(page, RecordPage):
        return page
    return read_body(page.body, page.url, page.next_url)


def _take_batches(connection: Connection, walk: SyncState, batches: Sequence[Batch]) -> None:
    """Pass on what is ready, all batches' rows of a table at once."""
    if not batches:
        return
    for table, columns in COLUMNS.items():
        texts = (each.texts[table] for each in batches if table in each.texts)
        copy_texts(connection, table, columns, texts)
    add_features(
        connection,
        [key for each in batches for key in each.keys],
        [fingerprint for each in batches for fingerprint in each.fingerprints],
        {name: vector for each in batches for name, vector in each.vectors.items()},
    )
    release(connection, ingest.SOURCE, [name for each in batches for name in each.listed])
    for each in batches:
        new = len(each.keys)
        counts = SyncCounts(new=new, counters_changed=new, partly_read=each.partly_read)
        ingest.account(connection, walk, each, each.refusals, counts)


def set_aside(
    connection: Connection,
    fresh: dict[int, Entry],
    known: dict[int, Entry],
    *,
    orphans: Iterable[int] = (),  # noqa: ARG001 - as `write_edges`
    as_of: datetime,  # noqa: ARG001
) -> int:
    """Keep what models say of their parents until `settle`.

    Args:
        connection: in the page's transaction, after the models were written.
        fresh: the new models of the page, by key.
        known: the changed ones; what they said before is forgotten.
        orphans: models whose parent was found under another name: all are yet to be.
        as_of: when they were observed.

    Returns:
        0: no edge is written yet.
    """
    if known:
        connection.execute(
            text("DELETE FROM store.pending_edges WHERE child_id = ANY (:known)"),
            {"known": list(known)},
        )
    for table, lines in parent_lines([*fresh.items(), *known.items()]).items():
        copy_lines(connection, table, COLUMNS[table], lines)
    return 0


def unsettled(connection: Connection) -> bool:
    """Tell whether there is anything to `resolve` and to `settle`."""
    waiting = connection.scalar(text("SELECT EXISTS (SELECT FROM store.pending_edges)"))
    return bool(waiting) or under_way(connection)


def resolve(connection: Connection, *, as_of: datetime) -> None:
    """Find the models that all names of parents stand for, and make stubs of those there are not.

    Args:
        connection: in a transaction; what is found is kept for this session's `settle`.
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
    # Nearly all by their very names, which takes a tenth of what `resolve_parents` takes.
    connection.exec_driver_sql("""
        INSERT INTO pending_parents (name, model_id)
        SELECT name, model_id FROM store.models
         WHERE name IN (SELECT parent FROM store.pending_edges)""")
    # The rest by index again, some names at a time.
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
    while some := list(islice(names, NAMES_AT_ONCE)):
        found, _ = resolve_parents(connection, some, as_of)
        copy_lines(
            connection,
            "pending_parents",
            ("name", "model_id"),
            (f"{name}\t{target.model_id}" for name, target in found.items()),
        )


def settle(connection: Connection) -> int:
    """Turn what was set aside into edges, and place all models in families.

    Args:
        connection: in a transaction, which ends the first load; after `resolve`.

    Returns:
        How many edges were added.
    """
    connection.exec_driver_sql(_WHOLE)
    added = connection.exec_driver_sql("""
        INSERT INTO store.edges (child_id, parent_id, relation, source, confidence, position)
        SELECT DISTINCT ON (e.child_id, p.model_id, e.relation, e.source)
               e.child_id, p.model_id, e.relation, e.source, e.confidence, e.position
          FROM store.pending_edges e JOIN pending_parents p ON p.name = e.parent
         WHERE NOT EXISTS (
                   SELECT FROM store.edges known
                    WHERE known.child_id = e.child_id AND known.parent_id = p.model_id
                      AND known.relation = e.relation AND known.source = e.source)
         ORDER BY e.child_id, p.model_id, e.relation, e.source, e.position""").rowcount
    _place(connection)
    connection.exec_driver_sql("TRUNCATE store.pending_edges, store.pending_renames")
    connection.exec_driver_sql("DROP TABLE pending_parents")
    return added


def _place(connection: Connection) -> None:
    """Place all models in families, from the roots down; then those that no root leads to.

    And those that somebody else has placed while their edges were still waiting.
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
    in_circles = connection.scalars(
        text("""
        SELECT f.child_id FROM first_parents f
         WHERE NOT EXISTS (SELECT FROM store.model_families k WHERE k.model_id = f.child_id)""")
    ).all()
    refresh_families(connection, {*in_circles, *placed})
