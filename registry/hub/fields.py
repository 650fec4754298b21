"""Fields of raw records, read one field of all records at a time."""

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
    """The fields of raw records, and for each record the names of those that cannot be read."""

    __slots__ = ("raws", "unread")

    def __init__(self, raws: Sequence[Object]) -> None:
        self.raws = raws
        self.unread: list[list[str]] = [[] for _ in raws]

    def mark_unread(self, key: str, unreadable: Iterable[bool]) -> None:
        """Add a field to the unread ones of the records where it is unreadable."""
        for unread, is_unreadable in zip(self.unread, unreadable, strict=True):
            if is_unreadable:
                unread.append(key)

    def read(
        self,
        key: str,
        parse: Callable[[object], _T | None],
        sources: Sequence[Object] | None = None,
    ) -> list[_T | None]:
        """Read one field of the records, or of `sources`; None is missing, not unreadable."""
        values: list[_T | None] = []
        for source, unread in zip(
            self.raws if sources is None else sources, self.unread, strict=True
        ):
            value = source.get(key)
            if value is None:
                values.append(None)
                continue
            parsed = parse(value)
            if parsed is None and value != "":
                unread.append(key)
            values.append(parsed)
        return values

    def read_missing(
        self,
        values: Sequence[_T | None],
        key: str,
        parse: Callable[[object], _T | None],
        sources: Sequence[Object],
    ) -> list[_T | None]:
        """Read a field of `sources` for the records without a value."""
        others = [
            source if value is None else NOTHING
            for value, source in zip(values, sources, strict=True)
        ]
        return [
            value if other is None else other
            for value, other in zip(values, self.read(key, parse, others), strict=True)
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
        parse: Callable[[object], tuple[list[str], bool]],
    ) -> list[list[str]]:
        lists: list[list[str]] = []
        for source, unread in zip(sources, self.unread, strict=True):
            value = source.get(key)
            if value is None:
                lists.append([])
                continue
            items, partial = parse(value)
            if partial:
                unread.append(key)
            lists.append(items)
        return lists

    def flags(self, key: str) -> list[bool]:
        """Read a field that is true or false; any other value is unreadable, and false."""
        values = [raw.get(key) for raw in self.raws]
        self.mark_unread(
            key, [value is not None and not isinstance(value, bool) for value in values]
        )
        return [value is True for value in values]

    def gates(self, key: str) -> list[Literal["auto", "manual"] | None]:
        """Read how access to gated models is granted; None where they are not gated."""
        values = [raw.get(key) for raw in self.raws]
        gates = list(map(_gate, values))
        self.mark_unread(
            key,
            [
                gate is None and value is not None and value is not False
                for value, gate in zip(values, gates, strict=True)
            ],
        )
        return gates

    def weights(self, names: Sequence[str], ggufs: Sequence[Object]) -> list[Weights]:
        """Count the weights of models of these names, with these GGUF headers."""
        headers = [raw.get("safetensors") for raw in self.raws]
        weights = list(map(read_weights, names, headers, ggufs))
        self.mark_unread("safetensors", [not each.complete for each in weights])
        return weights

    def documents(
        self,
        key: str,
        values: Sequence[Object | None],
        encoded: Sequence[bytes | None],
    ) -> list[str | None]:
        """Return documents as JSON text; `encoded` has the bytes of orjson, where there are any."""
        documents = [
            None if value is None else document(value, known)
            for value, known in zip(values, encoded, strict=True)
        ]
        self.mark_unread(
            key,
            [
                value is not None and text is None
                for value, text in zip(values, documents, strict=True)
            ],
        )
        return documents


def _gate(value: object) -> Literal["auto", "manual"] | None:
    if value is True or value == "auto":
        return "auto"
    return "manual" if value == "manual" else None
