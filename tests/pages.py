"""Pages of the Hub's listing for tests, taken in as a sync does but without its passes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from factories import NOON
from sqlalchemy import Connection

from registry import catalog, lineage
from registry.records import ModelRecord, counters, digest, parse_record


def record(
    name: str, *parents: str, hub_id: str | None = None, **fields: Any
) -> Mapping[str, object]:
    """Return a raw record; each parent is `relation:name`, or a name alone."""
    tags = [f"base_model:{parent}" for parent in parents]
    return {"id": name, "tags": tags, **({"_id": hub_id} if hub_id else {}), **fields}


def take(
    connection: Connection, *records: Mapping[str, object], as_of: datetime = NOON
) -> catalog.Comparison:
    """Take in a page of raw records."""
    catalog.prepare(connection)
    lineage.prepare(connection)
    # A sync commits each page, and so empties them.
    connection.exec_driver_sql("TRUNCATE incoming_sightings, incoming_models, incoming_edges")
    compared = catalog.compare(connection, [_sighting(raw) for raw in records], as_of=as_of)
    written = [
        (_parsed(raw), digest(raw)) for raw in records if raw["id"] not in compared.unchanged
    ]
    catalog.upsert_models(connection, written, as_of=as_of)
    lineage.upsert_edges(
        connection, [each for each, _ in written], orphans=compared.orphans, as_of=as_of
    )
    catalog.update_counters(connection, as_of=as_of)
    return compared


def _sighting(raw: Mapping[str, object]) -> catalog.Sighting:
    hub_id = raw.get("_id")
    assert hub_id is None or isinstance(hub_id, str)
    return catalog.Sighting(
        name=str(raw["id"]), hub_id=hub_id, digest=digest(raw), **counters(raw)._asdict()
    )


def _parsed(raw: Mapping[str, object]) -> ModelRecord:
    parsed = parse_record(raw)
    assert isinstance(parsed, ModelRecord), parsed
    return parsed
