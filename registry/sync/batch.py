"""New models as COPY text, whole tables at a time, and pages of a first load made into that.

A first load knows that all is new, and hands out the models' keys beforehand: so readers can make
everything ready, and the process that talks to the database only passes it on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from registry.catalog.rows import evaluation_lines, model_lines, parent_lines
from registry.sync.page import RecordPage, RejectedRecord


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Batch:
    """One page of a first load, ready to be stored.

    Attributes:
        url: its address.
        next_url: that of the next one, None on the last.
        size: number of its records, repeated and unreadable ones included.
        listed: names in the listing's order.
        moments: the last changes of its records, in their order, where they can be read.
        refusals: what cannot be read.
        partly_read: number of models of which something could not be read.
        keys: of its models.
        texts: COPY text by table, each line with its end; tables without rows are not there.
        fingerprints: of the models' feature sets; None where nothing is known.
        vectors: by fingerprint.
        body: the page as it came, for where it turns out not to be new.
    """

    url: str
    next_url: str | None
    size: int
    listed: Collection[str]
    moments: Sequence[datetime]
    refusals: Sequence[RejectedRecord]
    partly_read: int
    keys: Sequence[int]
    texts: Mapping[str, bytes]
    fingerprints: Sequence[str | None]
    vectors: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def pages(self) -> int:
        """Number of the listing's pages that it holds."""
        return 1


def batch(reading: RecordPage, keys: Sequence[int], moment: str) -> Batch:
    """Make a page ready, all of whose readable records are new.

    Args:
        reading: the page.
        keys: for its models, at least as many; the rest is not used.
        moment: when it was observed, as Postgres reads it.
    """
    entries, refusals = reading.entries(reading.listing_rows)
    models = list(zip(keys, entries, strict=False))
    lines = {
        **model_lines(models, moment),
        **parent_lines(models),
        **evaluation_lines(models),
    }
    return Batch(
        url=reading.url,
        next_url=reading.next_url,
        size=reading.size,
        listed=list(reading.listing_rows),
        moments=reading.moments,
        refusals=[*refusals, *reading.nameless],
        partly_read=sum(each.partly_read for each in entries),
        keys=[key for key, _ in models],
        texts={table: "\n".join([*rows, ""]).encode() for table, rows in lines.items() if rows},
        fingerprints=[each.features.fingerprint if each.features else None for each in entries],
        vectors={
            each.features.fingerprint: each.features.vector for each in entries if each.features
        },
    )
