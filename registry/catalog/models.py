"""Models in the database: new rows, changed rows and keys.

New models are copied into their tables; changed ones by way of a temporary table.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from registry.catalog.rows import (
    COLUMNS,
    DOCUMENT_COLUMNS,
    MODEL_COLUMNS,
    Entry,
    array,
    model_lines,
)
from registry.db.copy import copy_lines
from registry.db.schema import models

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


_INCOMING_MODELS = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_models (
    ordinal integer, card jsonb, config jsonb, COLUMNS,
    PRIMARY KEY (name)
) WITH (toast_tuple_target = 8160)  -- compressing what is read once takes longer than all else
  ON COMMIT DELETE ROWS;
DELETE FROM incoming_models;  -- empty already, unless one transaction stores several pages
""".replace(
    "COLUMNS",
    ", ".join(f"{name} {models.c[name].type.compile(_DIALECT)}" for name in MODEL_COLUMNS),
)


def add_models(
    connection: Connection, entries: Sequence[Entry], *, as_of: datetime
) -> dict[str, int]:
    """Write new models, with their documents and counters.

    Args:
        connection: in the page's transaction.
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
    """Return keys for new models."""
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
        connection: in the page's transaction.
        entries: models of any kind: changed, known as stubs, or new.
        as_of: when they were observed.

    Returns:
        The models' keys by name.
    """
    if not entries:
        return {}
    connection.exec_driver_sql(_INCOMING_MODELS)
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
           SET {assignments}, license_source = NULL,
               changed_at = excluded.changed_at, gone_at = NULL
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
