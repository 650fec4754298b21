"""Every Eval Ever, a shared schema of evaluations: aggregates of one model, and instances."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath

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
    file = _place(path, json_files.members(content.get("detailed_evaluation_results")))
    if file is not None:
        yield file


def _instances(path: Path, stated: Mapping[str, object], notes: Notes) -> Instances | None:
    """Read the instances that an aggregate names; None if it names none or they are missing."""
    if not isinstance(stated.get("file_path"), str) or not stated["file_path"]:
        return None
    file = _place(path, stated)
    if file is None:
        notes.left_out("files of instances that are not where their aggregate says")
        return None
    _check(file, stated)
    instances = Instances(file, notes)
    rows = stated.get("total_rows")
    if type(rows) is int and rows != instances.rows:
        problem = f"there are {instances.rows:,} rows, not {rows:,} as its aggregate states."
        raise UnreadableFileError(file, problem)
    return instances


def _place(path: Path, stated: Mapping[str, object]) -> Path | None:
    """Return where an aggregate's instances are; None if they are nowhere.

    Their path is rooted at the aggregate's folder, or at the repository that this is in, whose top
    folder it begins with. If folders were moved, they may be beside the aggregate. Nothing outside
    of these is read.
    """
    name = stated.get("file_path")
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    directory = path.absolute().parent
    top = PurePosixPath(name).parts[0] if PurePosixPath(name).parts else ""
    roots = [root for root in directory.parents if directory.relative_to(root).parts[0] == top]
    candidates = [(directory, directory / name), *((root / top, root / name) for root in roots)]
    candidates.append((directory, directory / Path(name).name))
    for folder, candidate in candidates:
        file = Path(os.path.normpath(candidate))
        try:
            if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                return file
        except OSError:  # a name that is too long
            continue
    return None


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
