"""Listing rows of a page compared with the catalog: renames, changes and counters.

All records of a page are loaded into a temporary table by name, key, digest and counters. Only
records whose digest has changed need to be read. The set logic is SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.merge import merge_stub
from registry.catalog.rows import LISTING_COLUMNS, MOST_POPULAR, array
from registry.db.copy import copy_lines


@dataclass(frozen=True, slots=True)
class PageComparison:
    """Names of a page that are new to the catalog, changed or unchanged.

    Attributes:
        new: nothing is stored under the name.
        stubs: only children have named it so far.
        changed: the record differs from the stored one, or the model was gone.
        unchanged: everything but the counters is as stored.
        orphans: keys of models whose parent was found under another name: their families need to
            be computed again.
    """

    new: frozenset[str]
    stubs: frozenset[str]
    changed: frozenset[str]
    unchanged: frozenset[str]
    orphans: tuple[int, ...]


_INCOMING_LISTING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_listing (
    name text PRIMARY KEY, hub_id text, digest bigint, downloads bigint, downloads_all_time bigint,
    likes bigint, trending_score double precision
) ON COMMIT DELETE ROWS;
DELETE FROM incoming_listing;  -- empty already, unless one transaction stores several pages
"""


def compare(
    connection: Connection, listing_rows: Mapping[str, str], *, as_of: datetime
) -> PageComparison:
    """Load a page's listing rows, follow renames, and find the records that need to be read.

    Args:
        connection: in the page's transaction.
        listing_rows: rows of LISTING_COLUMNS as COPY text, by name.
        as_of: when the page was observed; the date of renames.
    """
    connection.exec_driver_sql(_INCOMING_LISTING)
    copy_lines(connection, "incoming_listing", LISTING_COLUMNS, listing_rows.values())
    orphans = _follow_renames(connection, as_of) if _renamed(connection) else []
    stored: dict[str, frozenset[str]] = {
        row.status: frozenset(row.names)
        for row in connection.execute(
            text("""
            SELECT CASE WHEN m.state = 'stub' THEN 'stub'
                        WHEN m.digest IS DISTINCT FROM s.digest OR m.gone_at IS NOT NULL
                        THEN 'changed'
                        ELSE 'unchanged' END AS status,
                   array_agg(s.name) AS names
              FROM incoming_listing s JOIN store.models m USING (name)
             GROUP BY 1""")
        )
    }
    existing = frozenset().union(*stored.values())
    return PageComparison(
        new=frozenset(listing_rows) - existing,
        stubs=stored.get("stub", frozenset()),
        changed=stored.get("changed", frozenset()),
        unchanged=stored.get("unchanged", frozenset()),
        orphans=tuple(orphans),
    )


def _renamed(connection: Connection) -> bool:
    """Return whether a name of the page belongs to another repository than before."""
    return bool(
        connection.scalar(
            text("""
            SELECT EXISTS (
                SELECT FROM incoming_listing s JOIN store.models m USING (hub_id)
                 WHERE m.name <> s.name
            ) OR EXISTS (
                SELECT FROM incoming_listing s JOIN store.models m USING (name)
                 WHERE m.hub_id <> s.hub_id
            )""")
        )
    )


def _follow_renames(connection: Connection, as_of: datetime) -> list[int]:
    """Rename models as their Hub keys are listed now; former names become aliases.

    Returns:
        Keys of models whose parent has another name.
    """
    orphans: list[int] = []
    # The name belongs to another repository now: its former holder gets a name that no repository
    # can have, until the listing shows its new one.
    connection.execute(
        text("""
        WITH parked AS (
            UPDATE store.models m
               SET name = m.name || '@' || coalesce(m.hub_id, m.model_id::text),
                   state = 'gone', gone_at = :as_of
              FROM incoming_listing s
             WHERE m.name = s.name AND m.state <> 'stub'
               AND (m.hub_id <> s.hub_id
                    OR m.hub_id IS NULL AND EXISTS (
                           SELECT FROM store.models other WHERE other.hub_id = s.hub_id))
            RETURNING m.model_id, s.name
        )
        INSERT INTO store.model_aliases (model_id, alias, source, confidence, valid_to)
        SELECT model_id, name, 'rename', 1, :as_of FROM parked
            ON CONFLICT (model_id, alias) DO UPDATE SET valid_to = excluded.valid_to"""),
        {"as_of": as_of},
    )
    stubs = connection.execute(
        text("""
        SELECT stub.model_id AS stub_id, m.model_id
          FROM incoming_listing s
          JOIN store.models m USING (hub_id)
          JOIN store.models stub ON stub.name = s.name AND stub.state = 'stub'
         WHERE m.name <> s.name""")
    ).all()
    for stub_id, model_id in stubs:
        orphans += merge_stub(connection, stub_id, into=model_id, source="rename", as_of=as_of)
    connection.execute(
        text("""
        WITH renamed AS (
            UPDATE store.models m SET name = s.name
              FROM incoming_listing s, store.models old
             WHERE m.hub_id = s.hub_id AND m.name <> s.name AND old.model_id = m.model_id
            RETURNING m.model_id, old.name AS former
        )
        INSERT INTO store.model_aliases (model_id, alias, source, confidence, valid_to)
        SELECT model_id, former, 'rename', 1, :as_of FROM renamed WHERE former NOT LIKE '%@%'
            ON CONFLICT (model_id, alias) DO UPDATE SET valid_to = excluded.valid_to"""),
        {"as_of": as_of},
    )
    return orphans


