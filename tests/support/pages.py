"""Pages of the Hub's listing for tests, stored as a sync does but without its state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from factories import NOON
from sqlalchemy import Connection

from registry.catalog import listing
from registry.sync.ingest import Incremental, write_page
from registry.sync.page import read


def record(
    name: str, *parents: str, hub_id: str | None = None, **fields: Any
) -> Mapping[str, object]:
    """Return a raw record; each parent is `relation:name`, or a name alone."""
    tags = [f"base_model:{parent}" for parent in parents]
    return {"id": name, "tags": tags, **({"_id": hub_id} if hub_id else {}), **fields}


def take(
    connection: Connection, *records: Mapping[str, object], as_of: datetime = NOON
) -> listing.PageComparison:
    """Store a page of raw records; return what was new, changed or unchanged."""
    page = read(records)
    compared = listing.compare(connection, page.listing_rows, as_of=as_of)
    write_page(connection, page, compared, Incremental(), as_of=as_of)
    return compared
