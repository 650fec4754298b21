"""Strict reading of the documents that mappings are written as."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from registry.errors import UnreadableFileError

_Value = TypeVar("_Value")

NUMBER_OR_NULL = "a number or null"


@dataclass(frozen=True)
class Node:
    """A value in a document, with its path in it for messages."""

    file: object
    value: object
    path: str = ""

    def wrong(self, expected: str) -> UnreadableFileError:
        """Make an error that names the key and tells what is allowed."""
        shown = repr(self.value)
        problem = f"{shown[:60]} is not allowed here; it has to be {expected}."
        return UnreadableFileError(self.file, problem, field=self.path or None)

    def keys(self, allowed: Iterable[str] | None = None) -> dict[str, "Node"]:
        """Return the members of an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object with keys")
        known = None if allowed is None else tuple(allowed)
        members = {}
        for key, value in self.value.items():
            # YAML reads yes, no and bare numbers as what they look like.
            name = str(key).lower() if isinstance(key, bool) else str(key)
            if known is not None and name not in known:
                problem = f"There is no such key; allowed are {', '.join(known)}."
                raise UnreadableFileError(self.file, problem, field=self._below(name))
            members[name] = Node(self.file, value, self._below(name))
        return members

    def elements(self) -> list["Node"]:
        """Return the members of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [
            Node(self.file, value, f"{self.path}[{index}]")
            for index, value in enumerate(self.value)
        ]

    def text(self) -> str:
        """Return a text; numbers and flags are written out."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, str | int | float):
            return str(self.value)
        raise self.wrong("a text")

    def number(self) -> float:
        """Return a number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("a number")
        if not isfinite(self.value):
            raise self.wrong("a finite number")
        return float(self.value)

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def pattern(self) -> re.Pattern[str]:
        """Return a regular expression."""
        try:
            return re.compile(self.text())
        except re.error as problem:
            raise self.wrong(f"a regular expression ({problem})") from None

    def optional(self, read: Callable[["Node"], _Value]) -> _Value | None:
        """Return null or what `read` makes of the value."""
        return None if self.value is None else read(self)

    def each(self, read: Callable[["Node"], _Value]) -> dict[str, _Value]:
        """Return the members of an object with any keys, each read."""
        return {key: read(node) for key, node in self.keys().items()}

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


MEASURE_FIELDS: Mapping[str, Callable[[Node], object]] = {
    "metric": Node.text,
    "filter": Node.text,
    "lower": lambda node: node.optional(Node.number),
    "upper": lambda node: node.optional(Node.number),
    "higher_is_better": Node.flag,
    "random_baseline": lambda node: node.optional(Node.number),
    "unit": lambda node: node.optional(Node.text),
}


def measure_rule(node: Node) -> dict[str, object]:
    """Read the fields of a measure that are stated."""
    fields = {key: MEASURE_FIELDS[key](member) for key, member in node.keys(MEASURE_FIELDS).items()}
    lower, upper = fields.get("lower"), fields.get("upper")
    if isinstance(lower, float) and isinstance(upper, float) and lower >= upper:
        raise node.wrong("a scale with lower below upper")
    return fields
