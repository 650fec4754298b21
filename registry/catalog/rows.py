"""Rows of models in the text format of COPY.

The process that parses a record writes them; the one that talks to the database only passes them
on. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from registry.catalog.features import FeatureSet
from registry.catalog.tsvector import search_document
from registry.hub.parents import Parent
from registry.hub.records import (
    Counters,
    ModelRecord,
)

NULL = "\\N"

LISTING_COLUMNS = (
    "name",
    "hub_id",
    "digest",
    "downloads",
    "downloads_all_time",
    "likes",
    "trending_score",
)
"""Columns that are compared for every record of a page, changed or not."""

COUNTER_COLUMNS = LISTING_COLUMNS[3:]

MODEL_COLUMNS = (
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
    "stored_parameters",
    "dtypes",
    "quantization",
    "new_version",
    "unread",
    "digest",
    "popularity",
    "search",
)

DOCUMENT_COLUMNS = ("card", "config")

MOST_POPULAR = 4
"""Highest step of `models.popularity`: 10,000 downloads a month and more."""


def line(fields: Sequence[str | None]) -> str:
    """Return a row, without a line end, that COPY reads back as these texts; None is NULL."""
    joined = "\t".join([NULL if field is None else field for field in fields])
    # All backslashes are those of NULLs, all tabs those between fields.
    plain = joined.count("\\") == fields.count(None) and joined.count("\t") == len(fields) - 1
    if plain and "\n" not in joined and "\r" not in joined:
        return joined
    return "\t".join([NULL if field is None else _escaped(field) for field in fields])


def _escaped(text: str) -> str:
    # A fifth of the time of `translate` for a card. A character that becomes two is inserted faster
    # between the parts than replaced.
    text = "\\\\".join(text.split("\\")).replace("\t", "\\t")
    return text.replace("\n", "\\n").replace("\r", "\\r")


def array(texts: Sequence[str]) -> str:
    """Return a text array as Postgres writes it.

    Its literal is JSON's with other brackets, except for what has to be escaped.
    """
    if not texts:
        return "{}"
    literal = orjson.dumps(texts).decode()
    if "\\" not in literal:
        return "{" + literal[1:-1] + "}"
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


def listing_line(name: str, hub_id: str | None, digest: int, counters: str) -> str:
    """Return the columns LISTING_COLUMNS; `counters` as by `counter_line`."""
    return f"{line((name, hub_id))}\t{digest}\t{counters}"


def counter_line(counters: Counters) -> str:
    """Return the columns COUNTER_COLUMNS."""
    return "\t".join([NULL if each is None else repr(each) for each in counters])


def model_field(line: str, column: str) -> str | None:
    """Return a column of a row as by `model_line`, as Postgres reads it; None is NULL."""
    field = line.split("\t")[MODEL_COLUMNS.index(column)]
    return None if field == NULL else field


def document_line(record: ModelRecord) -> str:
    """Return the columns DOCUMENT_COLUMNS."""
    return line((record.card, record.config))


def model_line(record: ModelRecord, digest: int) -> str:
    """Return the columns MODEL_COLUMNS."""
    popularity = _popularity(record.downloads)
    return line((
        record.name,
        record.hub_id,
        record.author,
        _state(record),
        record.sha,
        _moment(record.created_at),
        _moment(record.last_modified),
        record.gated,
        record.pipeline_tag,
        record.library,
        record.license,
        record.license_name,
        record.license_link,
        array(record.languages),
        array(record.datasets),
        array(record.arxiv),
        array(record.tags),
        array(record.architectures),
        record.model_type,
        None if record.parameters is None else str(record.parameters),
        record.parameters_source,
        None if record.stored_parameters is None else str(record.stored_parameters),
        orjson.dumps(dict(record.dtypes)).decode() if record.dtypes else None,
        record.quantization,
        record.new_version,
        array(record.unread),
        str(digest),
        str(popularity),
        search_document(
            record.name, record.author, record.license, record.parameters, popularity, record.tags
        ),
    ))  # fmt: skip


def _moment(moment: datetime | None) -> str | None:
    # A third of the time of `isoformat`, for the same.
    return None if moment is None else orjson.dumps(moment)[1:-1].decode()


def _popularity(downloads: int | None) -> int:
    return min(len(str(downloads)) - 1, MOST_POPULAR) if downloads else 0


def _state(record: ModelRecord) -> str:
    if record.disabled:
        return "disabled"
    if record.private:
        return "private"
    return "gated" if record.gated else "available"


class Entry(NamedTuple):
    """One readable record, ready to be written.

    `model`, `document` and `counters` are rows of COPY text, as in `registry.catalog.rows`.
    """

    name: str
    model: str
    document: str
    counters: str
    parents: tuple[Parent, ...]
    renames: tuple[tuple[str, str], ...]
    features: FeatureSet | None
    partly_read: bool
    evaluations: str | None


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
"""Columns written to each table, in the order of writing."""


Lines: TypeAlias = Mapping[str, Iterable[str]]
"""Rows of COPY text, without line ends, by table."""


def model_lines(models: Keyed, moment: str) -> Lines:
    """Return the rows of new models, their documents and their counters.

    Args:
        models: without rows.
        moment: when they were observed, as Postgres reads it.
    """
    return {
        "store.models": [f"{key}\t{each.model}\t{moment}\t{moment}" for key, each in models],
        "store.documents": [f"{key}\t{each.document}" for key, each in models],
        "store.counters": [f"{key}\t{each.counters}" for key, each in models],
        "store.model_history": [f"{key}\t{moment}\t{each.counters}" for key, each in models],
    }


def parent_lines(models: Keyed) -> Lines:
    """Return the parents and renames that models state, to be resolved after the pages."""
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
    """Return the scores that models state, to be imported after the pages."""
    return {
        "store.pending_evaluations": [
            f"{key}\t{line([each.evaluations])}"
            for key, each in models
            if each.evaluations is not None
        ]
    }
