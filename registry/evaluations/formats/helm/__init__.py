"""Run folders of HELM: what was run, its statistics, and those of each instance."""

from collections.abc import Iterator
from pathlib import Path

from registry.evaluations.formats import json_files
from registry.evaluations.formats.helm.folder import RUN_SPEC, RunFolder
from registry.evaluations.formats.helm.runs import blocks
from registry.evaluations.records import Block, Notes

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "run_spec.json of a run folder of HELM, with the files beside it"

_KEYS = frozenset({"scenario_spec", "adapter_spec"})


def recognizes(path: Path) -> bool:
    """Tell by its name and keys whether a file is the specification of a run of HELM."""
    return path.name == RUN_SPEC and not _KEYS.isdisjoint(json_files.keys(path))


def parts(path: Path) -> Iterator[Path]:
    """Yield the other files of the run's folder."""
    if recognizes(path):
        yield from (each for each in path.absolute().parent.glob("*.json") if each.name != RUN_SPEC)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield a block for each split of a run, with a run for each metric and perturbation.

    A metric that is the mean of its instances, without a perturbation, has them as outcomes. The
    statistics of requests (tokens, times, reasons to finish) are no scores.

    Raises:
        UnreadableFileError: a file is invalid or stats.json is missing; names the field.
    """
    yield from blocks(RunFolder(path), notes)
