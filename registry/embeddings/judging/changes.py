"""Changes between two trainings that are no noise: of method, rank, kind of settings, coverage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import first_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a version was trained.

    Attributes:
        method: of training.
        rank: number of dimensions that its vectors span.
        settings: as JSON has them; their numbers may differ by chance, their kind does not.
        encoder: of items' texts; None where none was used.
        models: names of its models.
        benchmarks: canonical names of the benchmarks of its items.
    """

    method: str
    rank: int
    settings: Mapping[str, Any]
    encoder: str | None
    models: frozenset[str]
    benchmarks: frozenset[str]


def changes(before: Making, after: Making) -> list[str]:
    """Return what differs between two trainings beyond noise, in words."""
    said = []
    if before.method != after.method:
        said.append(f"method {after.method} instead of {before.method}")
    if before.rank != after.rank:
        said.append(f"rank {after.rank} instead of {before.rank}")
    if before.encoder != after.encoder:
        said.append(f"texts by {after.encoder or 'no encoder'}, not {before.encoder or 'none'}")
    if before.method == after.method and kind(before.settings) != kind(after.settings):
        said.append("settings of another kind")
    if before.benchmarks - after.benchmarks:
        gone = sorted(before.benchmarks - after.benchmarks)
        said.append(f"without {first_of(gone, noun='benchmark')}")
    if before.models - after.models:
        said.append(f"without {len(before.models - after.models):,} of its models")
    return said


def kind(settings: Any) -> Any:
    """Return settings without their numbers: names, words and how they are nested."""
    match settings:
        case Mapping():
            return {str(name): kind(value) for name, value in settings.items()}
        case str() | bool():
            return settings
        case list() | tuple():
            # Several numbers are as one: how many there are depends on the data.
            kinds = [kind(each) for each in settings]
            return [each for each in kinds if each is not None]
        case _:
            return None
