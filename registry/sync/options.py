"""Options of a sync."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What to sync, and how.

    Attributes:
        full: read the whole listing, and mark as gone what it does not have.
        limit: stop after this many records, rounded up to whole pages; the next sync resumes there.
        author: only this author's models.
        filters: only models with all of these tags.
        since: go back to this moment instead of to the watermark.
        dry_run: count the changes, and change nothing.
        as_of: date of the observation; now, unless a recorded listing is replayed.
        lookups: upper limit of unlisted names to look up one by one.
        accept_gone: accept a full sweep that finds much of the catalog gone.
        page_size: records per page, at most 1,000.
        evaluations: import the scores that the Hub shows with models; a later sync does otherwise.
    """

    full: bool = False
    limit: int | None = None
    author: str | None = None
    filters: tuple[str, ...] = ()
    since: datetime | None = None
    dry_run: bool = False
    as_of: datetime | None = None
    lookups: int = 200
    accept_gone: bool = False
    page_size: int = 1000
    evaluations: bool = True
