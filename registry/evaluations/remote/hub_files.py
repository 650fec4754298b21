"""Files in repositories of the Hub, at the commit that a revision stands at."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from registry.errors import UsageError
from registry.evaluations.remote import patterns
from registry.evaluations.remote.files import RemoteFile, RemoteFiles, may_hold_results, place
from registry.hub import repositories
from registry.hub.client import Hub
from registry.hub.repositories import RepositoryAddress, RepositoryEntry, Snapshot
from registry.hub.transfer import Head, HttpFile


def find(hub: Hub, address: RepositoryAddress) -> RemoteFiles:
    """Return the files of an address: one, those in a folder, or those that fit a pattern.

    Raises:
        UsageError: when there is none.
        HubError: when the Hub does not show them.
    """
    repository = repositories.snapshot(hub, address)
    path = address.path.strip("/")
    folder = _place(hub, repository, "")
    if patterns.is_pattern(path):
        entries = _fitting(hub, repository, path)
        by_name = False
    else:
        named = repositories.entry(hub, repository, path) if path else None
        by_name = named is not None and named.is_file
        if named is not None and by_name:
            entries = [named]
        elif path and named is None:
            raise UsageError(
                f"The repository {repository.name} has no file or folder {path} at "
                f"{address.revision or 'main'}."
            )
        else:
            folder = _place(hub, repository, path)
            inside = repositories.entries(hub, repository, path, recursive=True)
            in_cards = repository.kind == "model"
            entries = [each for each in inside if may_hold_results(each.path, in_cards=in_cards)]
    files = [_file(hub, repository, each) for each in entries if each.is_file]
    if not files:
        raise UsageError(f"No file of {repository.name} fits {path or 'an import'}.")
    return RemoteFiles(sorted(files, key=lambda each: each.place), by_name, folder)


def _fitting(hub: Hub, repository: Snapshot, pattern: str) -> list[RepositoryEntry]:
    fits = patterns.matcher(pattern)
    inside: Iterable[RepositoryEntry] = repositories.entries(
        hub,
        repository,
        patterns.fixed_folder(pattern),
        recursive=not patterns.is_flat(pattern),
    )
    return [each for each in inside if fits(each.path)]


def _file(hub: Hub, repository: Snapshot, entry: RepositoryEntry) -> RemoteFile:
    sha256 = entry.sha256
    size = entry.size if entry.lfs is None else entry.lfs.size
    return RemoteFile(
        address=f"hf://{repository.prefix}/{entry.path}",
        place=_place(hub, repository, entry.path),
        content=f"sha256 {sha256}" if sha256 else f"git {entry.oid}",
        read=partial(_content, hub, repository, entry.path, size),
        size=size,
        revision=repository.commit,
        sha256=sha256,
        git_hash=None if sha256 else entry.oid,
    )


def _content(hub: Hub, repository: Snapshot, path: str, size: int, start: int) -> Iterator[bytes]:
    file = HttpFile(
        repositories.content_url(hub, repository, path),
        headers=hub.headers(),
        explain=partial(repositories.content_error, hub, repository, path),
        pinned=True,
    )
    return file.chunks(start, Head(size, None))


def _place(hub: Hub, repository: Snapshot, path: str) -> PurePosixPath:
    host = urlsplit(hub.endpoint).netloc
    return place("hf", host, f"{repository.kind}s", repository.name, repository.commit, path)
