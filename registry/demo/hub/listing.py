"""Listing requests, read as the Hub does: filters, order, fields and cursor."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from registry.errors import RegistryError

Record = Mapping[str, Any]
Parameters = Mapping[str, Sequence[str]]

SORTS = ("trendingScore", "lastModified", "createdAt", "downloads", "likes")
DATES = frozenset({"lastModified", "createdAt"})
IDENTITY = ("_id", "id", "modelId")
PLAIN = (
    *IDENTITY,
    "likes",
    "trendingScore",
    "private",
    "downloads",
    "tags",
    "pipeline_tag",
    "library_name",
    "createdAt",
)
FULL = (*PLAIN, "author", "sha", "lastModified", "gated", "disabled", "inference", "siblings")
_EXPANDABLE = """
    author cardData config createdAt disabled downloads downloadsAllTime evalResults gated
    gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index
    pipeline_tag private resourceGroup safetensors sha siblings spaces tags transformersInfo
    trendingScore widgetData"""
EXPANDABLE = frozenset(_EXPANDABLE.split())
DETAIL_ONLY = frozenset({"baseModels", "childrenModelCount", "usedStorage"})
_KNOWN = """
    limit sort direction cursor author search filter pipeline_tag gated full
    cardData config expand expand[]"""


class RefusedError(RegistryError):
    """The sample Hub rejects the request."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, headers or {}
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page: the sort key and `_id` of its last row, and the cursors' generation.

    A cursor is a place in the order, not a row number: rows that change meanwhile move in front
    of it or behind it, so they can be missed or seen twice, as on the Hub.
    """

    sort: str
    key: str | float
    hub_id: str
    generation: int

    def encode(self) -> str:
        """Return the opaque text of this cursor."""
        place = {
            "$or": [
                {self.sort: self.key, "_id": {"$gt": self.hub_id}},
                {self.sort: {"$lt": self.key}},
            ]
        }
        text = f"{json.dumps(place, separators=(',', ':'))}:{self.generation}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def decode(cls, text: str, sort: str) -> Self:
        """Read a cursor back; RefusedError with status 400 where it is not one of this order."""
        try:
            place, _, generation = base64.urlsafe_b64decode(text).decode().rpartition(":")
            tie = json.loads(place)["$or"][0]
            return cls(sort, _key(tie[sort], sort), str(tie["_id"]["$gt"]), int(generation))
        except (binascii.Error, ValueError, LookupError, TypeError) as error:
            raise RefusedError(400, "Invalid cursor") from error

    def precedes(self, record: Record) -> bool:
        """Return whether `record` comes after this cursor: larger keys first, ties by `_id`."""
        key = _key(record.get(self.sort), self.sort)
        if key == self.key:
            return tie_key(record) > self.hub_id
        # Keys of one order have one type: _key makes text of dates and numbers of counters.
        return cast("float", key) < cast("float", self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """One request for a page of models, checked; `fields` are those of each item."""

    limit: int
    sort: str
    fields: tuple[str, ...]
    cursor: Cursor | None
    author: str | None
    search: str | None
    tags: frozenset[str]
    pipeline_tag: str | None
    gated: bool | None

    @classmethod
    def parse(cls, parameters: Parameters, *, page_limit: int) -> Self:
        """Read the query string; RefusedError with status 400 where the Hub rejects it.

        A parameter that the sample does not implement is rejected too: ignoring a filter would
        return other models.
        """
        if unknown := set(parameters).difference(_KNOWN.split()):
            raise RefusedError(400, f"The sample Hub does not know the parameter {min(unknown)!r}.")
        if _last(parameters, "direction", "-1") != "-1":
            raise RefusedError(400, "direction: only -1, descending, is accepted.")
        sort = _last(parameters, "sort", "trendingScore")
        if sort not in SORTS:
            raise RefusedError(400, f"sort: expected one of {', '.join(SORTS)}.")
        limit = _last(parameters, "limit", str(page_limit))
        if not (limit.isascii() and limit.isdecimal() and int(limit)):
            raise RefusedError(400, "limit: expected a number from 1.")
        cursor = _last(parameters, "cursor")
        gated = _last(parameters, "gated")
        return cls(
            limit=min(int(limit), page_limit),
            sort=sort,
            fields=_fields(parameters),
            cursor=None if cursor is None else Cursor.decode(cursor, sort),
            author=_last(parameters, "author"),
            search=_last(parameters, "search"),
            tags=frozenset(parameters.get("filter", ())),
            pipeline_tag=_last(parameters, "pipeline_tag"),
            gated=None if gated is None else _true(gated),
        )

    @property
    def filtered(self) -> bool:
        """Whether the query selects among the models."""
        filters = (self.author, self.search, self.pipeline_tag, self.gated)
        return bool(self.tags) or any(value is not None for value in filters)

    def matches(self, record: Record) -> bool:
        """Return whether `record` belongs to the list."""
        name, author = str(record["id"]), str(record.get("author") or "")
        return (
            self.tags.issubset(record.get("tags", ()))
            and (self.author is None or author.casefold() == self.author.casefold())
            and (self.search is None or self.search.casefold() in name.casefold())
            and (self.pipeline_tag in {None, record.get("pipeline_tag")})
            and (self.gated is None or bool(record.get("gated")) == self.gated)
        )

    def item(self, record: Record) -> dict[str, Any]:
        """Return the requested fields of `record`, as far as it has them."""
        return {field: record[field] for field in self.fields if field in record}

    def end(self, record: Record, generation: int) -> Cursor:
        """Return the cursor of a page that ends with `record`."""
        return Cursor(self.sort, sort_key(record, self.sort), tie_key(record), generation)


def tie_key(record: Record) -> str:
    """Return the tie breaker of a model: its Hub key, or its name where it has none."""
    return str(record.get("_id") or record["id"])


def sort_key(record: Record, sort: str) -> str | float:
    """Return the sort key of `record`: ISO text for a date, else a number."""
    return _key(record.get(sort), sort)


def expanded(parameters: Parameters) -> list[str]:
    """Return the fields requested with `expand` or `expand[]`."""
    return [*parameters.get("expand", ()), *parameters.get("expand[]", ())]


def _key(value: object, sort: str) -> str | float:
    if sort in DATES:
        return str(value or "")
    return value if isinstance(value, int | float) else 0


def _fields(parameters: Parameters) -> tuple[str, ...]:
    extras = [name for name in ("cardData", "config") if _true(_last(parameters, name))]
    full = _true(_last(parameters, "full"))
    expand = expanded(parameters)
    if expand and (extras or full):
        raise RefusedError(400, "expand: cannot be combined with full, cardData or config.")
    if rejected := [name for name in expand if name not in EXPANDABLE]:
        hint = " is not available in a listing." if rejected[0] in DETAIL_ONLY else " is unknown."
        raise RefusedError(400, f"expand: {rejected[0]!r}{hint}")
    if expand:
        return tuple(dict.fromkeys((*IDENTITY, *expand)))
    return (*(FULL if full else PLAIN), *extras)


def _last(parameters: Parameters, name: str, default: str | None = None) -> Any:
    values = parameters.get(name)
    return values[-1] if values else default


def _true(value: str | None) -> bool:
    return (value or "").lower() in {"true", "1"}
