"""Models in the database: what a page of records changes, names and aliases, counters, history.

What is new is copied straight into its tables. Everything else goes through temporary tables:
every record's name, fingerprint and counters first; then, only for those whose fingerprint has
changed, the whole record. The set logic is SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from registry.catalog.names import follow_renames
from registry.catalog.rows import (
    COLUMNS,
    DOCUMENT_COLUMNS,
    MODEL_COLUMNS,
    MOST_POPULAR,
    SIGHTING_COLUMNS,
    Entry,
    array,
    model_lines,
)
from registry.db.copy import copy_lines
from registry.db.schema import models

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


@dataclass(frozen=True, slots=True)
class PageComparison:
    """Which names of a page are new to the catalog, changed, or as they were.

    Attributes:
        fresh: nothing is stored under the name.
        stubs: only children have named it so far.
        changed: the record is another than the stored one, or was gone.
        unchanged: all but the counters is as it is stored.
        orphans: keys of models whose parent was found under another name: their families need to
            be computed again.
    """

    fresh: frozenset[str]
    stubs: frozenset[str]
    changed: frozenset[str]
    unchanged: frozenset[str]
    orphans: tuple[int, ...]

    @classmethod
    def nothing_known(cls, sightings: Mapping[str, str]) -> Self:
        """Return what comparing a page with an empty catalog tells."""
        nothing: frozenset[str] = frozenset()
        return cls(frozenset(sightings), nothing, nothing, nothing, ())


_TEMPORARY = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_sightings (
    name text PRIMARY KEY, hub_id text, digest bigint, downloads bigint, downloads_all_time bigint,
    likes bigint, trending_score double precision
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_models (
    ordinal integer, card jsonb, config jsonb, COLUMNS,
    PRIMARY KEY (name)
) WITH (toast_tuple_target = 8160)  -- compressing what is read once takes longer than all the rest
  ON COMMIT DELETE ROWS;
"""


def prepare(connection: Connection) -> None:
    """Make the temporary tables that pages go through, and set the session up for pages."""
    columns = ", ".join(f"{name} {models.c[name].type.compile(_DIALECT)}" for name in MODEL_COLUMNS)
    connection.exec_driver_sql(_TEMPORARY.replace("COLUMNS", columns))
    # A page touches a thousand rows of tables of any size: always by index, never by a scan.
    connection.exec_driver_sql("SET enable_seqscan = off; SET random_page_cost = 1")


def compare(
    connection: Connection, sightings: Mapping[str, str], *, as_of: datetime
) -> PageComparison:
    """Load a page's sightings, follow renames, and tell which records need to be read.

    Args:
        connection: in the page's transaction, after `prepare`.
        sightings: rows of SIGHTING_COLUMNS as COPY text, by name.
        as_of: when the page was observed; renames are dated by it.
    """
    # Empty already, unless one transaction takes in several pages.
    connection.exec_driver_sql("DELETE FROM incoming_sightings; DELETE FROM incoming_models")
    copy_lines(connection, "incoming_sightings", SIGHTING_COLUMNS, sightings.values())
    orphans = follow_renames(connection, as_of) if _renamed(connection) else []
    verdicts: dict[str, frozenset[str]] = {
        row.verdict: frozenset(row.names)
        for row in connection.execute(
            text("""
            SELECT CASE WHEN m.state = 'stub' THEN 'stub'
                        WHEN m.digest IS DISTINCT FROM s.digest OR m.gone_at IS NOT NULL
                        THEN 'changed'
                        ELSE 'unchanged' END AS verdict,
                   array_agg(s.name) AS names
              FROM incoming_sightings s JOIN store.models m USING (name)
             GROUP BY 1""")
        )
    }
    known = frozenset().union(*verdicts.values())
    return PageComparison(
        fresh=frozenset(sightings) - known,
        stubs=verdicts.get("stub", frozenset()),
        changed=verdicts.get("changed", frozenset()),
        unchanged=verdicts.get("unchanged", frozenset()),
        orphans=tuple(orphans),
    )


