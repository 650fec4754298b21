"""Logs of Inspect, the UK AI Security Institute's harness: `.eval` archives and JSON documents."""

from collections.abc import Iterator
from pathlib import Path

from registry.evaluations.formats import json_files
from registry.evaluations.formats.inspect_logs.log import InspectLog
from registry.evaluations.formats.inspect_logs.runs import block
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import Block, Notes

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "logs of Inspect: .eval archives, and JSON"

_KEYS = frozenset({"version", "status", "eval"})


def recognizes(path: Path) -> bool:
    """Tell by its name, or the keys of its JSON, whether a file is a log of Inspect."""
    if path.suffix == ".eval":
        return _is_archive(path)
    return path.suffix == ".json" and json_files.keys(path) >= _KEYS


def _is_archive(path: Path) -> bool:
    """Tell by its first bytes, as an archive that is cut off lacks its end."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield the task of a log as one block: its samples, and a run for each scorer and metric.

    Only evaluations that ended in success are read. A metric that is the mean of its samples'
    scores has them as outcomes; the others are scores alone. Samples without a score were not
    observed.

    Raises:
        UnreadableFileError: it is not a whole log, or not one of a finished evaluation.
    """
    yield block(InspectLog(path), notes)
