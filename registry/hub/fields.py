"""The fields of raw records, one of all of them at a time, and which could not be read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

from registry.coerce import document, texts
from registry.coerce import tags as read_tags
from registry.hub.parameters import Weights, read_weights

_T = TypeVar("_T")

Object: TypeAlias = Mapping[str, object]
"""A JSON object: a record, or a part of one."""

NOTHING: Object = {}


class Fields:
    """The fields of raw records, one of all of them at a time.

    Gathers the names of those that cannot be read, for each record.
    """

    __slots__ = ("raws", "unread")

    def __init__(self, raws: Sequence[Object]) -> None:
        self.raws = raws
        self.unread: list[list[str]] = [[] for _ in raws]

    def note(self, key: str, lost: Iterable[bool]) -> None:
        """Take note of the records that a field cannot be read of."""
        for unread, is_lost in zip(self.unread, lost, strict=True):
            if is_lost:
                unread.append(key)

    def take(
        self,
        key: str,
        read: Callable[[object], _T | None],
        sources: Sequence[Object] | None = None,
    ) -> list[_T | None]:
        """Read one field of the records, or of `sources`; None is missing, not unreadable."""
        found: list[_T | None] = []
        for source, unread in zip(
            self.raws if sources is None else sources, self.unread, strict=True
        ):
            value = source.get(key)
            if value is None:
                found.append(None)
                continue
            result = read(value)
            if result is None and value != "":
                unread.append(key)
            found.append(result)
        return found

    def else_take(
        self,
        found: Sequence[_T | None],
        key: str,
        read: Callable[[object], _T | None],
        sources: Sequence[Object],
    ) -> list[_T | None]:
        """Read a field of `sources` for the records of which nothing was found elsewhere."""
        asked = [
            source if value is None else NOTHING
            for value, source in zip(found, sources, strict=True)
        ]
        return [
            value if other is None else other
            for value, other in zip(found, self.take(key, read, asked), strict=True)
        ]

    def texts(self, key: str, sources: Sequence[Object]) -> list[list[str]]:
        """Read a text or a list of texts of each of `sources`."""
        return self._lists(key, sources, texts)

    def tags(self) -> list[list[str]]:
        """Read the records' tags."""
        return self._lists("tags", self.raws, read_tags)

    def _lists(
        self,
        key: str,
        sources: Sequence[Object],
        read: Callable[[object], tuple[list[str], bool]],
    ) -> list[list[str]]:
        found: list[list[str]] = []
        for source, unread in zip(sources, self.unread, strict=True):
            value = source.get(key)
            if value is None:
                found.append([])
                continue
            kept, partial = read(value)
            if partial:
                unread.append(key)
            found.append(kept)
        return found

    def flags(self, key: str) -> list[bool]:
        """Read a field that is true or false; what is neither is false, and unreadable."""
        values = [raw.get(key) for raw in self.raws]
        self.note(key, [value is not None and not isinstance(value, bool) for value in values])
        return [value is True for value in values]

    def gates(self, key: str) -> list[Literal["auto", "manual"] | None]:
        """Read who lets people in at a gated model: nobody has to where it is None."""
        values = [raw.get(key) for raw in self.raws]
        found = list(map(_gate, values))
        self.note(
            key,
            [
                gate is None and value is not None and value is not False
                for value, gate in zip(values, found, strict=True)
            ],
        )
        return found

    def weights(self, names: Sequence[str], ggufs: Sequence[Object]) -> list[Weights]:
        """Count the weights of models of these names, with these GGUF headers."""
        headers = [raw.get("safetensors") for raw in self.raws]
        found = list(map(read_weights, names, headers, ggufs))
        self.note("safetensors", [not each.complete for each in found])
        return found

    def keep(
        self,
        key: str,
        values: Sequence[Object | None],
        encoded: Sequence[bytes | None],
    ) -> list[str | None]:
        """Return documents as JSON text; `encoded` is what orjson makes of each, where known."""
        found = [
            None if value is None else document(value, known)
            for value, known in zip(values, encoded, strict=True)
        ]
        self.note(
            key,
            [value is not None and text is None for value, text in zip(values, found, strict=True)],
        )
        return found


def _gate(value: object) -> Literal["auto", "manual"] | None:
    if value is True or value == "auto":
        return "auto"
    return "manual" if value == "manual" else None