def _renamed(connection: Connection) -> bool:
    """Tell whether a name of the page stands for another repository than before."""
    return bool(
        connection.scalar(
            text("""
            SELECT EXISTS (
                SELECT FROM incoming_sightings s JOIN store.models m USING (hub_id)
                 WHERE m.name <> s.name
            ) OR EXISTS (
                SELECT FROM incoming_sightings s JOIN store.models m USING (name)
                 WHERE m.hub_id <> s.hub_id
            )""")
        )
    )


def add_models(
    connection: Connection, entries: Sequence[Entry], *, as_of: datetime
) -> dict[str, int]:
    """Write models that nothing is stored of, with their documents and counters.

    Args:
        connection: in the page's transaction, after `compare`.
        entries: the models; none of their names is in the catalog.
        as_of: when they were observed.

    Returns:
        The models' keys by name.
    """
    if not entries:
        return {}
    keyed = list(zip(new_keys(connection, len(entries)), entries, strict=True))
    for table, lines in model_lines(keyed, as_of.isoformat()).items():
        copy_lines(connection, table, COLUMNS[table], lines)
    return {entry.name: key for key, entry in keyed}


def new_keys(connection: Connection, count: int) -> list[int]:
    """Return keys that no model has had, to be given to new ones."""
    keys = connection.scalar(
        text("""
        SELECT string_agg(nextval('store.models_model_id_seq')::text, ',')
          FROM generate_series(1, :count)"""),
        {"count": count},
    )
    return [int(key) for key in keys.split(",")] if keys else []


def merge_models(
    connection: Connection, entries: Sequence[Entry], *, as_of: datetime
) -> dict[str, int]:
    """Write changed records over the stored ones, with their documents.

    Args:
        connection: in the page's transaction, after `compare`.
        entries: models of any kind: changed, known as stubs, or new.
        as_of: when they were observed.

    Returns:
        The models' keys by name.
    """
    if not entries:
        return {}
    copy_lines(
        connection,
        "incoming_models",
        ("ordinal", *DOCUMENT_COLUMNS, *MODEL_COLUMNS),
        (f"{ordinal}\t{entry.document}\t{entry.model}" for ordinal, entry in enumerate(entries)),
    )
    columns = ", ".join(MODEL_COLUMNS)
    assignments = ", ".join(
        f"{column} = coalesce(excluded.{column}, models.{column})"
        if column == "hub_id"
        else f"{column} = excluded.{column}"
        for column in MODEL_COLUMNS
    )
    rows = connection.execute(
        text(f"""
        INSERT INTO store.models ({columns}, first_seen, changed_at)
        SELECT {columns}, :as_of, :as_of FROM incoming_models ORDER BY ordinal
            ON CONFLICT (name) DO UPDATE
           SET {assignments}, changed_at = excluded.changed_at, gone_at = NULL
        RETURNING name, model_id"""),  # noqa: S608
        {"as_of": as_of},
    )
    keys = {row.name: row.model_id for row in rows}
    connection.execute(
        text("""
        INSERT INTO store.documents (model_id, card, config)
        SELECT m.model_id, i.card, i.config FROM incoming_models i JOIN store.models m USING (name)
            ON CONFLICT (model_id) DO UPDATE SET card = excluded.card, config = excluded.config""")
    )
    return keys


def update_counters(connection: Connection, names: Sequence[str], *, as_of: datetime) -> int:
    """Write the page's counters where they changed, and keep a line of history for each change.

    Args:
        connection: in the page's transaction, after the models were written.
        names: whose counters to look at, among the page's.
        as_of: when they were observed.

    Returns:
        How many models' counters changed.
    """
    if not names:
        return 0
    # As text: the driver takes ten times as long to write an array.
    listed = array(names)
    connection.execute(
        text("""
        UPDATE store.models m
           SET popularity = least(length(greatest(s.downloads, 1)::text) - 1, :most)
          FROM incoming_sightings s
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
              FROM incoming_sightings s JOIN store.models m USING (name)
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


def model_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    """Return the keys of the models of these names, in ascending order."""
    return list(
        connection.scalars(
            text(
                "SELECT model_id FROM store.models"
                " WHERE name = ANY (cast(:names AS text[])) ORDER BY 1"
            ),
            {"names": array(names)},
        )
    )
