"""Imported files: a row for each version of a file, and the report of its import."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from registry.catalog.facts.statements import StatedFacts
from registry.catalog.resolution import Stated
from registry.evaluations import staging
from registry.evaluations.load import LoadCounts
from registry.evaluations.remote.inputs import InputFile

HUB = "the Hub"
"""Where runs are from that no file has."""


@dataclass(slots=True)
class FileReport:
    """The result of importing a file.

    `status` is imported, unchanged (all of it was stored before), failed (nothing of it is stored;
    `error` says why) or skipped (no format fits; only of files in a folder). `replaced` counts the
    runs that had another result before, by the file that it was from (or the Hub), and `left_over`
    those of earlier versions of this file that are no longer in it. `path` is as it was given,
    `place` what the file is known by. `left_out_names` has the names of those in
    `left_out` that are few.
    """

    path: str
    place: str
    format: str | None = None
    status: str = "skipped"
    written: LoadCounts = field(default_factory=LoadCounts)
    names: Stated = field(default_factory=lambda: Stated(0, 0, 0))
    facts: StatedFacts = field(default_factory=StatedFacts)
    left_out: Mapping[str, int] = field(default_factory=dict)
    left_out_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    left_over: int = 0
    error: str | None = None

    def fail(self, error: str) -> None:
        """Report that nothing of the file is stored, and why."""
        self.status, self.error = "failed", error
        self.written, self.names = LoadCounts(), Stated(0, 0, 0)
        self.facts = StatedFacts()
        self.replaced, self.left_over = {}, 0


def counts(report: FileReport) -> dict[str, object]:
    """Return the counts of a report by name, as the command and the log show them."""
    written = report.written
    return {
        "runs": written.runs,
        "new": written.added,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "outcomes": written.outcomes,
        "new_items": written.items_added,
        "unresolved": written.unresolved,
        "aliases": report.names.added,
        "facts": report.facts.stated,
        "left_out": dict(report.left_out),
        "left_out_names": {what: list(names) for what, names in report.left_out_names.items()},
        "replaced": dict(report.replaced),
        "left_over": report.left_over,
    }


def summary(reports: Sequence[FileReport]) -> dict[str, object]:
    """Return the summary of an import in the log of jobs."""
    statuses = [report.status for report in reports]
    return {
        "files": len(reports),
        **{status: statuses.count(status) for status in sorted(set(statuses))},
        "runs": sum(report.written.runs for report in reports),
        "new": sum(report.written.added for report in reports),
        "outcomes": sum(report.written.outcomes for report in reports),
        "errors": [report.error for report in reports if report.error][:20],
    }


class ImportVersion(NamedTuple):
    """The present version of a file: its key, and those of its imports with other content.

    `is_new` says that it was not imported before.
    """

    import_id: int
    former: Sequence[int]
    is_new: bool


def begin(connection: Connection, file: InputFile, format_: str, now: datetime) -> ImportVersion:
    """Record the import of a file, as the newest version at its place.

    Args:
        connection: in the file's transaction.
        file: the file.
        format_: what it is read as.
        now: when.
    """
    with file.path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    _follow(connection, file, sha256)
    versions = connection.execute(
        text("""
        SELECT import_id, format, sha256 FROM store.imports WHERE path = :path
         ORDER BY imported_at DESC, import_id DESC"""),
        {"path": file.place},
    ).all()
    former = [row.import_id for row in versions if row.sha256 != sha256]
    same = [row.import_id for row in versions if (row.sha256, row.format) == (sha256, format_)]
    if same:
        if versions[0].sha256 != sha256:
            connection.execute(
                text("UPDATE store.imports SET imported_at = :now WHERE import_id = :key"),
                {"key": same[0], "now": now},
            )
        if file.revision is not None:
            connection.execute(
                text("UPDATE store.imports SET revision = :revision WHERE import_id = :key"),
                {"key": same[0], "revision": file.revision},
            )
        return ImportVersion(same[0], former, is_new=False)
    key = connection.scalar(
        text("""
        INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary, revision)
        VALUES (:path, :format, :bytes, :sha256, :now, '{}', :revision) RETURNING import_id"""),
        {
            "path": file.place,
            "format": format_,
            "bytes": file.path.stat().st_size,
            "sha256": sha256,
            "now": now,
            "revision": file.revision,
        },
    )
    assert key is not None
    return ImportVersion(key, former, is_new=True)


def _follow(connection: Connection, file: InputFile, sha256: str) -> None:
    """Give a file's earlier imports its place, where they are recorded at another one.

    Earlier versions of the registry recorded a path as it was typed, which may be that of another
    file, and a file may have been moved: only the same content shows that it is this one. Imports
    with other content stay where they are, as they may be of another file.
    """
    others = connection.execute(
        text("""
        SELECT DISTINCT i.path FROM store.imports i
         WHERE i.sha256 = :sha256 AND i.path <> :place
           AND NOT EXISTS (SELECT FROM store.imports o WHERE o.path = :place)"""),
        {"place": file.place, "sha256": sha256},
    ).scalars()
    for path in others:
        was_moved = Path(path).is_absolute() and not _exists(path)
        if path == file.shown or was_moved:
            connection.execute(
                text("""
                UPDATE store.imports SET path = :place
                 WHERE path = :path AND sha256 = :sha256"""),
                {"place": file.place, "path": path, "sha256": sha256},
            )
            return


def _exists(path: str) -> bool:
    """Tell whether there is a file, or none that can be seen."""
    try:
        return Path(path).exists()
    except OSError:
        return True


def claim(connection: Connection, version: ImportVersion, *, restates: bool) -> int:
    """Assign the runs that are still in a file to its present version.

    Args:
        connection: in the file's transaction; its runs are staged still.
        version: of the file.
        restates: whether some of its runs were stored before.

    Returns:
        How many runs are left over of its earlier versions.
    """
    if version.former:
        staging.claim(connection, version.import_id, version.former)
    if restates or version.former:
        staging.restate(connection, version.import_id, version.former)
    if not version.former:
        return 0
    left = connection.scalar(
        text("SELECT count(*) FROM store.runs WHERE import_id = ANY (:former)"),
        {"former": list(version.former)},
    )
    return int(left or 0)


def by_path(connection: Connection, numbers: Mapping[int | None, int]) -> dict[str, int]:
    """Sum numbers that are by import by the path of its file; None is HUB."""
    if not numbers:
        return {}
    rows = connection.execute(
        text("SELECT import_id, path FROM store.imports WHERE import_id = ANY (:keys)"),
        {"keys": [key for key in numbers if key is not None]},
    )
    paths: dict[int | None, str] = {row.import_id: row.path for row in rows}
    sums: dict[str, int] = {}
    for key, number in numbers.items():
        path = paths.get(key, HUB)
        sums[path] = sums.get(path, 0) + number
    return sums


def was_read_so(connection: Connection, import_id: int, reading: str, *, default: bool) -> bool:
    """Tell whether a file was always read with these options; the default where it is not known."""
    readings = connection.scalar(
        text("SELECT summary -> 'readings' FROM store.imports WHERE import_id = :key"),
        {"key": import_id},
    )
    return default if readings is None else readings == [reading]


def finish(
    connection: Connection, import_id: int, summary: Mapping[str, object], reading: str
) -> None:
    """Store the summary of a version of a file when it is first imported, and how it was read."""
    connection.execute(
        text("""
        UPDATE store.imports
           SET summary = CASE WHEN summary = '{}' THEN CAST(:summary AS jsonb) ELSE summary END
                         || jsonb_build_object('readings',
                                coalesce(summary -> 'readings', '[]')
                                || to_jsonb(CAST(:reading AS text)))
         WHERE import_id = :key AND NOT coalesce(summary -> 'readings', '[]') ? :reading"""),
        {"key": import_id, "summary": orjson.dumps(summary).decode(), "reading": reading},
    )
