"""Files that were imported: a row for each version of each, and what it left of the one before."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

HUB = "the Hub"
"""Where runs are from that are of no file."""


class Version(NamedTuple):
    """A file as it is now: its key, and those of its imports with other content, if any."""

    import_id: int
    former: Sequence[int]


def begin(connection: Connection, path: Path, format_: str, now: datetime) -> Version:
    """Record that a file is imported, as the newest version of its path.

    Args:
        connection: in the file's transaction.
        path: as it was given.
        format_: what it is read as.
        now: when.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    known = connection.execute(
        text("""
        SELECT import_id, format, sha256 FROM store.imports WHERE path = :path
         ORDER BY imported_at DESC, import_id DESC"""),
        {"path": str(path)},
    ).all()
    former = [row.import_id for row in known if row.sha256 != sha256]
    same = [row.import_id for row in known if (row.sha256, row.format) == (sha256, format_)]
    if same and known[0].sha256 == sha256:
        return Version(same[0], former)
    if same:
        connection.execute(
            text("UPDATE store.imports SET imported_at = :now WHERE import_id = :key"),
            {"key": same[0], "now": now},
        )
        return Version(same[0], former)
    key = connection.scalar(
        text("""
        INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary)
        VALUES (:path, :format, :bytes, :sha256, :now, '{}') RETURNING import_id"""),
        {
            "path": str(path),
            "format": format_,
            "bytes": path.stat().st_size,
            "sha256": sha256,
            "now": now,
        },
    )
    assert key is not None
    return Version(key, former)


def claim(connection: Connection, version: Version) -> int:
    """Make the runs that a file still tells its own, and count those that it tells no more.

    Args:
        connection: in the file's transaction; its runs are in incoming_runs still.
        version: of the file.

    Returns:
        How many runs are left of its versions before.
    """
    if not version.former:
        return 0
    key = {"import": version.import_id, "former": list(version.former)}
    connection.execute(
        text("""
        UPDATE store.runs r SET import_id = :import
          FROM incoming_runs i JOIN store.evaluated_names n USING (name)
         WHERE (r.model_id, r.run_id) = (n.model_id, i.run_id)
           AND r.import_id = ANY (:former)"""),
        key,
    )
    left = connection.scalar(
        text("SELECT count(*) FROM store.runs WHERE import_id = ANY (:former)"), key
    )
    return int(left or 0)


def by_path(connection: Connection, numbers: Mapping[int | None, int]) -> dict[str, int]:
    """Return numbers that are by import by the path of its file, or HUB where there is none."""
    if not numbers:
        return {}
    rows = connection.execute(
        text("SELECT import_id, path FROM store.imports WHERE import_id = ANY (:keys)"),
        {"keys": [key for key in numbers if key is not None]},
    )
    paths: dict[int | None, str] = {row.import_id: row.path for row in rows}
    found: dict[str, int] = {}
    for key, number in numbers.items():
        path = paths.get(key, HUB)
        found[path] = found.get(path, 0) + number
    return found


def finish(connection: Connection, import_id: int, summary: Mapping[str, object]) -> None:
    """Keep what came of a version of a file when it was imported first."""
    connection.execute(
        text("""
        UPDATE store.imports SET summary = CAST(:summary AS jsonb)
         WHERE import_id = :key AND summary = '{}'"""),
        {"key": import_id, "summary": orjson.dumps(summary).decode()},
    )
