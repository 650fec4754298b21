"""Pages of a fixed listing, rendered once to files: a Hub of any size in constant memory."""

import hashlib
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.demo.hub.listing import Cursor, ListQuery, Parameters, RefusedError
from registry.demo.hub.store import ListingPage, missing


class IndexedModels(Protocol):
    """Models that can be generated one by one, and ordered without being generated."""

    def order(self, sort: str) -> NDArray[np.int64]:
        """Return the numbers of all models in the listing's order by `sort`."""
        ...

    def records(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return the models of these numbers."""
        ...


class PreparedPages:
    """Serves every order and field selection of `models`, without filters and single models.

    A page is rendered when first asked for, or by `prepare`, to a file in a temporary directory
    that goes away with the `with` block: about 2 KB a model and listing. Memory holds the orders,
    8 bytes a model each.
    """

    def __init__(self, models: IndexedModels) -> None:
        self._models = models
        self._orders: dict[str, NDArray[np.int64]] = {}
        self._lock = threading.Lock()
        self._directory = tempfile.TemporaryDirectory(prefix="sample-hub-")

    def __enter__(self) -> Self:
        """Return itself; leaving deletes the files."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Delete the files."""
        self._directory.cleanup()

    def prepare(self, query: ListQuery) -> int:
        """Render all pages of one listing; returns their number."""
        size = len(self._order(query.sort))
        for start in range(0, size, query.limit):
            self._file(query, start)
        return -(-size // query.limit)

    def page(self, query: ListQuery, *, trusted: bool) -> ListingPage:
        """Return the page as a file; RefusedError 400 where the request filters."""
        del trusted
        if query.filtered:
            raise RefusedError(400, "Prepared pages cannot be filtered.")
        start = _offset(query.cursor)
        size = len(self._order(query.sort))
        if not 0 <= start <= size:
            raise RefusedError(400, "Invalid cursor")
        following = start + query.limit
        cursor = Cursor(query.sort, "", str(following), 0).encode() if following < size else None
        return ListingPage(self._file(query, start), cursor)

    def detail(
        self, name: str, revision: str | None, parameters: Parameters, *, trusted: bool
    ) -> bytes:
        """Reject the request: models are found by their position in an order only."""
        del name, revision, parameters
        raise missing(trusted=trusted)

    def _order(self, sort: str) -> NDArray[np.int64]:
        with self._lock:
            if sort not in self._orders:
                self._orders[sort] = self._models.order(sort)
            return self._orders[sort]

    def _file(self, query: ListQuery, start: int) -> Path:
        key = orjson.dumps((query.sort, query.fields, query.limit, start))
        name = hashlib.sha1(key, usedforsecurity=False).hexdigest()
        path = Path(self._directory.name, f"{name}.json")
        if not path.exists():
            rows = self._models.records(self._order(query.sort)[start : start + query.limit])
            _write_whole(path, rows, query)
        return path


def _write_whole(path: Path, rows: Sequence[dict[str, Any]], query: ListQuery) -> None:
    # Two threads may render the same page: each writes its own file, the last one stays.
    part = path.with_suffix(f".{threading.get_ident()}")
    part.write_bytes(orjson.dumps([query.item(row) for row in rows]))
    part.replace(path)


def _offset(cursor: Cursor | None) -> int:
    if cursor is None:
        return 0
    if not cursor.hub_id.isdecimal():
        raise RefusedError(400, "Invalid cursor")
    return int(cursor.hub_id)
