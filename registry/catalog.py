"""Models in the database: what a page of records changes, names and aliases, counters, history.

A page goes through temporary tables: every record's name, fingerprint and counters first; then,
only for those whose fingerprint is new, the whole record. The set logic is SQL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from registry.db import copy_rows
from registry.identity import follow_renames
from registry.records import ModelRecord
from registry.schema import models

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What is looked at of every record of a page, changed or not."""

    name: str
    hub_id: str | None
    digest: int
    downloads: int | None
    downloads_all_time: int | None
    likes: int | None
    trending_score: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which names of a page are new to the catalog, changed, or as they were.

    `orphans` are keys of models whose parent was found under another name: their families need to
    be computed again.
    """

    new: frozenset[str]
    changed: frozenset[str]
    unchanged: frozenset[str]
    orphans: tuple[int, ...]


MOST_POPULAR = 4
"""Highest step of `models.popularity`: 10,000 downloads a month and more."""

_SIGHTING_COLUMNS = (
    "name",
    "hub_id",
    "digest",
    "downloads",
    "downloads_all_time",
    "likes",
    "trending_score",
)

_MODEL_COLUMNS = (
    "name",
    "hub_id",
    "author",
    "state",
    "sha",
    "created_at",
    "last_modified",
    "gated",
    "pipeline_tag",
    "library",
    "license",
    "license_name",
    "license_link",
    "languages",
    "datasets",
    "arxiv",
    "tags",
    "architectures",
    "model_type",
    "parameters",
    "parameters_source",
    "dtypes",
    "quantization",
    "new_version",
    "unread",
    "digest",
    "popularity",
)

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
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_keys (
    model_id bigint PRIMARY KEY, name text UNIQUE
) ON COMMIT DELETE ROWS;
"""


def prepare(connection: Connection) -> None:
    """Make the temporary tables that pages go through, and set the session up for pages."""
    columns = ", ".join(
        f"{name} {models.c[name].type.compile(_DIALECT)}" for name in _MODEL_COLUMNS
    )
    connection.exec_driver_sql(_TEMPORARY.replace("COLUMNS", columns))
    # A page touches a thousand rows of tables of any size: always by index, never by a scan.
    connection.exec_driver_sql("SET enable_seqscan = off; SET random_page_cost = 1")


def compare(
    connection: Connection, sightings: Iterable[Sighting], *, as_of: datetime
) -> Comparison:
    """Load a page's sightings, follow renames, and tell which records need to be read.

    Args:
        connection: in the page's transaction, after `prepare`.
        sightings: one per name.
        as_of: when the page was observed; renames are dated by it.
    """
    # Empty already, unless one transaction takes in several pages.
    connection.exec_driver_sql(
        "DELETE FROM incoming_sightings; DELETE FROM incoming_models; DELETE FROM incoming_keys"
    )
    copy_rows(
        connection,
        "incoming_sightings",
        _SIGHTING_COLUMNS,
        (
            (
                s.name,
                s.hub_id,
                s.digest,
                s.downloads,
                s.downloads_all_time,
                s.likes,
                s.trending_score,
            )
            for s in sightings
        ),
    )
    orphans = follow_renames(connection, as_of)
    rows = connection.execute(
        text("""
        SELECT s.name,
               CASE WHEN m.model_id IS NULL OR m.state = 'stub' THEN 'new'
                    WHEN m.digest IS DISTINCT FROM s.digest OR m.gone_at IS NOT NULL THEN 'changed'
                    ELSE 'unchanged' END AS verdict
          FROM incoming_sightings s LEFT JOIN store.models m USING (name)""")
    ).all()
    verdicts: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
    for name, verdict in rows:
        verdicts[verdict].append(name)
    return Comparison(
        frozenset(verdicts["new"]),
        frozenset(verdicts["changed"]),
        frozenset(verdicts["unchanged"]),
        tuple(orphans),
    )


