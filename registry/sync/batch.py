"""New models as COPY text, whole tables at a time, and pages of a first load made into that.

A first load knows that all is new, and hands out the models' keys beforehand: so readers can make
everything ready, and the process that talks to the database only passes it on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from registry.catalog.rows import COUNTER_COLUMNS, DOCUMENT_COLUMNS, MODEL_COLUMNS, line
from registry.sync.page import Entry, Reading, Refusal

Keyed: TypeAlias = Sequence[tuple[int, Entry]]
"""Models with their keys."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "store.models": ("model_id", *MODEL_COLUMNS, "first_seen", "changed_at"),
    "store.documents": ("model_id", *DOCUMENT_COLUMNS),
    "store.counters": ("model_id", *COUNTER_COLUMNS),
    "store.model_history": ("model_id", "observed_at", *COUNTER_COLUMNS),
    "store.pending_edges": (
        "child_id", "parent", "relation", "source", "confidence", "position",
    ),
    "store.pending_renames": ("former", "present"),
    "store.pending_evaluations": ("model_id", "eval_results"),
}  # fmt: skip
"""What is written of each table, in the order of writing."""

Lines: TypeAlias = Mapping[str, Iterable[str]]
"""Rows of COPY text, without line ends, by table."""


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
    refusals: Sequence[Refusal]
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


def model_lines(models: Keyed, moment: str) -> Lines:
    """Return the rows of new models, their documents and their counters.

    Args:
        models: of which nothing is stored.
        moment: when they were observed, as Postgres reads it.
    """
    return {
        "store.models": [f"{key}\t{each.model}\t{moment}\t{moment}" for key, each in models],
        "store.documents": [f"{key}\t{each.document}" for key, each in models],
        "store.counters": [f"{key}\t{each.counters}" for key, each in models],
        "store.model_history": [f"{key}\t{moment}\t{each.counters}" for key, each in models],
    }


def parent_lines(models: Keyed) -> Lines:
    """Return what models say of their parents, to be set aside until all models are in."""
    return {
        "store.pending_edges": [
            "\t".join(map(str, (key, *parent))) for key, each in models for parent in each.parents
        ],
        "store.pending_renames": [
            f"{former}\t{present}"
            for _, each in models
            for former, present in each.renames
            if former != present
        ],
    }


def evaluation_lines(models: Keyed) -> Lines:
    """Return which models have scores, to be taken up after the pages."""
    return {
        "store.pending_evaluations": [
            f"{key}\t{line([each.evaluations])}"
            for key, each in models
            if each.evaluations is not None
        ]
    }


def batch(reading: Reading, keys: Sequence[int], moment: str) -> Batch:
    """Make a page ready, all of whose readable records are new.

    Args:
        reading: the page.
        keys: for its models, at least as many; the rest is not used.
        moment: when it was observed, as Postgres reads it.
    """
    entries, refusals = reading.entries(reading.sightings)
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
        listed=list(reading.sightings),
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
