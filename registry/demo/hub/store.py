"""Models of a sample Hub, in memory, changeable while it is serving."""

import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from registry.demo.hub.listing import (
    DETAIL_ONLY,
    EXPANDABLE,
    IDENTITY,
    ListQuery,
    Parameters,
    Record,
    RefusedError,
    expanded,
    sort_key,
    tie_key,
)

_LISTING_ONLY = frozenset({"trendingScore", "downloadsAllTime", "baseModels"})
_RELATION_TAG = re.compile(r"base_model:(finetune|adapter|merge|quantized):(.+)")


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of the listing: its JSON, in memory or in a file, and the next cursor (None: last)."""

    body: bytes | Path
    next_cursor: str | None


class ModelStore:
    """Models by name, with the orders of the Hub's listing. Safe to use from several threads."""

    def __init__(self, records: Iterable[Record], moved: Mapping[str, str] | None = None) -> None:
        self._lock = threading.RLock()
        self._generation = 0
        self._moved = dict(moved or {})
        self._hidden: set[str] = set()
        self._disabled: set[str] = set()
        self._orders: dict[str, list[Record]] = {}
        self._records: dict[str, Record] = {}
        self.replace(records)

    def replace(self, records: Iterable[Record]) -> None:
        """Replace all records; names that are moved, hidden or disabled stay so."""
        with self._lock:
            self._records = {record["id"]: record for record in records}
            self._orders.clear()

    def put(self, record: Record) -> None:
        """Add `record`, or replace the one of its name; undoes hide and disable."""
        with self._lock:
            name = record["id"]
            self._records[name] = record
            self._hidden.discard(name)
            self._disabled.discard(name)
            self._moved.pop(name, None)
            self._orders.clear()

    def remove(self, name: str) -> None:
        """Delete a model; its children keep naming it. KeyError where there is none."""
        with self._lock:
            del self._records[name]
            self._orders.clear()

    def rename(self, old: str, new: str) -> None:
        """Move a model; tags of its children follow, their cards do not, as on the Hub."""
        with self._lock:
            moved = {**self._records.pop(old), "id": new, "modelId": new}
            if "/" in new:
                moved["author"] = new.partition("/")[0]
            self._records[new] = moved
            self._moved = {source: new if at == old else at for source, at in self._moved.items()}
            self._moved[old] = new
            for name, record in self._records.items():
                tags = [_renamed(tag, old, new) for tag in record.get("tags", ())]
                if tags != record.get("tags", []):
                    self._records[name] = {**record, "tags": tags}
            self._orders.clear()

    def hide(self, name: str) -> None:
        """Make a model private to somebody else: no token sees it. KeyError where there is none."""
        with self._lock:
            self._hidden.add(self._records[name]["id"])
            self._orders.clear()

    def disable(self, name: str) -> None:
        """Disable a model: no longer listed, 403 when requested. KeyError where there is none."""
        with self._lock:
            self._disabled.add(self._records[name]["id"])
            self._orders.clear()

    def expire_cursors(self) -> None:
        """Expire every cursor returned so far."""
        with self._lock:
            self._generation += 1

    def page(self, query: ListQuery, *, trusted: bool) -> ListingPage:
        """Return one page; with `trusted` it has private models. RefusedError where rejected."""
        with self._lock:
            rows, generation = self._ordered(query.sort), self._generation
        start = 0
        if query.cursor is not None:
            if query.cursor.generation != generation:
                raise RefusedError(400, "Invalid cursor")
            start = bisect_left(rows, x=True, key=query.cursor.precedes)
        selected = (
            record
            for record in islice(rows, start, None)
            if query.matches(record) and (trusted or not record.get("private"))
        )
        records = list(islice(selected, query.limit + 1))
        shown = records[: query.limit]
        last = query.end(shown[-1], generation).encode() if len(records) > len(shown) else None
        return ListingPage(orjson.dumps([query.item(record) for record in shown]), last)

    def detail(
        self, name: str, revision: str | None, parameters: Parameters, *, trusted: bool
    ) -> bytes:
        """Return one model's JSON; RefusedError 307, 401, 403 or 404 where the Hub gives it."""
        with self._lock:
            record = self._records.get(name)
            if record is None:
                self._redirect(name)
            if record is None or name in self._hidden or (record.get("private") and not trusted):
                raise missing(trusted=trusted)
            if name in self._disabled:
                text = "Access to this resource is disabled."
                raise RefusedError(403, text, {"X-Error-Message": text})
        if revision not in {None, "main", "HEAD", record.get("sha")}:
            text = f"Invalid rev id: {revision}"
            headers = {"X-Error-Code": "RevisionNotFound", "X-Error-Message": text}
            raise RefusedError(404, text, headers)
        fields = expanded(parameters)
        if unknown := set(fields) - EXPANDABLE - DETAIL_ONLY:
            raise RefusedError(400, f"expand: {min(unknown)!r} is unknown.")
        if not fields:
            return orjson.dumps({k: v for k, v in record.items() if k not in _LISTING_ONLY})
        known = {**record, "baseModels": self._base_models(record)}
        return orjson.dumps({f: known[f] for f in (*IDENTITY, *fields) if known.get(f) is not None})

    def _ordered(self, sort: str) -> list[Record]:
        if sort not in self._orders:
            gone = self._hidden | self._disabled
            rows = [record for name, record in self._records.items() if name not in gone]
            rows.sort(key=tie_key)
            rows.sort(key=lambda record: sort_key(record, sort), reverse=True)
            self._orders[sort] = rows
        return self._orders[sort]

    def _redirect(self, name: str) -> None:
        folded = name.casefold()
        same = (known for known in self._records if known.casefold() == folded)
        target = self._moved.get(name) or next(same, None)
        if target is not None and target not in self._hidden:
            location = f"/api/models/{target}"
            text = f"Temporary Redirect. Redirecting to {location}"
            raise RefusedError(307, text, {"Location": location})

    def _base_models(self, record: Record) -> dict[str, Any] | None:
        pairs = [match.groups() for tag in record["tags"] if (match := _RELATION_TAG.match(tag))]
        with self._lock:
            parents = [(relation, self._records.get(name)) for relation, name in pairs]
        models = [{"_id": base.get("_id"), "id": base["id"]} for _, base in parents if base]
        return {"relation": pairs[0][0], "models": models} if models else None


def missing(*, trusted: bool) -> RefusedError:
    """Return the Hub's error for a model that does not exist, or not for this caller."""
    if not trusted:
        text = "Invalid username or password."
        return RefusedError(401, text, {"X-Error-Message": text})
    headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
    return RefusedError(404, "Repository not found", headers)


def _renamed(tag: str, old: str, new: str) -> str:
    if tag.startswith("base_model:") and tag.endswith(f":{old}"):
        return f"{tag.removesuffix(old)}{new}"
    return tag
