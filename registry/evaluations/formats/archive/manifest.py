"""`manifest.json` of an archive: its contents, and the check that they are complete."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import orjson

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.records import Benchmark

NAME = "manifest.json"
FORMAT = "llm-registry evaluations"
SCHEMA_VERSION = 2

_HEAD = 200  # bytes; a manifest states its format first
_BENCHMARK = ("name", "version", "domain", "description", "url")
_T = TypeVar("_T")


class ArchivePart(NamedTuple):
    """A file of an archive, by its path in the folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BenchmarkContents:
    """The files of a version of a benchmark, None where there is none, and its number of runs."""

    benchmark: Benchmark
    items: str | None
    outcomes: str | None
    runs: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of an archive; `runs`, `names` and `facts`, if there are any, are paths as well.

    `schema_version` is from 1 to SCHEMA_VERSION.
    """

    runs: str
    names: str
    contents: Sequence[BenchmarkContents]
    files: Mapping[str, ArchivePart]
    schema_version: int = SCHEMA_VERSION
    facts: str | None = None


def describe_file(folder: Path, path: str, rows: int) -> ArchivePart:
    """Return the entry of a file in the manifest."""
    with (folder / path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ArchivePart(path, rows, (folder / path).stat().st_size, sha256)


def save(manifest: Manifest, folder: Path, *, version: str, now: datetime) -> None:
    """Write a manifest; `version` is the registry's."""
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "registry_version": version,
        "created_at": now,
        "runs": manifest.runs,
        "names": manifest.names,
        **({} if manifest.facts is None else {"facts": manifest.facts}),
        "benchmarks": [
            {
                **asdict(each.benchmark),
                "items": each.items,
                "outcomes": each.outcomes,
                "runs": each.runs,
            }
            for each in manifest.contents
        ],
        "files": [part._asdict() for part in manifest.files.values()],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    (folder / NAME).write_bytes(orjson.dumps(content, option=options))


def recognizes(path: Path) -> bool:
    """Tell whether a file is the manifest of an archive; never raises."""
    if path.name != NAME:
        return False
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.read(_HEAD)
    except OSError:
        return False


def parts(path: Path) -> Iterator[Path]:
    """Yield the files that a manifest lists; none if it cannot be read, or is no manifest."""
    if not recognizes(path):
        return
    try:
        manifest = load(path)
    except UnreadableFileError:
        return
    yield from (path.absolute().parent / name for name in manifest.files)


def load(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UnreadableFileError: it is not a manifest, or is of an unknown schema version.
    """
    content = json_files.document(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableFileError(path, f"this is not a manifest of {FORMAT}.", field="format")
    version = content.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise UnreadableFileError(
            path,
            f"its schema version is {version}; only 1 to {SCHEMA_VERSION} can be read; use the "
            "version of llm-registry that wrote it, or a newer one.",
            field="schema_version",
        )
    files = {
        part.path: part for each in _list(path, content, "files") for part in [_part(path, each)]
    }
    contents = [_contents(path, each, files) for each in _list(path, content, "benchmarks")]
    runs, names = (_listed(path, content, key, files) for key in ("runs", "names"))
    facts = None if content.get("facts") is None else _listed(path, content, "facts", files)
    return Manifest(runs, names, contents, files, version, facts)


def verify(manifest: Manifest, folder: Path) -> None:
    """Check that all files of an archive are as they were written.

    Raises:
        UnreadableFileError: for the first one that is not.
    """
    for part in manifest.files.values():
        path = folder / part.path
        try:
            actual = describe_file(folder, part.path, part.rows)
        except OSError as error:
            raise UnreadableFileError(
                path, f"the archive lists it, but: {error.strerror or error}. Copy it again."
            ) from error
        if actual != part:
            raise UnreadableFileError(
                path,
                f"it changed after the archive was written: {actual.bytes:,} bytes with sha256 "
                f"{actual.sha256[:12]}…, not {part.bytes:,} with {part.sha256[:12]}…. "
                "Copy it again.",
            )


def _part(path: Path, value: Mapping[str, object]) -> ArchivePart:
    part = ArchivePart(
        _value(path, value, "path", str),
        _value(path, value, "rows", int),
        _value(path, value, "bytes", int),
        _value(path, value, "sha256", str),
    )
    place = PurePosixPath(part.path)
    if place.is_absolute() or ".." in place.parts or "\\" in part.path or "\0" in part.path:
        raise UnreadableFileError(path, f"{part.path!r} is outside the archive.", field="path")
    return part


def _contents(
    path: Path, value: Mapping[str, object], files: Mapping[str, ArchivePart]
) -> BenchmarkContents:
    fields = {key: value.get(key) for key in _BENCHMARK}
    required = [isinstance(fields[key], str) for key in ("name", "version")]
    if not all(required) or not all(isinstance(each, str | None) for each in fields.values()):
        raise UnreadableFileError(path, "this is not a benchmark.", field="benchmarks")
    items, outcomes = (
        None if value.get(key) is None else _listed(path, value, key, files)
        for key in ("items", "outcomes")
    )
    benchmark = Benchmark(**fields)  # type: ignore[arg-type] # checked above
    return BenchmarkContents(benchmark, items, outcomes, _value(path, value, "runs", int))


def _listed(
    path: Path, value: Mapping[str, object], key: str, files: Mapping[str, ArchivePart]
) -> str:
    name = _value(path, value, key, str)
    if name not in files:
        raise UnreadableFileError(path, f"{name!r} is not among the files.", field=key)
    return name


def _list(path: Path, value: Mapping[str, object], key: str) -> list[dict[str, object]]:
    elements = _value(path, value, key, list)
    if not all(isinstance(each, dict) for each in elements):
        raise UnreadableFileError(path, "a list of objects was expected here.", field=key)
    return elements


def _value(path: Path, value: Mapping[str, object], key: str, kind: type[_T]) -> _T:
    member = value.get(key)
    if not isinstance(member, kind):
        raise UnreadableFileError(path, f"this is not a value of type {kind.__name__}.", field=key)
    return member
