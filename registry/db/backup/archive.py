"""Backup files: an archive of pg_dump in its custom format, followed by a manifest.

pg_restore reads an archive by the offsets at its beginning and never looks behind it.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import orjson

from registry.errors import RegistryError
from registry.version import __version__
from registry.workers import Progress, no_progress

PRODUCT = "llm-registry"
FORMAT = 1
"""Number of this form of manifest; a reader refuses higher ones."""

_MAGIC = b"LLM-REGISTRY-BKP"
_LENGTH = 8
_LONGEST = 64 << 20
"""Bytes of a manifest at most: 100 of each table, of which a year of versions has hundreds."""

_BLOCK = 1 << 22
_DUMP = b"PGDMP"
"""First bytes of an archive of pg_dump in its custom format."""


class BackupError(RegistryError):
    """A backup cannot be made, read or restored."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Number of a table's rows, and a digest of them that does not depend on their order."""

    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role that owns something in the database, has a grant there or is a member of such."""

    name: str
    login: bool
    superuser: bool
    member_of: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Head:
    """What a manifest of any form states."""

    product: str
    format: int
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """What a backup holds, and what made it.

    Attributes:
        made_by: version of the registry.
        made_at: moment of the snapshot.
        revision: of the schema; None where the registry was not set up.
        server: number of the server's version, such as 180006.
        dumped_by: major version of pg_dump.
        user: who made it, to whom objects belong that nobody else owns.
        size: of the database in bytes.
        extensions: schema of each extension.
        roles: that the archive names in owners and grants.
        tables: contents of each table by its qualified name.
        length: of the archive in bytes.
        digest: of the archive, by SHA-256.
    """

    made_by: str
    made_at: datetime
    revision: str | None
    server: int
    dumped_by: int
    user: str
    size: int
    extensions: Mapping[str, str]
    roles: Sequence[Role]
    tables: Mapping[str, Contents]
    length: int = 0
    digest: str = ""

    @property
    def rows(self) -> int:
        """Number of rows of all tables."""
        return sum(table.rows for table in self.tables.values())


def append(
    file: Path, manifest: BackupManifest, *, on_progress: Progress = no_progress
) -> BackupManifest:
    """Write a manifest behind the archive in a file; return it with length and digest."""
    length = file.stat().st_size
    digest = _digest(file, length, on_progress)
    complete = replace(manifest, length=length, digest=digest)
    body = orjson.dumps({"product": PRODUCT, "format": FORMAT, **asdict(complete)})
    with file.open("ab") as opened:
        opened.write(body + len(body).to_bytes(_LENGTH, "big") + _MAGIC)
        opened.flush()
        os.fsync(opened.fileno())
    return _decoded(body, BackupManifest, file)


def read(file: Path) -> BackupManifest:
    """Read the manifest of a backup.

    Raises:
        BackupError: when the file is no backup, is truncated, or was made by another product or a
            newer version.
    """
    try:
        with file.open("rb") as opened:
            is_dump = opened.read(len(_DUMP)) == _DUMP
            body = _body(opened.fileno(), file.stat().st_size)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}.") from error
    if body is None:
        if not is_dump:
            raise BackupError(f"{file} is not a backup that `registry backup` made.")
        raise BackupError(
            f"{file} has no manifest at its end: it is truncated, or pg_dump wrote it and not "
            "`registry backup`. What pg_dump wrote is loaded by pg_restore, and `registry db "
            "upgrade` then restores roles and grants."
        )
    head = _decoded(body, _Head, file)
    if head.product != PRODUCT:
        raise BackupError(f"{file} is a backup of {head.product}, not of {PRODUCT}.")
    if head.format > FORMAT:
        raise BackupError(
            f"{file} was made by {PRODUCT} {head.made_by}, whose backups this version "
            f"({__version__}) does not know: install that version or a newer one."
        )
    return _decoded(body, BackupManifest, file)


_T = TypeVar("_T")


def _decoded(body: bytes, kind: type[_T], file: Path) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise BackupError(f"The manifest of {file} is damaged: the file was changed.") from error


def verify(file: Path, manifest: BackupManifest, *, on_progress: Progress = no_progress) -> None:
    """Check that the archive in a backup is the one that was written.

    Raises:
        BackupError: when it is not.
    """
    if _digest(file, manifest.length, on_progress) != manifest.digest:
        raise BackupError(
            f"{file} is damaged: its contents are not those that were written. Use another copy."
        )


def _body(descriptor: int, size: int) -> bytes | None:
    """Return the manifest's text; None where there is none, or not all of it."""
    tail = _LENGTH + len(_MAGIC)
    if size < tail:
        return None
    end = os.pread(descriptor, tail, size - tail)
    length = int.from_bytes(end[:_LENGTH], "big")
    if end[_LENGTH:] != _MAGIC or length > min(size - tail, _LONGEST):
        return None
    return os.pread(descriptor, length, size - tail - length)


def _digest(file: Path, length: int, on_progress: Progress) -> str:
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while done < length and (block := opened.read(min(_BLOCK, length - done))):
            digest.update(block)
            done += len(block)
            on_progress("checking the file", done, length)
    return digest.hexdigest()