def update_counters(connection: Connection, names: Sequence[str], *, as_of: datetime) -> int:
    """Write the counters of a page where they changed, and a row of history for each change.

    Args:
        connection: in the page's transaction, after `compare` and after the models were written.
        names: models of the page.
        as_of: when they were observed.

    Returns:
        The number of models whose counters changed.
    """
    if not names:
        return 0
    # As text: the driver takes ten times as long to write an array.
    listed = array(names)
    connection.execute(
        text("""
        UPDATE store.models m
           SET popularity = least(length(greatest(s.downloads, 1)::text) - 1, :most)
          FROM incoming_listing s
         WHERE m.name = s.name AND s.name = ANY (cast(:names AS text[]))
           AND m.popularity <> least(length(greatest(s.downloads, 1)::text) - 1, :most)"""),
        {"most": MOST_POPULAR, "names": listed},
    )
    result = connection.execute(
        text("""
        WITH changed AS (
            INSERT INTO store.counters AS c
                   (model_id, downloads, downloads_all_time, likes, trending_score)
            SELECT m.model_id, s.downloads, s.downloads_all_time, s.likes, s.trending_score
              FROM incoming_listing s JOIN store.models m USING (name)
             WHERE s.name = ANY (cast(:names AS text[]))
             ORDER BY m.model_id
                ON CONFLICT (model_id) DO UPDATE
               SET downloads = excluded.downloads,
                   downloads_all_time = excluded.downloads_all_time,
                   likes = excluded.likes, trending_score = excluded.trending_score
             WHERE (c.downloads, c.downloads_all_time, c.likes, c.trending_score)
                   IS DISTINCT FROM (excluded.downloads, excluded.downloads_all_time,
                                     excluded.likes, excluded.trending_score)
            RETURNING model_id, downloads, downloads_all_time, likes, trending_score
        )
        INSERT INTO store.model_history AS h
               (model_id, observed_at, downloads, downloads_all_time, likes, trending_score)
        SELECT model_id, :as_of, downloads, downloads_all_time, likes, trending_score FROM changed
            ON CONFLICT (model_id, observed_at) DO UPDATE
           SET downloads = excluded.downloads, downloads_all_time = excluded.downloads_all_time,
               likes = excluded.likes, trending_score = excluded.trending_score"""),
        {"as_of": as_of, "names": listed},
    )
    return result.rowcount


class StoredRecord(NamedTuple):
    """What is stored of a listed model: its last change, its tags, and when it was last seen."""

    name: str
    last_modified: datetime | None
    has_tags: bool
    observed_at: datetime


def stored_records(connection: Connection, names: Sequence[str]) -> list[StoredRecord]:
    """Return what is stored of models that are more than a name."""
    found = connection.execute(
        text("""
        SELECT name, last_modified, tags <> '{}', greatest(changed_at, gone_at) FROM store.models
         WHERE name = ANY (cast(:names AS text[])) AND state <> 'stub'"""),
        {"names": array(names)},
    )
    return [StoredRecord(*row) for row in found]


def former_names(connection: Connection, names: Sequence[str], *, as_of: datetime) -> list[str]:
    """Return the names that models had until a later moment, and that no model has now."""
    found = connection.scalars(
        text("""
        SELECT DISTINCT alias FROM store.model_aliases a
         WHERE alias = ANY (cast(:names AS text[])) AND valid_to > :as_of
           AND NOT EXISTS (SELECT FROM store.models m WHERE m.name = a.alias)"""),
        {"names": array(names), "as_of": as_of},
    )
    return list(found)


def add_past_counters(connection: Connection, *, as_of: datetime) -> list[str]:
    """Add counters to the history of models of which later ones are known.

    Args:
        connection: in the page's transaction, after `compare`.
        as_of: when the page was observed.

    Returns:
        The names of these models, whose present counters stay.
    """
    later = list(
        connection.scalars(
            text("""
            SELECT s.name FROM incoming_listing s JOIN store.models m USING (name)
             WHERE EXISTS (SELECT FROM store.model_history h
                            WHERE h.model_id = m.model_id AND h.observed_at > :as_of)"""),
            {"as_of": as_of},
        )
    )
    if later:
        connection.execute(
            text("""
            INSERT INTO store.model_history
                   (model_id, observed_at, downloads, downloads_all_time, likes, trending_score)
            SELECT m.model_id, :as_of, s.downloads, s.downloads_all_time, s.likes, s.trending_score
              FROM incoming_listing s JOIN store.models m USING (name)
              LEFT JOIN LATERAL (
                       SELECT * FROM store.model_history h
                        WHERE h.model_id = m.model_id AND h.observed_at < :as_of
                        ORDER BY observed_at DESC LIMIT 1) b ON true
             WHERE s.name = ANY (cast(:names AS text[]))
               AND (b.downloads, b.downloads_all_time, b.likes, b.trending_score)
                   IS DISTINCT FROM (s.downloads, s.downloads_all_time, s.likes, s.trending_score)
                ON CONFLICT DO NOTHING"""),
            {"as_of": as_of, "names": array(later)},
        )
    return later