def upsert_models(
    connection: Connection,
    records: Sequence[tuple[ModelRecord, int]],
    *,
    as_of: datetime,
) -> dict[str, int]:
    """Write new and changed records, with their raw documents.

    Args:
        connection: in the page's transaction, after `compare`.
        records: each with its fingerprint.
        as_of: when they were observed.

    Returns:
        The models' keys by name.
    """
    copy_rows(
        connection,
        "incoming_models",
        ("ordinal", "card", "config", *_MODEL_COLUMNS),
        (
            (ordinal, record.card, record.config, *_model_row(record, digest))
            for ordinal, (record, digest) in enumerate(records)
        ),
    )
    columns = ", ".join(_MODEL_COLUMNS)
    assignments = ", ".join(
        f"{column} = coalesce(excluded.{column}, models.{column})"
        if column == "hub_id"
        else f"{column} = excluded.{column}"
        for column in _MODEL_COLUMNS
    )
    rows = connection.execute(
        text(f"""
        WITH written AS (
            INSERT INTO store.models ({columns}, first_seen, changed_at)
            SELECT {columns}, :as_of, :as_of FROM incoming_models ORDER BY ordinal
                ON CONFLICT (name) DO UPDATE
               SET {assignments}, changed_at = excluded.changed_at, gone_at = NULL
            RETURNING model_id, name
        )
        INSERT INTO incoming_keys (model_id, name) SELECT model_id, name FROM written
        RETURNING name, model_id"""),  # noqa: S608
        {"as_of": as_of},
    )
    keys = {row.name: row.model_id for row in rows}
    connection.execute(
        text("""
        INSERT INTO store.documents (model_id, card, config)
        SELECT k.model_id, i.card, i.config FROM incoming_models i JOIN incoming_keys k USING (name)
            ON CONFLICT (model_id) DO UPDATE SET card = excluded.card, config = excluded.config""")
    )
    return keys


def _model_row(record: ModelRecord, digest: int) -> tuple[object, ...]:
    return (
        record.name,
        record.hub_id,
        record.author,
        _state(record),
        record.sha,
        record.created_at,
        record.last_modified,
        record.gated,
        record.pipeline_tag,
        record.library,
        record.license,
        record.license_name,
        record.license_link,
        _array(record.languages),
        _array(record.datasets),
        _array(record.arxiv),
        _array(record.tags),
        _array(record.architectures),
        record.model_type,
        record.parameters,
        record.parameters_source,
        orjson.dumps(dict(record.dtypes)).decode() if record.dtypes else None,
        record.quantization,
        record.new_version,
        _array(record.unread),
        digest,
        _popularity(record.downloads),
    )


def _popularity(downloads: int | None) -> int:
    return min(len(str(downloads)) - 1, MOST_POPULAR) if downloads else 0


def _array(values: tuple[str, ...]) -> str | list[str]:
    """Return an array in a form that COPY takes.

    Postgres' array literal is JSON's with other brackets, except for some escapes;
    writing it so takes a tenth of the driver's time for lists, which was a fifth of a page's.
    """
    if not values:
        return "{}"
    literal = orjson.dumps(values).decode()
    if "\\" in literal:
        return list(values)
    return "{" + literal[1:-1] + "}"


def _state(record: ModelRecord) -> str:
    if record.disabled:
        return "disabled"
    if record.private:
        return "private"
    return "gated" if record.gated else "available"


def update_counters(connection: Connection, *, as_of: datetime) -> int:
    """Write the page's counters where they changed, and keep a line of history for each change.

    Returns:
        How many models' counters changed.
    """
    connection.execute(
        text("""
        UPDATE store.models m
           SET popularity = least(length(greatest(s.downloads, 1)::text) - 1, :most)
          FROM incoming_sightings s
         WHERE m.name = s.name
           AND m.popularity <> least(length(greatest(s.downloads, 1)::text) - 1, :most)"""),
        {"most": MOST_POPULAR},
    )
    result = connection.execute(
        text("""
        WITH changed AS (
            INSERT INTO store.counters AS c
                   (model_id, downloads, downloads_all_time, likes, trending_score)
            SELECT m.model_id, s.downloads, s.downloads_all_time, s.likes, s.trending_score
              FROM incoming_sightings s JOIN store.models m USING (name)
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
        {"as_of": as_of},
    )
    return result.rowcount


def seen_ids(connection: Connection, names: Sequence[str] = ()) -> list[int]:
    """Return the keys of the models of the page and of these names, in ascending order."""
    return list(
        connection.scalars(
            text("""
            SELECT m.model_id FROM incoming_sightings s JOIN store.models m USING (name)
             UNION
            SELECT m.model_id FROM store.models m WHERE m.name = ANY (:names)
             ORDER BY 1"""),
            {"names": list(names)},
        )
    )
