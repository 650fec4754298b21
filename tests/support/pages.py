"""Pages of the Hub's listing for tests, taken in as a sync does but without its passes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from factories import NOON
from sqlalchemy import Connection

from registry.catalog import lineage, listing
from registry.sync.ingest import write
from registry.sync.page import read
from registry.sync.state import SyncState


def record(
    name: str, *parents: str, hub_id: str | None = None, **fields: Any
) -> Mapping[str, object]:
    """Return a raw record; each parent is `relation:name`, or a name alone."""
    tags = [f"base_model:{parent}" for parent in parents]
    return {"id": name, "tags": tags, **({"_id": hub_id} if hub_id else {}), **fields}


def take(
    connection: Connection, *records: Mapping[str, object], as_of: datetime = NOON
) -> listing.PageComparison:
    """Take in a page of raw records."""
    reading = read(records)
    compared = listing.compare(connection, reading.listing_rows, as_of=as_of)
    write(
        connection,
        SyncState(scope="test", kind="delta", as_of=as_of),
        reading,
        compared,
        reading.entries(name for name in reading.listing_rows if name not in compared.unchanged)[0],
        lineage.write_edges,
    )
    return compared
