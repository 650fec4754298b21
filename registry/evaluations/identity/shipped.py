"""The usual benchmarks of the field: canonical names, aliases and numbers of items, as shipped."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

CERTAIN = 1.0
UNCERTAIN = 0.8
"""Confidence in an alias that some sources use for something else too."""

_IGNORED = str.maketrans("", "", "-_ ")


def name_key(name: str) -> str:
    """Return what names of benchmarks are compared by, as `store.benchmark_key` does."""
    return name.lower().translate(_IGNORED)


class ShippedAlias(NamedTuple):
    """A name of a benchmark; `variant` is the way of prompting that it stands for."""

    alias: str
    benchmark: str
    variant: str | None
    confidence: float


@cache
def shipped_aliases() -> Sequence[ShippedAlias]:
    """Return all shipped aliases, one of each key; spellings of the canonical name are left out."""
    by_key: dict[str, ShippedAlias] = {}
    for alias in _aliases():
        if name_key(alias.alias) != name_key(alias.benchmark):
            by_key.setdefault(name_key(alias.alias), alias)
    return list(by_key.values())


@cache
def item_counts() -> Mapping[str, int]:
    """Return the numbers of items of whole benchmarks by canonical name, where they are fixed."""
    return {name: entry["items"] for name, entry in _entries().items() if "items" in entry}


class OfficialMeasure(NamedTuple):
    """The measure by which a benchmark's authors rank models; a filter of None is any."""

    benchmark: str
    metric: str
    filter: str | None


@cache
def official_measures() -> Sequence[OfficialMeasure]:
    """Return the official measures, one for each benchmark that has one."""
    stated = {name: entry["official"] for name, entry in _entries().items() if "official" in entry}
    return [
        OfficialMeasure(name, each["metric"], each.get("filter")) for name, each in stated.items()
    ]


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    content = resources.files(__package__).joinpath("benchmarks.yaml").read_text("utf-8")
    entries: dict[str, dict[str, Any]] = yaml.load(content, yaml.CSafeLoader)
    return entries


def _aliases() -> Iterator[ShippedAlias]:
    for benchmark, entry in _entries().items():
        yield from _names(benchmark, entry)
        parts = entry.get("parts", {})
        for part in parts.get("names", ()):
            yield from _names(parts["canonical"].replace("{part}", part), parts, part)


def _names(benchmark: str, entry: Mapping[str, Any], part: str = "") -> Iterator[ShippedAlias]:
    for kind, confidence in (("aliases", CERTAIN), ("uncertain", UNCERTAIN)):
        for name in entry.get(kind, ()):
            yield ShippedAlias(name.replace("{part}", part), benchmark, None, confidence)
    for variant, names in entry.get("variants", {}).items():
        for name in names:
            yield ShippedAlias(name.replace("{part}", part), benchmark, variant, CERTAIN)
