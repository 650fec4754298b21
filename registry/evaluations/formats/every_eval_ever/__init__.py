"""Every Eval Ever, a shared schema of evaluations: aggregates of one model, and instances."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.every_eval_ever.instances import Instances
from registry.evaluations.formats.every_eval_ever.results import Aggregate
from registry.evaluations.formats.every_eval_ever.writer import write
from registry.evaluations.records import Block, Notes, Source

__all__ = ["DESCRIPTION", "parts", "read", "recognizes", "write"]

DESCRIPTION = "aggregates and instances of Every Eval Ever 0.3.0"

_ROW = frozenset({"evaluation_id", "sample_id", "evaluation"})
_AGGREGATE = frozenset({"schema_version", "evaluation_results"})
_BUFFER = 1 << 20  # bytes hashed at a time


def recognizes(path: Path) -> bool:
    """Tell by its content whether a file is an aggregate or has instances; never raises."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        return json_files.keys(path) >= _AGGREGATE
    try:
        rows = json_files.rows(path) if name.endswith(".jsonl") else ()
        return any(row.keys() >= _ROW for _, row in islice(rows, 1))
    except UnreadableFileError:
        return False


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield a block for each evaluation of an aggregate, or of a file of instances given alone.

    An aggregate's own instances are read with it: they give its blocks items and its runs outcomes.
    They are read below its directory only. Instances alone have a model, a `score` as their metric,
    and no source but the format.

    Raises:
        UnreadableFileError: the file, or that of its instances, is invalid, or the instances are
            not those that the aggregate was written with.
    """
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        alone = Instances(path, notes)
        yield from alone.blocks(Source(name="every_eval_ever"))
        return
    aggregate = Aggregate(path, json_files.document(path), notes)
    instances = _instances(path, aggregate.instances, notes)
    yield from aggregate.blocks(instances)


def parts(path: Path) -> Iterator[Path]:
    """Yield the file of instances that an aggregate names."""
    if not path.name.endswith(".json") or not recognizes(path):
        return
    content = json_files.members(json_files.document(path))
    file = json_files.members(content.get("detailed_evaluation_results")).get("file_path")
    if isinstance(file, str):
        yield (path.absolute().parent / file).absolute()


def _instances(path: Path, stated: Mapping[str, object], notes: Notes) -> Instances | None:
    """Read the instances that an aggregate names; None if it names none or they are missing."""
    name = stated.get("file_path")
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    directory = path.absolute().parent
    below = (directory / name).resolve()
    # If directories were moved, the file may be beside the aggregate; nothing above is read.
    inside = below.is_relative_to(directory.resolve()) and below.is_file()
    file = below if inside else directory / Path(name).name
    if not file.is_file():
        notes.left_out("files of instances that are not where their aggregate says")
        return None
    _check(file, stated)
    instances = Instances(file, notes)
    rows = stated.get("total_rows")
    if type(rows) is int and rows != instances.rows:
        problem = f"there are {instances.rows:,} rows, not {rows:,} as its aggregate states."
        raise UnreadableFileError(file, problem)
    return instances


def _check(file: Path, stated: Mapping[str, object]) -> None:
    checksum, algorithm = stated.get("checksum"), stated.get("hash_algorithm", "sha256")
    if not isinstance(checksum, str) or not checksum or algorithm not in ("sha256", "md5"):
        return
    digest = hashlib.new(str(algorithm), usedforsecurity=False)
    with file.open("rb") as content:
        while part := content.read(_BUFFER):
            digest.update(part)
    if digest.hexdigest() != checksum.lower():
        raise UnreadableFileError(file, "its checksum is not the one in its aggregate.")
