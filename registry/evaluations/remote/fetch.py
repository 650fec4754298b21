"""Remote files of a command: found, checked against the limit, and copied to the cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from registry.db import embedded
from registry.errors import UsageError
from registry.evaluations.remote import bucket_files, hub_files, web_files
from registry.evaluations.remote.cache import Cache, gigabytes
from registry.evaluations.remote.files import RemoteFile, RemoteFiles, scheme_of
from registry.hub.client import Hub
from registry.hub.repositories import parse_address
from registry.workers import Progress, no_progress

_BETWEEN = 0.1  # seconds between two reports of progress


@dataclass(frozen=True, slots=True)
class Copy:
    """The copy of a remote file in the cache, its address, and its revision where known."""

    path: Path
    address: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of an address's files, and whether it names one itself."""

    files: Sequence[Copy]
    by_name: bool


def fetch_one(address: str, *, limit: int, on_progress: Progress = no_progress) -> Path:
    """Copy the one file of an address to the cache; return the path of the copy.

    Raises as `fetch_all` does, and UsageError where the address has several files.
    """
    [copies] = fetch_all([address], limit=limit, on_progress=on_progress)
    if len(copies.files) > 1:
        raise UsageError(f"{address} has {len(copies.files):,} files; name one.")
    return copies.files[0].path


def fetch_all(
    addresses: Sequence[str],
    *,
    limit: int,
    hub: Hub | None = None,
    on_progress: Progress = no_progress,
) -> list[Copies]:
    """Copy the files of addresses to the cache, unless they are there.

    Whatever has arrived stays, so that the same call continues where one was interrupted.

    Args:
        addresses: of files, folders (of the Hub and of buckets) or patterns.
        limit: bytes that may be fetched.
        hub: whose files `hf://` names; by default that of HF_ENDPOINT.
        on_progress: receives the progress, in megabytes.

    Raises:
        UsageError: when there is no such file, or the files are too large.
        RemoteError: when one cannot be read.
        HubError: when the Hub does not show one.
    """
    if not addresses:
        return []
    hub = hub or Hub()
    sets = [_find(each, hub) for each in addresses]
    files = list({file.place: file for each in sets for file in each.files}.values())
    cache = Cache(embedded.default_data_directory() / "cache")
    cache.require_room(files, limit)
    copies = _copied(cache, files, limit, on_progress)
    return [Copies([copies[file.place] for file in each.files], each.by_name) for each in sets]


def _find(address: str, hub: Hub) -> RemoteFiles:
    scheme = scheme_of(address)
    if scheme == "s3":
        return bucket_files.find(address)
    in_hub = parse_address(address, hub.endpoint)
    if in_hub is not None:
        return hub_files.find(hub, in_hub)
    return web_files.find(address)


def _copied(
    cache: Cache, files: Sequence[RemoteFile], limit: int, on_progress: Progress
) -> dict[object, Copy]:
    total = sum(file.size or 0 for file in files)
    before, reported = 0, 0.0
    copies: dict[object, Copy] = {}
    for file in files:

        def on_bytes(count: int, file: RemoteFile = file, before: int = before) -> None:
            nonlocal reported
            if monotonic() - reported >= _BETWEEN:
                reported = monotonic()
                of = f" of {gigabytes(total)}" if total else ""
                shown = f"{file.place.name}: {gigabytes(before + count)}{of} fetched"
                # In megabytes, as people count what is fetched.
                on_progress(shown, (before + count) // 10**6, max(total // 10**6, 1))

        path = cache.fetch(file, limit, on_bytes)
        before += path.stat().st_size
        copies[file.place] = Copy(path, file.address, file.revision)
    return copies
